"""A recording on one page: thumbnails, traces, timing, losses, settings, verification.

::

    import mmspool

    mmspool.report("run.h5")             # run.html, one file without scripts
    mmspool.report("run.h5", "run.png")  # the drawings as one image
"""

import io
import math
import os
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from .._version import __version__
from ..calibration import Calibration
from ..errors import ExportError
from ..packages import require
from ..persistence import Recording, VerifyReport, verify
from ..selection import ProgressCallback
from ..statistics import FrameStatistics, frame_statistics
from . import figures

__all__ = ["report"]

_PNG_DPI = 160
_INSTALL = "matplotlib jinja2"
_FORMATS = (".html", ".png")


@dataclass(frozen=True, kw_only=True)
class _Drawing:
    title: str
    height_in: float
    draw: Callable[[Any], None]
    caption: str = ""


def report(
    source: str | os.PathLike[str],
    target: str | os.PathLike[str] | None = None,
    *,
    samples: int | None = 200,
    checksums: bool = True,
    overwrite: bool = False,
    scheduler: str | None = None,
    progress: ProgressCallback | None = None,
) -> Path:
    """Write a page about a recording that a person wants to look at.

    Parameters
    ----------
    source
        The recording; it may still be recorded.
    target
        ``.html``: one self-contained page without scripts; ``.png``: the drawings as one image. By default the
        recording's name with ``.html``.
    samples
        Of how many frames, evenly spread, brightness, noise and saturation are computed; None: of all.
    checksums
        Whether to verify every frame, which reads the whole file.
    overwrite
        Replace ``target`` if it exists.
    scheduler
        Address of a dask scheduler whose workers compute the figures; they must see the file under the same path.
    progress
        Called with what is done and what there is in all.

    Returns
    -------
    Path
        What was written.

    Raises
    ------
    ExportError
        ``target`` exists or is neither kind of file.
    MissingPackageError
        matplotlib or jinja2 is not installed.
    RecordingError
        The recording cannot be read, or has no frames.
    """
    path = Path(source)
    page = path.with_suffix(".html") if target is None else Path(target)
    if page.suffix.lower() not in _FORMATS:
        raise ExportError(f"{page} is no name for a report: end it in {' or '.join(_FORMATS)}")
    if page.exists() and not overwrite:
        raise ExportError(f"{page} exists: choose another name, or replace it with overwrite=True (--overwrite)")
    require("matplotlib.figure", "a report", install=_INSTALL)
    jinja2 = require("jinja2", "a report", install=_INSTALL)
    verified = verify(path, progress=progress) if checksums else None
    with Recording(path) as recording, figures.style():
        if not len(recording):
            raise ExportError(f"{path} has no frames to report on: 'mmspool info' says how it ended")
        statistics = frame_statistics(recording, samples=samples, scheduler=scheduler, progress=progress)
        calibration = Calibration.of(recording)
        drawings = _drawings(recording, calibration, statistics)
        if page.suffix.lower() == ".png":
            content = _png(drawings, _title(recording, calibration))
        else:
            content = _html(jinja2, recording, calibration, statistics, drawings, verified).encode()
    try:
        page.write_bytes(content)
    except OSError as exc:
        raise ExportError(f"{page} cannot be written ({exc}): choose another place") from exc
    return page


def _drawings(recording: Recording, calibration: Calibration, statistics: FrameStatistics) -> list[_Drawing]:
    times, losses = calibration.times_s, recording.losses
    aspect = recording.shape[1] / recording.shape[2]
    load, ring_frames = _load(recording)
    return [
        _Drawing(
            title="Over time",
            height_in=min(4.5, 0.6 + 1.62 * aspect),
            draw=lambda figure: figures.thumbnails(figure, recording, times),
            caption="The same contrast for all: from 0.5 to 99.7 % of the pixel values shown.",
        ),
        _Drawing(
            title="Brightness, noise, saturation",
            height_in=2.5,
            draw=lambda figure: figures.traces(figure, statistics),
            caption="Brightness: the mean of the pixels, and a band of their standard deviation. "
            "Noise: of a pixel from one frame to the next, by the median absolute difference.",
        ),
        _Drawing(
            title="Frame timing",
            height_in=2.6,
            draw=lambda figure: figures.intervals(figure, times, losses),
            caption="Intervals far from the median are counted in the first and last bars.",
        ),
        _Drawing(
            title="Timeline",
            height_in=1.15,
            draw=lambda figure: figures.timeline(
                figure, times, losses, calibration.frame_interval_s or 0.0, _restart_times(load)
            ),
            caption=_restarts(recording),
        ),
        _Drawing(
            title="Buffer and disk",
            height_in=2.2,
            draw=lambda figure: figures.load(figure, load, ring_frames),
            caption="The ring is the memory between camera and disk: a slow disk loses no frame before it is full. "
            "Shown are the largest values of each interval.",
        ),
    ][: None if len(load) else -1]


def _png(drawings: list[_Drawing], title: str) -> bytes:
    heights = [drawing.height_in for drawing in drawings]
    whole = figures.new_figure(sum(heights) + 0.8)
    whole.suptitle(title, x=0.012, ha="left", fontsize=13, fontweight="bold", color=figures.INK)
    for part, drawing in zip(whole.subfigures(len(drawings), 1, height_ratios=heights), drawings, strict=True):
        drawing.draw(part)
    buffer = io.BytesIO()
    whole.savefig(buffer, format="png", dpi=_PNG_DPI)
    return buffer.getvalue()


