"""The drawings of a report, by matplotlib."""

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import numpy.typing as npt

from ..packages import require
from ..persistence import Loss, Recording
from ..statistics import FrameStatistics

INK, MUTED, HAIRLINE = "#1f2933", "#6b7785", "#e3e7ec"
BLUE, RED, AMBER, GREEN = "#2563b8", "#c8322b", "#c77700", "#1d7a46"
STAGE_COLOURS = {"camera": RED, "core": AMBER, "ring": "#7a3db8", "unknown": MUTED, "trigger": "#2f7fb8"}
WIDTH_IN = 10.0

_STYLE: dict[str, Any] = {
    "axes.axisbelow": True,
    "axes.edgecolor": MUTED,
    "axes.grid": True,
    "axes.grid.axis": "y",
    "axes.labelcolor": MUTED,
    "axes.labelsize": 9,
    "axes.spines.left": False,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "axes.titlecolor": INK,
    "axes.titlelocation": "left",
    "axes.titlepad": 8,
    "axes.titlesize": 10,
    "axes.titleweight": "bold",
    "figure.constrained_layout.use": True,
    "figure.constrained_layout.h_pad": 0.08,
    "figure.constrained_layout.w_pad": 0.08,
    "figure.facecolor": "white",
    "font.size": 9,
    "grid.color": HAIRLINE,
    "grid.linewidth": 0.8,
    "lines.linewidth": 1.4,
    "svg.hashsalt": "mmspool",
    "xtick.color": MUTED,
    "ytick.color": MUTED,
    "ytick.major.size": 0,
}
_MAX_POINTS = 2000
_THUMBNAIL_PIXELS = 320
_LOW, _HIGH = 0.5, 99.7  # percentiles shown as black and white


@contextmanager
def style() -> Iterator[None]:
    """Draw in the report's style."""
    matplotlib = require("matplotlib", "a report")
    with matplotlib.rc_context(_STYLE):
        yield


def new_figure(height_in: float) -> Any:
    """Return an empty figure as wide as the page."""
    return require("matplotlib.figure", "a report").Figure(figsize=(WIDTH_IN, height_in))


