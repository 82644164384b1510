"""Recording several cameras side by side: each has its own ring, writer process and file."""

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Unpack

from ..adapters import is_multi_camera, split_multi_camera
from ..errors import SettingError
from ..persistence import camera_name, check_output_path, member_paths, refuse_unknown_options, write_master
from .camera import Camera
from .interrupts import StopOnInterrupt
from .launch import PreparedRecording
from .options import RecordingKeywords
from .result import EndReason, RecordResult
from .running import RunningRecording

_LOOK_S = 0.1


@dataclass(frozen=True, kw_only=True, slots=True)
class CamerasResult:
    """How a recording of several cameras ended.

    Attributes
    ----------
    path
        The master file; `mmspool.open` reads it.
    results
        How each camera's recording ended.
    """

    path: Path
    results: Mapping[str, RecordResult]

    @property
    def complete(self) -> bool:
        """Whether all ended as planned and no frame of any camera is missing."""
        return all(result.complete for result in self.results.values())


def record_cameras(
    path: str | os.PathLike[str],
    cameras: Mapping[str, Camera] | Camera,
    *,
    leader: str | None = None,
    **options: Unpack[RecordingKeywords],
) -> CamerasResult:
    """Record several cameras at the same time, each to a file of its own, and return when all have ended.

    Parameters
    ----------
    path
        The master file to make, such as ``run.h5``; the cameras' files lie beside it, such as ``run_left.h5``.
    cameras
        Each with a core of its own, by the names that they have in the files. Or one whose device is Micro-Manager's
        Multi Camera: each of the cameras that it combines gets a file, with its label for a name.
    leader
        The camera that is started last, so that those which follow its triggers wait for them already; by default the
        first one. A Multi Camera starts its cameras itself, in their order.
    options
        As for `Camera.start_recording`, the same for each. ``buffer_bytes`` is for each ring.

    Returns
    -------
    CamerasResult
        How it ended. When a camera ends early the others are stopped, as Ctrl-C stops all of them.

    Raises
    ------
    SettingError
        Two cameras share a core, the leader is none of them, or a single camera is no Multi Camera.
    CoreError, SpoolError
        One of them could not be started, or failed; the others were stopped, and what was recorded is in the files.
    """
    refuse_unknown_options("a recording", options, RecordingKeywords.__annotations__)
    master = Path(path).absolute()
    if isinstance(cameras, Camera):
        cameras = _split(cameras)
    order = _start_order(cameras, leader)
    members = member_paths(master, list(cameras))
    overwrite = options.get("overwrite", False)
    for file in (master, *members.values()):
        check_output_path(file, overwrite=overwrite)
    prepared: dict[str, PreparedRecording] = {}
    recordings: dict[str, RunningRecording] = {}

    def stop(signal_name: str = "") -> None:
        for recording in tuple(recordings.values()):
            recording.stop_on_signal(signal_name)

    with StopOnInterrupt() as interrupt:
        interrupt.watch(stop)
        try:
            write_master(master, members, leader=order[-1], overwrite=overwrite)
            for name in order:
                prepared[name] = cameras[name].prepare_recording(members[name], **options)
            for name in order:
                recordings[name] = prepared.pop(name).start()
            if interrupt.asked:
                stop()
            _wait(recordings, stop)
        except BaseException as exc:
            for each in prepared.values():
                each.discard(exc)
            stop()
            for recording in recordings.values():
                recording.join()
            raise
    results = {name: recordings[name].wait() for name in cameras}
    return CamerasResult(path=master, results={name: result for name, result in results.items() if result is not None})


def _split(camera: Camera) -> dict[str, Camera]:
    """Return the cameras of a Multi Camera by their names in files."""
    if not is_multi_camera(camera.core, camera.label):
        raise SettingError(f"{camera.label} is one camera: record it with camera.record, or give several by name")
    cores = split_multi_camera(camera.core)
    cameras = {camera_name(label): Camera(core) for label, core in cores.items()}
    if len(cameras) < len(cores):
        raise SettingError(f"the labels {', '.join(cores)} are the same as parts of files' names: rename the devices")
    return cameras


def _start_order(cameras: Mapping[str, Camera], leader: str | None) -> list[str]:
    if not cameras:
        raise SettingError("record_cameras was given no camera: give one or more, by name")
    leader = next(iter(cameras)) if leader is None else leader
    if leader not in cameras:
        raise SettingError(f"leader is {leader!r}; expected one of the cameras, {', '.join(cameras)}")
    if len({id(camera.core) for camera in cameras.values()}) < len(cameras):
        raise SettingError("two cameras share a core, which runs one sequence at a time: give each a core of its own")
    return [*(name for name in cameras if name != leader), leader]


def _wait(recordings: Mapping[str, RunningRecording], stop: Callable[[], None]) -> None:
    """Wait until all have ended; stop the others once one has ended early."""
    stopped = False
    while any(recording.running for recording in recordings.values()):
        for recording in recordings.values():
            if not recording.join(_LOOK_S / len(recordings)) or stopped:
                continue
            result = recording.wait()
            if result is None or result.end_reason is not EndReason.COMPLETED:
                stopped = True
                stop()
