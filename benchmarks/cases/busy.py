"""A camera on a computer whose processors are busy: what is lost, raw and compressed."""

import contextlib
import os
import subprocess
import sys
from collections.abc import Iterator
from functools import partial
from typing import Any

from mmspool import Camera

from .base import Case, Record, Setting, Target, column

SIDE = 2048
EXPOSURE_MS = 10.0
FRAMES, QUICK_FRAMES = 300, 30

_SPIN = "import os, sys\nos.sched_setaffinity(0, {int(sys.argv[1])})\nwhile True: pass"


@contextlib.contextmanager
def _busy(count: int) -> Iterator[None]:
    """Keep each processor busy with ``count`` processes that compute, at normal priority."""
    processors = [processor for processor in sorted(os.sched_getaffinity(0)) for _ in range(count)]
    running = [subprocess.Popen([sys.executable, "-c", _SPIN, str(processor)]) for processor in processors]
    try:
        yield
    finally:
        for process in running:
            process.kill()
            process.wait()


def record(setting: Setting, *, compression: Any, load: int) -> Record:
    """Record a simulated camera that makes 100 frames/s whatever the computer does."""
    frames = QUICK_FRAMES if setting.quick else FRAMES
    with Camera.mock(width=SIDE, height=SIDE, seed=1) as camera:
        camera.exposure_ms = EXPOSURE_MS
        camera.snap()  # the simulated camera makes its noise once
        setting.ready()
        with _busy(load):
            result = camera.record(setting.folder / "run.h5", frames=frames, compression=compression)
    spool = result.stats.spool
    return {
        "frames": result.frames_written,
        "lost": result.frames_lost,
        "core": result.stats.core_peak / result.stats.core_capacity * 100,
        "ring": spool.ring_peak / spool.ring_frames * 100,
        "stored raw": spool.frames_raw / max(1, result.frames_written) * 100 if compression else 100.0,
        "size": spool.bytes_stored / max(1, spool.bytes_written),
    }


_WAYS = {
    f"{compression or 'raw'}, {load} a processor": partial(record, compression=compression, load=load)
    for load in (1, 2)
    for compression in (None, "fast", "small")
}

CASE = Case(
    name="busy",
    about="A simulated camera of 2048x2048 uint16 at 100 frames/s (839 MB/s) with the core's usual buffer of 250 MB, "
    "while every processor also runs one or two processes that compute without end, at normal priority. `core` and "
    "`ring` are the most of each buffer that was in use.",
    ways=_WAYS,
    disk_bytes=lambda _setting: FRAMES * SIDE * SIDE * 2 + (1 << 30),
    figures=tuple(column(way, "lost", "frames", target=Target(at_most=0)) for way in _WAYS),
    columns={"lost": "frames", "core": "%", "ring": "%", "stored raw": "%", "size": "of raw"},
)
