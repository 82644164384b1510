"""`Camera`: a microscope's camera, controlled and recorded."""

import os
import weakref
from collections.abc import Callable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, Self

from rich.console import Console

from .. import adapters
from ..adapters import CoreAdapter, MockCore
from ..errors import CameraBusyError, CoreError, SpoolError
from ..persistence import Spool, buffer_bytes_for
from .acquisition import Acquisition, Plan
from .interrupts import StopOnInterrupt
from .progress import follow
from .result import RecordResult
from .running import RunningRecording
from .settings import CameraSettings

_FRAME_TIMEOUT_S = 10.0


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
    def demo(cls, **options: Any) -> Self:
        """Start a real core with Micro-Manager's DemoCamera; see `mmspool.adapters.demo` for the options."""
        return cls(adapters.demo(**options))

    @classmethod
    def connect(cls, port: int = 4827, *, timeout_s: float = 5.0) -> Self:
        """Use the camera of a running Micro-Manager, whose server option must be ticked."""
        return cls(adapters.connect(port, timeout_s=timeout_s))

    @classmethod
    def headless(
        cls, mm_dir: str | Path, config: str | Path, *, backend: Literal["python", "java"] = "python", **options: Any
    ) -> Self:
        """Start Micro-Manager's core without its windows; see `mmspool.adapters.headless` for the options."""
        return cls(adapters.headless(mm_dir, config, backend=backend, **options))

    @classmethod
    def mock(cls, **options: Any) -> Self:
        """Use a simulated core, without Micro-Manager; see `mmspool.adapters.MockCore` for the options."""
        return cls(MockCore(**options))

    def start_recording(
        self,
        path: str | os.PathLike[str],
        *,
        frames: int | None = None,
        seconds: float | None = None,
        until: Callable[[], bool] | None = None,
        frame_timeout_s: float | None = None,
        core_buffer_mb: int | None = None,
        metadata: Mapping[str, Any] | None = None,
        **spool_options: Any,
    ) -> RunningRecording:
        """Start a recording and return at once.

        Parameters
        ----------
        path
            The HDF5 file to make.
        frames, seconds, until
            When to end: after so many frames, so many seconds, or when ``until()`` is true (called often, from another
            thread); whatever comes first. Without any of them: until `RunningRecording.stop`.
        frame_timeout_s
            End when no frame came for so long; by default 10 s and ten exposures. ``math.inf`` waits for ever for a
            trigger.
        core_buffer_mb
            Size of the core's circular buffer; by default it is left as it is.
        metadata
            Anything JSON can hold; stored with the recording.
        spool_options
            ``buffer_bytes`` (by default as for `Spool`, but no more than ``frames`` need), ``on_full``,
            ``timeout_s``, ``overwrite``, ...: see `Spool`.

        Raises
        ------
        CameraBusyError
            A sequence is running, or the frames of the last one are still being taken from the core.
        CoreError
            The camera does not start. No file is left behind.
        StorageError
            The file or the ring cannot be made.
        ValueError
            An option makes no sense.
        KeyboardInterrupt
            Ctrl-C while it started; the recording was stopped and its file closed.
        """
        with StopOnInterrupt() as interrupt:
            recording = self._start(
                path,
                frames=frames,
                seconds=seconds,
                until=until,
                frame_timeout_s=frame_timeout_s,
                core_buffer_mb=core_buffer_mb,
                metadata=metadata,
                spool_options=spool_options,
            )
            interrupt.watch(recording.stop)
            if interrupt.asked:
                recording.join()
        if interrupt.asked:
            raise KeyboardInterrupt
        return recording

    def _start(
        self,
        path: str | os.PathLike[str],
        *,
        frames: int | None,
        seconds: float | None,
        until: Callable[[], bool] | None,
        frame_timeout_s: float | None,
        core_buffer_mb: int | None,
        metadata: Mapping[str, Any] | None,
        spool_options: dict[str, Any],
    ) -> RunningRecording:
        timeout = _FRAME_TIMEOUT_S + self.exposure_ms / 100 if frame_timeout_s is None else frame_timeout_s
        plan = Plan(frames=frames, seconds=seconds, until=until, frame_timeout_s=timeout)
        self._require_idle("a new recording")
        if core_buffer_mb is not None:
            self.core.set_buffer_mb(core_buffer_mb)
        image = self.image_format
        if frames is not None and spool_options.get("buffer_bytes") is None:
            frame_bytes = image.height * image.width * image.dtype.itemsize
            spool_options["buffer_bytes"] = buffer_bytes_for(frame_bytes, frames)
        spool = Spool(
            path,
            shape=(image.height, image.width),
            dtype=image.dtype,
            info=self.detector_info(),
            metadata=metadata,
            **spool_options,
        )
        try:
            acquisition = Acquisition(self.core, spool, plan)
            acquisition.start()
            recording = RunningRecording(acquisition, spool)
            self._last_recording = weakref.ref(recording)
            recording.begin()
        except BaseException as exc:
            self._undo_start(spool, exc)
            raise
        return recording

    def _undo_start(self, spool: Spool, exc: BaseException) -> None:
        """Leave neither a file nor a running camera behind; that this fails too must not hide why it did not start.

        A camera that refused to start is left alone: the sequence that runs then is another client's.
        """
        try:
            if not isinstance(exc, CoreError) and self.core.is_sequence_running():
                self.core.stop_sequence()
        except CoreError as stopping:
            exc.add_note(f"the camera could not be stopped either: {stopping}")
        try:
            spool.close(interrupted=True, end_reason="the camera did not start")
        except SpoolError as closing:
            exc.add_note(f"closing the file failed too: {closing}")
        spool.path.unlink(missing_ok=True)

    def record(
        self,
        path: str | os.PathLike[str],
        *,
        progress: bool | Console = False,
        **options: Any,
    ) -> RecordResult:
        """Record and return when it has ended; Ctrl-C ends it too, with everything received in the file.

        Parameters
        ----------
        path
            The HDF5 file to make.
        progress
            True shows progress on the terminal's error output, or on the console given.
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
            interrupt.watch(recording.stop)
            while True:
                try:
                    if progress:
                        console = progress if isinstance(progress, Console) else Console(stderr=True)
                        follow(recording, Path(path).absolute(), options.get("seconds"), console)
                    result = recording.wait()
                except KeyboardInterrupt:  # from a signal handler of the script's own
                    recording.stop()
                else:
                    assert result is not None  # noqa: S101 - wait without a limit has a result or raises
                    return result

    def close(self) -> None:
        """Let go of the core, and stop it if this camera started it; idempotent. A running recording is ended first."""
        recording = self._last_recording()
        if recording is not None:
            recording.stop()
            recording.join()
        self.core.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<Camera {self.label} ({self.core.backend} core)>"

    def _require_idle(self, what: str) -> None:
        recording = self._last_recording()
        if recording is not None and recording.taking:
            raise CameraBusyError(
                f"{what} of {self.label} has to wait: a recording still takes its frames from the core; "
                "stop() it or wait() for it first"
            )
        super()._require_idle(what)