def _svg(drawing: _Drawing) -> str:
    figure = figures.new_figure(drawing.height_in)
    drawing.draw(figure)
    buffer = io.StringIO()
    figure.savefig(buffer, format="svg", dpi=_PNG_DPI, metadata={"Date": None})
    text = buffer.getvalue()
    return text[text.index("<svg") :]


def _html(
    jinja2: Any,
    recording: Recording,
    calibration: Calibration,
    statistics: FrameStatistics,
    drawings: list[_Drawing],
    verified: VerifyReport | None,
) -> str:
    environment = jinja2.Environment(autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True)
    template = resources.files(__package__).joinpath("page.html.jinja").read_text(encoding="utf-8")
    markup = require("markupsafe", "a report").Markup
    seen = len(statistics.frame)
    text = environment.from_string(template).render(
        name=calibration.name,
        state=recording.state,
        subtitle=_subtitle(recording, calibration),
        facts=_facts(recording, calibration),
        drawings=[{"title": each.title, "svg": markup(_svg(each)), "caption": each.caption} for each in drawings],
        findings=_findings(verified),
        verified=_verified(verified),
        settings=_settings(recording),
        path=str(recording.path.absolute()),
        path_repr=repr(str(recording.path.absolute())),
        version=__version__,
        made=datetime.now().astimezone().strftime("%Y-%m-%d %H:%M"),
        sampled="all frames" if seen == len(recording) else f"{seen:,} of {len(recording):,} frames",
    )
    return str(text)


def _title(recording: Recording, calibration: Calibration) -> str:
    frames, height, width, *_channels = recording.shape
    return f"{calibration.name}: {frames:,} frames of {width}x{height}, {recording.state}"


def _subtitle(recording: Recording, calibration: Calibration) -> str:
    when = datetime.fromisoformat(calibration.start_time).astimezone().strftime("%Y-%m-%d %H:%M:%S")
    parts = [calibration.camera, when, recording.end_reason]
    return " · ".join(part for part in parts if part)


def _facts(recording: Recording, calibration: Calibration) -> list[dict[str, Any]]:
    frames, height, width, *channels = recording.shape
    times = calibration.times_s[np.isfinite(calibration.times_s)]
    span = float(times[-1] - times[0]) if len(times) > 1 else math.nan
    size = recording.path.stat().st_size
    facts: list[tuple[str, str, str]] = [
        ("frames", f"{frames:,}", ""),
        ("lost", f"{recording.frames_lost:,}", ""),
        ("image", f"{width} x {height}", f"{recording.dtype.name}{' RGB' if channels else ''}"),
        ("duration", f"{span:,.4g}" if math.isfinite(span) else "-", "s"),
        ("rate", f"{(len(times) - 1) / span:,.4g}" if span > 0 else "-", "frames/s"),
        ("file", f"{size / 1e9:,.3g}" if size >= 1e9 else f"{size / 1e6:,.3g}", "GB" if size >= 1e9 else "MB"),
    ]
    if calibration.exposure_s is not None:
        facts.append(("exposure", f"{1000 * calibration.exposure_s:,.4g}", "ms"))
    if calibration.pixel_um is not None:
        facts.append(("pixel", f"{calibration.pixel_um[1]:.4g}", "µm"))
    return [
        {"name": name, "value": value, "unit": unit, "bad": name == "lost" and recording.frames_lost > 0}
        for name, value, unit in facts
    ]


def _findings(verified: VerifyReport | None) -> list[tuple[str, str]]:
    if verified is None:
        return [("notes", "Not verified: 'mmspool verify' checks every frame.")]
    return [(kind, text) for kind in ("damage", "missing", "notes") for text in getattr(verified, kind)]


def _verified(verified: VerifyReport | None) -> str:
    return "" if verified is None else f"{verified.frames_checked:,} of {verified.frames_written:,} frames checked"


def _settings(recording: Recording) -> list[tuple[str, str]]:
    detector = recording.metadata["detector"]
    camera = detector.get("camera", {})
    rows = {name: value for name, value in detector.items() if name != "camera"}
    rows |= {name: value for name, value in camera.items() if name != "properties"}
    rows |= camera.get("properties", {})
    rows |= recording.metadata["metadata"]
    rows["compression"] = recording.compression
    return [(str(name), _text(value)) for name, value in rows.items()]


def _text(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{name} {inner}" for name, inner in value.items())
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)


def _load(recording: Recording) -> tuple[npt.NDArray[np.float64], int]:
    """Return ``(rows, 4)``: time on the frames' axis in s, ring frames, slowest write in ms, restarts; the ring's size.

    Values are of the time since the row before; the first row is the start.
    """
    rows = recording.performance()
    first_frame_s = float(recording.frame_table()["start_time"][0])
    columns = (rows["time_ns"] / 1e9, rows["ring_frames"], rows["slowest_write_ns"] / 1e6, rows["writer_restarts"])
    load = np.stack(columns, axis=1)
    load = np.concatenate([[[0.0, *load[0, 1:3], 0.0]], load]) if len(load) else load
    load[:, 0] -= first_frame_s
    return load, int(recording.file["/entry/instrument/detector/ledger/performance"].attrs["ring_frames"])


def _restart_times(load: npt.NDArray[np.float64]) -> list[float]:
    """Return when writer processes were replaced, as far as the rows show."""
    return [float(row[0]) for row, before in zip(load[1:], load[:-1], strict=True) if row[3] > before[3]]


def _restarts(recording: Recording) -> str:
    count = int(recording.file["/entry/instrument/detector/ledger/writer_restarts"][()])
    if not count:
        return ""
    return f"The writer process was restarted {count:,} time{'s' * (count != 1)}; no frame was lost by that."
