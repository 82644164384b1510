"""A recording to which no frame comes: what both processes use meanwhile."""

import time

import numpy as np

from mmspool import Spool

from .base import Case, Record, Setting, Target, column
from .probe import cpu_s, writer_process
from .real_core import demo

SECONDS, QUICK_SECONDS = 6.0, 0.3
LONG_EXPOSURE_MS = 10_000.0  # the most that DemoCamera takes; the watch is over before


def _watch(setting: Setting) -> Record:
    seconds = QUICK_SECONDS if setting.quick else SECONDS
    writer = writer_process()
    started, own, its = time.perf_counter(), cpu_s(), cpu_s(writer)
    time.sleep(seconds)
    wall = time.perf_counter() - started
    return {"producer": (cpu_s() - own) / wall * 100, "writer": (cpu_s(writer) - its) / wall * 100}


def spool(setting: Setting) -> Record:
    """Wait after the first frame of a spool."""
    with Spool(setting.folder / "run.h5") as spool:
        spool.put(np.zeros((2048, 2048), np.uint16))
        time.sleep(1.5)  # it has been synced
        return _watch(setting)


def camera(setting: Setting) -> Record:
    """Wait for a camera that exposes for ten seconds."""
    with demo(width=512, height=512, buffer_mb=64) as camera:
        camera.exposure_ms = LONG_EXPOSURE_MS
        running = camera.start_recording(setting.folder / "run.h5", frames=10)
        time.sleep(1.5)
        record = _watch(setting)
        running.stop()
        running.wait(30.0)
        return record


CASE = Case(
    name="idle",
    about="No frame comes: processor time of both processes, of one core, for a spool and for a recording of a camera "
    "(whose driver has to ask the core for frames).",
    ways={"spool": spool, "camera": camera},
    disk_bytes=lambda _setting: 1 << 30,
    figures=tuple(
        column(way, role, "% of a core", target=Target(at_most=1))
        for way in ("spool", "camera")
        for role in ("producer", "writer")
    ),
)
