"""Measuring for `preflight`: a short sequence of the camera, of which nothing is recorded, then the machine."""

import contextlib
import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from ...adapters import CoreAdapter
from ...errors import CameraBusyError, CoreError
from ...persistence.capacity import (
    DiskRate,
    available,
    check_folder,
    default_buffer_bytes,
    measure_copy,
    measure_disk,
)
from ..interrupts import StopOnInterrupt
from .verdict import FrameLoad, Measurements

_FRAMES = 10_000  # a finite number: without one some cameras run with other settings
_LEAST_FRAMES = 20
_SEQUENCE_S = 2.0
_PATIENCE = 5  # times as long, until there are some frames
_IDLE_S = 0.0005

ProgressCallback = Callable[[str, float], None]
"""Called with what is being measured, and how much of that is done, 0 to 1."""


@dataclass(frozen=True, kw_only=True, slots=True)
class CameraRate:
    """What a short sequence of a camera showed.

    Attributes
    ----------
    frames
        How many were taken.
    fps
        How many a second came into the core's buffer; None if too few came.
    pop_s
        Taking one from the core, seconds, on average; None if none came.
    core_frames
        How many the core's buffer holds.
    """

    frames: int
    fps: float | None
    pop_s: float | None
    core_frames: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Measured:
    """Everything that was measured; ``camera`` is None without one."""

    load: FrameLoad
    figures: Measurements
    disk: DiskRate
    camera: CameraRate | None


def measure(
    folder: Path, load: FrameLoad, *, core: CoreAdapter | None, seconds: float, report: ProgressCallback
) -> Measured:
    """Measure the camera, the copy of a frame and the disk, in this order.

    Parameters
    ----------
    folder
        Where recordings will be made; nothing is left there.
    load
        The frames; the camera's own rate is used if ``load.fps`` is None.
    core
        The core, idle and configured; None for frames that come from elsewhere.
    seconds
        How long to write to the disk.
    report
        Called with how far it is.

    Raises
    ------
    CameraBusyError
        A sequence is running.
    CoreError
        The camera failed.
    StorageError
        The folder cannot be written to, or there is too little disk, memory or shared memory.
    KeyboardInterrupt
        Ctrl-C; the camera is stopped, and no file is left behind.
    """
    check_folder(folder)
    with StopOnInterrupt() as interrupt:

        def checked(what: str, done: float) -> None:
            report(what, done)
            if interrupt.asked:
                raise KeyboardInterrupt

        camera = (
            None if core is None else measure_camera(core, lambda done: checked("camera", done), seconds=_SEQUENCE_S)
        )
        if core is not None and camera is not None and load.fps is None:
            load = replace(load, fps=camera.fps or _fastest(core))
        checked("copy", 0.0)
        copy_s = measure_copy(load.shape, load.dtype)
        free = shutil.disk_usage(folder).free
        checked("disk", 0.0)
        disk = measure_disk(folder, seconds=seconds, progress=lambda done: checked("disk", done))
    figures = Measurements(
        disk_bytes_per_s=disk.bytes_per_s,
        disk_free_bytes=free,
        copy_s=copy_s,
        pop_s=None if camera is None else camera.pop_s,
        core_frames=0 if camera is None else camera.core_frames,
        ring_default_bytes=default_buffer_bytes(),
        ring_largest_bytes=available()[0],
        slowest_write_s=disk.slowest_s,
    )
    return Measured(load=load, figures=figures, disk=disk, camera=camera)


def _fastest(core: CoreAdapter) -> float | None:
    """Return the frames a second that the exposure allows, for a camera that is triggered from outside."""
    exposure_ms = core.get_exposure_ms()
    return 1e3 / exposure_ms if exposure_ms > 0 else None


def measure_camera(core: CoreAdapter, progress: Callable[[float], None], *, seconds: float) -> CameraRate:
    """Run the camera for a moment, up to five times as long if frames are rare, and throw its frames away.

    Parameters
    ----------
    core
        Idle and configured.
    progress
        Called with how much is done, 0 to 1; an exception in it ends the sequence.
    seconds
        How long.

    Raises
    ------
    CameraBusyError
        A sequence is running.
    CoreError
        The core failed.
    """
    if core.is_sequence_running():
        raise CameraBusyError(
            "a sequence is running, which a preflight would end: stop it first, with stop_sequence() or on the command "
            "line with --stop-running"
        )
    core_frames = core.buffer_capacity()
    core.start_sequence(_FRAMES)
    try:
        watch = _watch(core, progress, seconds)
        core.stop_sequence()
    except BaseException:
        with contextlib.suppress(CoreError):  # it must not hide why
            core.stop_sequence()
        raise
    return CameraRate(
        frames=watch.popped,
        fps=watch.fps,
        pop_s=watch.popping_s / watch.popped if watch.popped else None,
        core_frames=core_frames,
    )


@dataclass(slots=True)
class _Watch:
    """What was seen of a sequence: when the first frames had come and the last ones, and how long pops took."""

    popped: int = 0
    popping_s: float = 0.0
    first: tuple[float, int] | None = None
    last: tuple[float, int] | None = None

    def look(self, now: float, waiting: int) -> None:
        """Note how many frames the core has had by now."""
        made = self.popped + waiting
        if made and self.first is None:
            self.first = now, made
        if self.first is not None and made > (self.last or self.first)[1]:
            self.last = now, made

    @property
    def fps(self) -> float | None:
        """Frames a second that came into the core; None if there were not two of them at two moments."""
        if self.first is None or self.last is None or self.last[0] <= self.first[0]:
            return None
        return (self.last[1] - self.first[1]) / (self.last[0] - self.first[0])


def _watch(core: CoreAdapter, progress: Callable[[float], None], seconds: float) -> _Watch:
    watch, start = _Watch(), time.monotonic()
    while True:
        running = core.is_sequence_running()
        now, waiting = time.monotonic(), core.remaining()
        watch.look(now, waiting)
        limit = seconds if watch.popped >= _LEAST_FRAMES else seconds * _PATIENCE
        if not running or now - start > limit:
            return watch
        progress((now - start) / limit)
        if not waiting:
            time.sleep(_IDLE_S)
            continue
        before = time.perf_counter()
        if core.pop() is not None:
            watch.popping_s += time.perf_counter() - before
            watch.popped += 1
