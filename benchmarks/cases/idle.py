"""A recording to which no frame comes: what both processes use meanwhile."""

import contextlib
import time
from collections.abc import Mapping

import numpy as np
import psutil
from peers import NotAvailableError

from mmspool import ConnectError, Spool, adapters

from .base import Case, Figure, Record, Setting, Target, column
from .probe import cpu_s, writer_process
from .real_core import demo

SECONDS, QUICK_SECONDS = 6.0, 0.3
ALONE = "camera, not recorded"
LONG_EXPOSURE_MS = 10_000.0  # the most that DemoCamera takes; the watch is over before


def _watch(setting: Setting, **processes: psutil.Process | None) -> Record:
    """Return what processes, None being this one, use of a core while nothing happens, %."""
    started, before = time.perf_counter(), {role: cpu_s(process) for role, process in processes.items()}
    time.sleep(QUICK_SECONDS if setting.quick else SECONDS)
    wall = time.perf_counter() - started
    return {role: (cpu_s(process) - before[role]) / wall * 100 for role, process in processes.items()}


def spool(setting: Setting) -> Record:
    """Wait after the first frame of a spool."""
    with Spool(setting.folder / "run.h5") as spool:
        spool.put(np.zeros((2048, 2048), np.uint16))
        time.sleep(1.5)  # it has been synced
        return _watch(setting, producer=None, writer=writer_process())


def camera(setting: Setting) -> Record:
    """Wait for a camera that exposes for ten seconds."""
    with demo(width=512, height=512, buffer_mb=64) as camera:
        camera.exposure_ms = LONG_EXPOSURE_MS
        running = camera.start_recording(setting.folder / "run.h5", frames=10)
        time.sleep(1.5)
        record = _watch(setting, producer=None, writer=writer_process())
        running.stop()
        running.wait(30.0)
        return record


def camera_alone(setting: Setting) -> Record:
    """Wait for the same camera while nothing records: what the simulated camera's own thread uses."""
    try:
        core = adapters.demo(width=512, height=512, buffer_mb=64)
    except ConnectError as exc:
        raise NotAvailableError(f"{exc}") from exc
    with contextlib.closing(core):
        core.set_exposure_ms(LONG_EXPOSURE_MS)
        core.start_sequence(10)
        time.sleep(1.5)
        record = _watch(setting, producer=None)
        core.stop_sequence()
        return record


def _added(records: Mapping[str, Record]) -> float:
    return float(records["camera"]["producer"] - records[ALONE]["producer"])


CASE = Case(
    name="idle",
    about="No frame comes: processor time of both processes, of one core, for a spool and for a recording of a camera "
    "(whose driver has to ask the core for frames). `not recorded` is what DemoCamera uses by itself.",
    ways={"spool": spool, "camera": camera, ALONE: camera_alone},
    disk_bytes=lambda _setting: 1 << 30,
    figures=(
        *(column("spool", role, "% of a core", target=Target(at_most=1)) for role in ("producer", "writer")),
        column("camera", "producer", "% of a core"),
        column(ALONE, "producer", "% of a core"),
        Figure(name="camera: producer, added by recording", unit="% of a core", of=_added, target=Target(at_most=1)),
        column("camera", "writer", "% of a core", target=Target(at_most=1)),
    ),
)
