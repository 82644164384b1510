"""What a recording of one frame costs."""

import time

import numpy as np

from mmspool import Spool

from .base import Case, Record, Setting, column

SIDE = 2048
LARGE, SMALL = 1 << 30, 64 << 20
STEPS = ("Spool()", "first put", "close")
DISK_BYTES = 1 << 30  # one increment of 100 frames and some


def _start(setting: Setting, buffer_bytes: int) -> Record:
    frame = np.zeros((SIDE, SIDE), np.uint16)
    times = [time.perf_counter()]
    spool = Spool(setting.folder / "first.h5", buffer_bytes=buffer_bytes)
    times.append(time.perf_counter())
    spool.put(frame)
    times.append(time.perf_counter())
    spool.close()
    times.append(time.perf_counter())
    return {step: (after - before) * 1e3 for step, before, after in zip(STEPS, times, times[1:], strict=False)}


def large_ring(setting: Setting) -> Record:
    """Start with a ring of 1 GiB, which is the default where there is memory enough."""
    return _start(setting, LARGE)


def small_ring(setting: Setting) -> Record:
    """Start with a ring of 64 MiB."""
    return _start(setting, SMALL)


CASE = Case(
    name="startup",
    about="A recording of one frame of 2048x2048: `Spool()`, the first `put` (which waits for the new process and "
    "makes the file), `close`.",
    ways={"1 GiB ring": large_ring, "64 MiB ring": small_ring},
    disk_bytes=lambda _setting: DISK_BYTES,
    figures=tuple(column(way, step, "ms") for way in ("1 GiB ring", "64 MiB ring") for step in STEPS),
)
