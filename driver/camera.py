"""`Camera`: a microscope's camera, controlled and recorded."""

import logging
import os
import weakref
from collections.abc import Callable
from pathlib import Path
from typing import Any, Self, Unpack

from .. import adapters
from ..adapters import CoreAdapter, DemoKeywords, HeadlessKeywords, Image, MockCore, MockKeywords
from ..errors import CameraBusyError
from ..persistence import Spool, SpoolKeywords, check_output_path, refuse_unknown_options
from .interrupts import StopOnInterrupt
from .launch import PreparedRecording, prepare, require_recordable
from .live import LiveFrame
from .options import RecordingKeywords, RecordingOptions
from .result import RecordResult, RecordStats
from .running import RunningRecording, report_progress
from .settings import CameraSettings
from .time_lapse import TimeLapseResult, check_plan, run_time_lapse

_log = logging.getLogger("mmspool")


class Camera(CameraSettings):
    """The current camera of a Micro-Manager core.

    Parameters
    ----------
    core
        What ``pycromanager.Core()`` returned, of either backend, a ``pymmcore_plus.CMMCorePlus`` or
        ``pymmcore.CMMCore``, a `MockCore`, or an adapter. It stays yours: closing the camera leaves it running.

    Raises
    ------
    ConnectError
        ``core`` is no such thing.
    CoreError
        The core has no camera.
    """

    def __init__(self, core: Any) -> None:
        super().__init__(core if isinstance(core, CoreAdapter) else adapters.wrap(core))
        # A recording lives as long as its thread; what it holds need not live as long as the camera.
        self._last_recording: Callable[[], RunningRecording | None] = lambda: None

    @classmethod
    def demo(cls, **options: Unpack[DemoKeywords]) -> Self:
        """Start a real core with Micro-Manager's DemoCamera; see `mmspool.adapters.demo` for the options."""
        refuse_unknown_options("Camera.demo", options, DemoKeywords.__annotations__)
        return cls(adapters.demo(**options))

    @classmethod
    def connect(cls, port: int = 4827, *, timeout_s: float = 5.0, frame_pump: bool = True) -> Self:
        """Use the camera of a running Micro-Manager, its server on; see `mmspool.adapters.connect` for the options."""
        return cls(adapters.connect(port, timeout_s=timeout_s, frame_pump=frame_pump))

    @classmethod
    def headless(cls, mm_dir: str | Path, config: str | Path, **options: Unpack[HeadlessKeywords]) -> Self:
        """Start Micro-Manager's core without its windows; see `mmspool.adapters.headless` for the options."""
        refuse_unknown_options("Camera.headless", options, HeadlessKeywords.__annotations__)
        return cls(adapters.headless(mm_dir, config, **options))

    @classmethod
    def mock(cls, **options: Unpack[MockKeywords]) -> Self:
        """Use a simulated core, without Micro-Manager; see `mmspool.adapters.MockCore` for the options."""
        refuse_unknown_options("Camera.mock", options, MockKeywords.__annotations__)
        return cls(MockCore(**options))

    def start_recording(self, path: str | os.PathLike[str], **options: Unpack[RecordingKeywords]) -> RunningRecording:
        """Start a recording and return at once.

        Parameters
        ----------
        path
            The HDF5 file to make.
        options
            ``frames``, ``seconds``, ``until``, ``triggers``, ``plan``, ``columns``, ``on_frame``, ``compression``, ...:
            see `RecordingKeywords`.

        Raises
        ------
        TypeError
            There is no such option; the message names the nearest.
        ValueError
            An option makes no sense.
        SettingError
            The frames cannot be recorded as they are: several cameras in one; or the camera gives another number of
            frames for a trigger.
        CameraBusyError
            A sequence is running, or the frames of the last one are still being taken from the core.
        CoreError
            The camera does not start. No file is left behind.
        StorageError
            The file or the ring cannot be created.
        KeyboardInterrupt
            Ctrl-C while it started; the recording was stopped and its file closed.
        """
        with StopOnInterrupt() as interrupt:
            interrupt.watch(lambda _signal: self.core.abandon_stuck_call())
            recording = self.prepare_recording(path, **options).start()
            interrupt.watch(recording.stop_on_signal)
            if interrupt.asked:
                recording.join()
        if interrupt.asked:
            raise KeyboardInterrupt
        return recording

    def prepare_recording(
        self, path: str | os.PathLike[str], **options: Unpack[RecordingKeywords]
    ) -> PreparedRecording:
        """Make the file and the ring of a recording, and start the camera later, by the result's ``start()``.

        For cameras that are to start one right after the other. Arguments and errors as for `start_recording`.
        """
        # Everything that can be refused without the camera is, before it is touched.
        checked = RecordingOptions.from_keywords(options, exposure_ms=self.exposure_ms)
        check_output_path(Path(path), overwrite=checked.spool.get("overwrite", False))
        self._require_idle("start a recording")
        require_recordable(self.core, self.label)
        values = self.properties.read_all()
        self._vocabulary.check_start(values)
        self._vocabulary.check_bursts(checked.triggers)
        info = self._detector_info(values)
        clock_step_ns = self._vocabulary.clock_step_ns()
        return prepare(self.core, Path(path), checked, info=info, clock_step_ns=clock_step_ns, announce=self._remember)

    def _remember(self, recording: RunningRecording) -> None:
        self._last_recording = weakref.ref(recording)

    def record(
        self,
        path: str | os.PathLike[str],
        *,
        progress: bool | Callable[[RecordStats], object] = False,
        **options: Unpack[RecordingKeywords],
    ) -> RecordResult:
        """Record and return when it has ended; Ctrl-C ends it too, with everything received in the file.

        Parameters
        ----------
        path
            The HDF5 file to make.
        progress
            True shows progress on the terminal's error output. A function is called five times a second with the
            figures; one that raises is logged and not called again.
        options
            As for `start_recording`.

        Returns
        -------
        RecordResult
            How it ended. ``result.complete`` is False when a frame is missing or it ended early.

        Raises
        ------
        CoreError
            The core failed; the frames until then are in the file.
        SpoolError
            The file could not be made or written; what was written stays readable.
        """
        with StopOnInterrupt() as interrupt, self.start_recording(path, **options) as recording:
            interrupt.watch(recording.stop_on_signal)
            while True:
                try:
                    if progress is True:
                        from .progress import show_progress  # rich takes long to import

                        show_progress(recording, Path(path).absolute(), options.get("seconds"))
                    elif progress:
                        report_progress(recording, progress)
                    result = recording.wait()
                except KeyboardInterrupt:  # from a signal handler of the script's own
                    recording.stop()
                else:
                    assert result is not None  # noqa: S101 - wait without a limit has a result or raises
                    return result

    def stop_sequence(self) -> None:
        """Stop the camera, whichever program started it: a client that was killed leaves its sequence running.

        A recording of this camera ends as by `RunningRecording.stop`, and this waits for its end. Of another client's
        sequence, frames that it has not taken yet stay in the core until the next start. Harmless when nothing runs.

        Raises
        ------
        CoreError
            The camera refuses to stop.
        """
        recording = self._last_recording()
        if recording is not None and recording.taking:
            recording.stop()
            recording.join()
        else:
            self.core.stop_sequence()

    def record_time_lapse(
        self,
        path: str | os.PathLike[str],
        *,
        frames: int,
        interval_s: float,
        burst_frames: int = 1,
        **options: Unpack[SpoolKeywords],
    ) -> TimeLapseResult:
        """Record single exposures, or bursts, at exact intervals, each started by this computer.

        Parameters
        ----------
        path
            The HDF5 file to make.
        frames
            How many there are in all.
        interval_s
            From one start to the next, seconds; times are counted from the first, so that lateness does not add up.
        burst_frames
            Frames that are exposed one after the other at each of these times, as fast as the camera makes them.
        options
            As for `Spool`, without ``shape``, ``dtype`` and ``info``, which are the camera's.

        Returns
        -------
        TimeLapseResult
            How it ended, and how late the exposures started.

        Raises
        ------
        CameraBusyError
            A sequence is running.
        CoreError
            The camera failed; the frames until then are in the file.
        SpoolError
            The file could not be made or written.
        """
        check_plan(frames, interval_s, burst_frames)
        check_output_path(path, overwrite=options.get("overwrite", False))
        self._require_idle("start a time lapse")
        require_recordable(self.core, self.label)
        image = self.image_format
        spool_options: dict[str, Any] = dict(options)
        spool_options |= {"shape": image.shape, "dtype": image.dtype, "info": self.detector_info()}
        spool_options["expected_frames"] = frames
        spool = Spool(path, **spool_options)
        return run_time_lapse(self.core, spool, frames=frames, interval_s=interval_s, burst_frames=burst_frames)

    def latest(self) -> LiveFrame | None:
        """Return the newest frame of its recording, without a copy; None while it does not record, or has none yet."""
        recording = self._last_recording()
        return recording.latest() if recording is not None and recording.taking else None

    def snap(self) -> Image:
        """Expose once and return the frame, ``(Y, X)``, owned by the caller; while it records, its newest frame.

        Raises
        ------
        CameraBusyError
            A sequence of another program is running, or a recording that has no frame yet.
        CoreError
            The camera failed.
        """
        newest = self.latest()
        if newest is None:
            return super().snap()
        _log.info("%s records: snap returns its newest frame, number %d", self.label, newest.number)
        return newest.pixels.copy()

    def close(self) -> None:
        """Release the core, and stop it if this camera started it; idempotent. A running recording is ended first."""
        recording = self._last_recording()
        if recording is not None:
            recording.stop()
            recording.join()
            if recording.stuck:
                _log.error("%s is not let go of: its driver has not returned from a stop; end this process", self.label)
                return
        self.core.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_exc: object) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<Camera {self.label} ({self.core.backend} core)>"

    def _require_idle(self, action: str) -> None:
        recording = self._last_recording()
        if recording is not None and recording.taking:
            raise CameraBusyError(
                f"cannot {action} of {self.label} while a recording takes its frames from the core: stop() it or "
                "wait() for it first"
            )
        super()._require_idle(action)
