"""Launching a recording: the core's buffer, the ring and the file, and last the camera; or nothing of them."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ..adapters import STAMP_PIXELS, CoreAdapter, is_multi_camera, read_pco_stamp
from ..errors import CoreError, SettingError, SpoolError
from ..persistence import DetectorInfo, Spool, buffer_bytes_for, discard_file
from .acquisition import Acquisition
from .intake import FrameIntake
from .options import RecordingOptions
from .running import RunningRecording
from .triggers import NO_PLAN

_STAMP = {"y": 0, "x": 0, "height": 1, "width": STAMP_PIXELS, "content": "PCO stamp"}
_STAMP_TIME = {"clock": "camera", "moment": "end of the exposure"}


def require_recordable(core: CoreAdapter, label: str) -> None:
    """Refuse what would be recorded wrong: frames of several cameras in one stack.

    Raises
    ------
    SettingError
        Which it is, and what to do.
    """
    if is_multi_camera(core, label):
        raise SettingError(
            f"{label} is a Multi Camera, whose frames of several cameras would be mixed in one stack: record it with "
            "mmspool.record_cameras(path, camera), which gives each of them a file"
        )


def prepare(
    core: CoreAdapter,
    path: Path,
    options: RecordingOptions,
    *,
    info: DetectorInfo,
    clock_step_ns: Callable[[int], int] | None,
    announce: Callable[[RunningRecording], object],
) -> "PreparedRecording":
    """Open the file and the ring; the camera is started later.

    Parameters
    ----------
    core
        Idle and configured; its frames can be recorded.
    path
        The file to make.
    options
        Checked.
    info
        What is known of the camera.
    clock_step_ns
        As for `GapDetector`.
    announce
        Called with the recording before its first frame is taken.

    Raises
    ------
    CoreError
        The core does not say what its frames are. No file is left behind.
    StorageError
        The file or the ring cannot be created.
    """
    if options.core_buffer_mb is not None:
        core.set_buffer_mb(options.core_buffer_mb)
    image = core.image_format()
    spool_options = dict(options.spool) | {"expected_frames": options.conditions.frames}
    if options.conditions.frames is not None and spool_options.get("buffer_bytes") is None:
        spool_options["buffer_bytes"] = buffer_bytes_for(image.frame_bytes, options.conditions.frames)
    stamped = options.pixel_stamp == "pco"
    more: dict[str, Any] = {"pixels_not_image": _STAMP, "time_stamp": _STAMP_TIME} if stamped else {}
    if options.triggers != NO_PLAN:
        more["trigger"] = options.triggers.facts()
    info = replace(info, camera={**info.camera, **more})
    spool = Spool(path, shape=image.shape, dtype=image.dtype, info=info, **spool_options)
    try:
        intake = FrameIntake(
            spool,
            clock_step_ns=clock_step_ns,
            read_stamp=read_pco_stamp if stamped else None,
            columns=None if options.columns is None else options.columns.values,
            triggers=options.triggers,
        )
        acquisition = Acquisition(core, intake, options.conditions, pre_trigger_frames=options.pre_trigger_frames)
    except BaseException as exc:
        _undo(core, spool, exc)
        raise
    return PreparedRecording(
        core=core,
        acquisition=acquisition,
        options=options,
        announce=announce,
        losses_before_core=str(info.camera.get("losses_before_core", "")),
    )


@dataclass(frozen=True, kw_only=True, slots=True)
class PreparedRecording:
    """A recording whose file and ring are ready: only the camera is to be started, or the file given up.

    Attributes
    ----------
    core, acquisition, options
        The camera's core, the sequence to start, and what was asked for.
    announce
        Called with the recording before its first frame is taken.
    losses_before_core
        As `RecordResult` has it.
    """

    core: CoreAdapter
    acquisition: Acquisition
    options: RecordingOptions
    announce: Callable[[RunningRecording], object]
    losses_before_core: str

    def start(self) -> RunningRecording:
        """Start the camera, and take its frames from then on.

        Raises
        ------
        CoreError
            The camera does not start. No file is left behind.
        """
        try:
            self.acquisition.start()
            calls = self.options.on_frame, self.options.on_event
            recording = RunningRecording(self.acquisition, *calls, losses_before_core=self.losses_before_core)
            self.announce(recording)  # before the first frame, with which a thread may use the camera
            recording.begin()
        except BaseException as exc:
            self.discard(exc)
            raise
        return recording

    def discard(self, why: BaseException) -> None:
        """Give it up; no file is left behind. What fails in that is noted in ``why``."""
        _undo(self.core, self.acquisition.intake.spool, why)


def _undo(core: CoreAdapter, spool: Spool, exc: BaseException) -> None:
    """Leave neither a file nor a running camera behind; that this fails too must not hide why it did not start.

    A camera that refused to start is left alone: the sequence that runs then is another client's.
    """
    try:
        if not isinstance(exc, CoreError) and core.is_sequence_running():
            core.stop_sequence()
    except CoreError as stopping:
        exc.add_note(f"the camera could not be stopped either: {stopping}")
    try:
        spool.close(interrupted=True, end_reason="the camera did not start")
    except SpoolError as closing:
        exc.add_note(f"closing the file failed too: {closing}")
    discard_file(spool.path, exc)
