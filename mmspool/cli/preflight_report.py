"""What ``preflight`` prints: the figures, then the answers, in words."""

import math
from dataclasses import asdict
from pathlib import Path
from typing import Any

from rich.text import Text

from ..driver.preflight.measure import Measured
from ..driver.preflight.verdict import (
    DISK_MARGIN,
    PRODUCER_MARGIN,
    Bottleneck,
    FrameLoad,
    Measurements,
    StallBuffer,
    Verdict,
)
from ..persistence.capacity import DiskRate
from .output import print_rows

Rows = list[tuple[str, str | Text]]

_LONG_S = 48 * 3600


def print_report(measured: Measured, verdict: Verdict, *, folder: Path, camera: str, fps_asked: bool) -> None:
    """Print figures, verdict and advice."""
    load, figures = measured.load, measured.figures
    rows: Rows = [
        ("disk", _disk_text(measured.disk)),
        *(("", text) for text in _disk_notes(measured.disk)),
        ("disk free", f"{figures.disk_free_bytes / 1e9:,.1f} GB in {folder.absolute()}"),
        ("shared memory", f"room for a ring of {figures.ring_largest_bytes / 1e6:,.0f} MB"),
        ("copy", f"{_each_text(figures.copy_s, load)}, into shared memory"),
    ]
    if figures.pop_s is not None:
        taken = _each_text(figures.pop_s, load)
        rows.append(("core", f"{taken}, out of its buffer, which holds {figures.core_frames:,} frames"))
    rows.append(("frames", camera + _frames_text(measured, verdict, fps_asked=fps_asked)))
    rows.append(("verdict", _verdict_text(load, verdict)))
    rows.append(("bottleneck", _bottleneck_text(figures, verdict)))
    rows.append(("buffers", _buffers_text(figures, verdict)))
    if figures.core_frames:
        rows.append(("", _core_text(load, verdict)))
    if verdict.core_buffer is not None:
        rows.append(("", _core_proposal(verdict.core_buffer)))
    rows += [("" if number else "stalls", _ring_text(ring)) for number, ring in enumerate(verdict.rings)]
    print_rows(rows)


def facts(measured: Measured, verdict: Verdict) -> dict[str, Any]:
    """Return all figures and the verdict; JSON can hold it."""
    load = measured.load
    return {
        "frames": {"shape": list(load.shape), "dtype": load.dtype.name, "fps": load.fps},
        "camera": None if measured.camera is None else asdict(measured.camera),
        "disk": asdict(measured.disk),
        "figures": asdict(measured.figures),
        "verdict": asdict(verdict) | {"duration_s": verdict.duration_s if math.isfinite(verdict.duration_s) else None},
    }


def _disk_text(disk: DiskRate) -> str:
    how = "past the page cache" if disk.direct else "through the page cache: no direct I/O here"
    return (
        f"{disk.bytes_per_s / 1e6:,.0f} MB/s sustained, synced, {how} "
        f"({disk.size_bytes / 1e9:,.2f} GB in {disk.seconds:.1f} s, longest write {_short(disk.slowest_s)})"
    )


def _disk_notes(disk: DiskRate) -> list[str]:
    notes = []
    if disk.cache_bytes is not None and disk.cached_bytes_per_s is not None:
        first = f"{disk.cached_bytes_per_s / 1e6:,.0f} MB/s"
        notes.append(f"its first {disk.cache_bytes / 1e9:,.2f} GB went at {first}: a cache, which was not counted")
    if disk.falling:
        notes.append("the rate was still falling when the test ended: measure longer, with --seconds 60")
    return notes


def _each_text(seconds: float, load: FrameLoad) -> str:
    return f"{load.frame_bytes / 1e6 / seconds:,.0f} MB/s, {_short(seconds)} a frame"


def _frames_text(measured: Measured, verdict: Verdict, *, fps_asked: bool) -> str:
    load, camera = measured.load, measured.camera
    height, width, *colours = load.shape
    what = f"{width}x{height} {load.dtype.name}{' RGB' if colours else ''}"
    if load.fps is None:
        return what
    text = f"{what} at {_fps(verdict.fps)}, {verdict.fps * load.frame_bytes / 1e6:,.0f} MB/s"
    if camera is not None and camera.fps is None and not fps_asked:
        text += " (too few frames came to measure the rate: taken as one each exposure; give --fps for a trigger)"
    return text


def _verdict_text(load: FrameLoad, verdict: Verdict) -> Text:
    lasts = _duration(verdict.duration_s)
    if load.fps is None:
        rate = verdict.fps * load.frame_bytes / 1e6
        return Text(f"at most {_fps(verdict.fps)} ({rate:,.0f} MB/s) here, for {lasts}: then the disk is full")
    if verdict.feasible:
        return Text(f"can be recorded here, for {lasts}: then the disk is full", "green")
    if verdict.bottleneck is Bottleneck.SPACE:
        return Text("cannot be recorded here: the disk is full", "red")
    if not verdict.duration_s:  # no camera, so nothing to wait in before the ring
        return Text("cannot be recorded here at this rate: frames are lost from the start", "red")
    return Text(f"cannot be recorded here: after {lasts} the buffers are full and frames are lost", "red")


def _bottleneck_text(figures: Measurements, verdict: Verdict) -> str:
    if verdict.bottleneck is Bottleneck.SPACE:
        return f"{verdict.bottleneck}: there is not even room for the first frames"
    reserve = 1 - (DISK_MARGIN if verdict.bottleneck is Bottleneck.DISK else PRODUCER_MARGIN)
    text = f"{verdict.bottleneck}, which allows {_fps(verdict.max_fps)} with {reserve:.0%} in reserve"
    if verdict.bottleneck is Bottleneck.CORE and figures.pop_s is not None:
        text += f" ({_short(figures.pop_s)} a frame)"
    return text


def _buffers_text(figures: Measurements, verdict: Verdict) -> str:
    size = f"{figures.ring_default_bytes / 1e6:,.0f} MB"
    return f"the ring that `record` makes ({size}) survives a stall of the disk of {_short(verdict.ring_s)}"


def _core_text(load: FrameLoad, verdict: Verdict) -> str:
    each = math.ceil(verdict.fps * load.frame_bytes / 2**20)
    return (
        f"the core's buffer adds {_short(verdict.core_s)}, and alone serves a script that is held up; "
        f"each {each:,} of --core-buffer-mb is a second"
    )


def _core_proposal(buffer: StallBuffer) -> str:
    text = f"--core-buffer-mb {buffer.buffer_bytes >> 20} is proposed: alone it survives {_short(buffer.stall_s)}"
    return text if buffer.fits else f"{text}, but there is not enough memory for it beside the ring"


def _ring_text(ring: StallBuffer) -> str:
    text = f"{ring.stall_s:g} s of a stalled disk: --buffer-mb {math.ceil(ring.buffer_bytes / 1e6)}"
    return text if ring.fits else f"{text}, for which there is not enough shared memory"


def _fps(value: float) -> str:
    return f"{value:,.0f} frames/s" if value >= 100 else f"{value:.3g} frames/s"


def _short(seconds: float) -> str:
    if seconds < 1e-3:
        return f"{seconds * 1e6:.3g} us"
    return f"{seconds * 1e3:.3g} ms" if seconds < 1 else f"{seconds:,.1f} s"


def _duration(seconds: float) -> str:
    if seconds < 120:
        return _short(seconds)
    if seconds < 7200:
        return f"{seconds / 60:,.0f} minutes"
    return f"{seconds / 3600:,.1f} hours" if seconds < _LONG_S else f"{seconds / 86400:,.1f} days"