def thumbnails(figure: Any, recording: Recording, times_s: npt.NDArray[np.float64], count: int = 6) -> None:
    """Show some frames over time, all with the same contrast."""
    chosen = np.unique(np.linspace(0, len(recording) - 1, count).round().astype(int))
    step = max(1, max(recording.shape[1:3]) // _THUMBNAIL_PIXELS)
    images = [recording[int(index)][::step, ::step] for index in chosen]
    low, high = np.percentile(np.stack(images), [_LOW, _HIGH])
    axes = figure.subplots(1, count, squeeze=False)[0]
    for each in axes:
        each.axis("off")
    for each, index, image in zip(axes, chosen, images, strict=False):
        shown = np.clip((image - low) / max(high - low, 1e-9), 0, 1)
        each.imshow(shown, cmap="gray", vmin=0, vmax=1, interpolation="none")
        each.set_title(f"{_seconds(times_s[index])}", fontsize=9, fontweight="normal", color=INK, pad=4)
        each.text(
            0.5, -0.03, f"frame {index:,}", transform=each.transAxes, ha="center", va="top", color=MUTED, fontsize=8
        )


def traces(figure: Any, statistics: FrameStatistics) -> None:
    """Draw brightness, noise and saturation over time."""
    panels = [("brightness, counts", statistics.mean, BLUE), ("noise, counts", statistics.noise, GREEN)]
    if np.isfinite(statistics.saturated).any():
        panels.append(("saturated pixels, %", 100 * statistics.saturated, RED))
    axes = figure.subplots(1, len(panels), squeeze=False)[0]
    for each, (title, values, colour) in zip(axes, panels, strict=True):
        each.plot(statistics.time_s, values, color=colour)
        each.set_title(title)
        each.set_xlabel("time, s")
        each.margins(x=0)
        _roomy(each, values)
    axes[0].fill_between(
        statistics.time_s,
        statistics.mean - statistics.std,
        statistics.mean + statistics.std,
        color=BLUE,
        alpha=0.12,
        linewidth=0,
    )
    axes[0].relim()
    axes[0].autoscale_view()
    if len(panels) > 2 and np.nanmax(statistics.saturated) == 0:
        axes[2].set_ylim(-0.05, 1)


def intervals(figure: Any, times_s: npt.NDArray[np.float64], losses: Sequence[Loss]) -> None:
    """Draw the interval of each two frames over time, and how often each occurs."""
    steps_ms = 1000 * np.diff(times_s)
    known = np.isfinite(steps_ms)
    over_time, histogram = figure.subplots(1, 2, width_ratios=(2, 1))
    over_time.set_title("interval of successive frames, ms")
    histogram.set_title("how often, frames")
    if not known.any():
        for each in (over_time, histogram):
            each.text(0.5, 0.5, "no times", transform=each.transAxes, ha="center", color=MUTED)
        return
    at, low, high = envelope(times_s[1:][known], steps_ms[known])
    over_time.fill_between(at, low, high, color=BLUE, alpha=0.25, linewidth=0)
    over_time.plot(at, high, color=BLUE, linewidth=0.9)
    over_time.set_xlabel("time, s")
    over_time.margins(x=0)
    median = float(np.median(steps_ms[known]))
    over_time.set_ylim(min(0.0, float(low.min())), 1.05 * float(high.max()) or 1)
    for loss in losses:
        if 0 < loss.before_frame < len(times_s):
            over_time.axvline(times_s[loss.before_frame], color=STAGE_COLOURS[loss.stage], linewidth=0.8, alpha=0.6)
    spread = max(float(np.percentile(np.abs(steps_ms[known] - median), 99.5)) * 1.5, 1e-3 * abs(median), 1e-6)
    histogram.hist(
        np.clip(steps_ms[known], median - spread, median + spread), bins=41, color=BLUE, alpha=0.85, log=True
    )
    histogram.axvline(median, color=INK, linewidth=1, linestyle=(0, (3, 2)))
    histogram.set_xlabel(f"ms, median {median:.4g}")


def timeline(
    figure: Any,
    times_s: npt.NDArray[np.float64],
    losses: Sequence[Loss],
    interval_s: float,
    restarts_s: Sequence[float] = (),
) -> None:
    """Draw the recording as a bar with its losses and its writer's restarts in it, and the sums over it."""
    axes = figure.subplots()
    start, end = (float(times_s[0]), float(times_s[-1])) if len(times_s) else (0.0, 1.0)
    end = max(end, start + 1e-9)
    axes.barh(0, end - start, left=start, height=0.5, color=GREEN, alpha=0.25, linewidth=0)
    least = (end - start) / 400
    for loss in losses:
        index = min(loss.before_frame, len(times_s) - 1)
        width = max(loss.count * interval_s, least)
        at = float(times_s[index]) if loss.before_frame < len(times_s) else end
        axes.barh(0, width, left=at - width, height=0.5, color=STAGE_COLOURS[loss.stage], linewidth=0)
    for position, stage in enumerate(stage for stage in STAGE_COLOURS if any(loss.stage == stage for loss in losses)):
        lost = sum(loss.count for loss in losses if loss.stage == stage)
        axes.text(
            position * 0.22, 1.04, f"■ {lost:,} lost: {stage}", transform=axes.transAxes, color=STAGE_COLOURS[stage]
        )
    if not losses:
        axes.text(0, 1.04, "no frame lost", transform=axes.transAxes, color=GREEN)
    for at in restarts_s:
        axes.axvline(at, color=INK, linewidth=1.2, linestyle=(0, (2, 2)))
    if restarts_s:
        axes.text(1, 1.04, "writer process replaced: dashed", transform=axes.transAxes, ha="right", color=INK)
    axes.set_ylim(-0.3, 0.3)
    axes.set_yticks([])
    axes.grid(visible=False)
    axes.set_xlabel("time, s")
    axes.set_xlim(start - least, end + least)


def load(figure: Any, rows: npt.NDArray[np.float64], ring_frames: int) -> None:
    """Draw how full the ring was and the slowest writes; a row is ``(time_s, ring_frames, write_ms, _)``."""
    ring, writes = figure.subplots(1, 2)
    full = 100 * rows[:, 1] / ring_frames
    ring.set_title("ring, % full")
    writes.set_title("slowest write, ms")
    for axes, values, least, colour in ((ring, full, 10.0, BLUE), (writes, rows[:, 2], 1e-3, AMBER)):
        axes.fill_between(rows[:, 0], values, step="pre", color=colour, alpha=0.2, linewidth=0)
        axes.step(rows[:, 0], values, where="pre", color=colour)
        axes.set_xlabel("time, s")
        axes.margins(x=0)
        axes.set_ylim(0, max(least, 1.1 * float(values.max())))


def envelope(
    at: npt.NDArray[np.float64], values: npt.NDArray[np.float64]
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Reduce a long trace to where it is, its minimum and its maximum, so that no outlier disappears."""
    if len(values) <= _MAX_POINTS:
        return at, values, values
    firsts = np.linspace(0, len(values), _MAX_POINTS, endpoint=False).astype(int)
    return at[firsts], np.minimum.reduceat(values, firsts), np.maximum.reduceat(values, firsts)


def _roomy(axes: Any, values: npt.NDArray[np.float64]) -> None:
    """Show a constant trace as a line in the middle, not as noise of the last digit."""
    finite = values[np.isfinite(values)]
    if not len(finite):
        return
    low, high = float(finite.min()), float(finite.max())
    if high - low < 1e-3 * max(abs(high), 1e-12):
        half = max(abs(high) * 0.05, 0.05)
        axes.set_ylim(low - half, high + half)


def _seconds(time_s: float) -> str:
    if not math.isfinite(time_s):
        return "-"
    minutes, seconds = divmod(time_s, 60)
    return f"{int(minutes)}:{seconds:06.3f}" if minutes else f"{seconds:.3f} s"
