"""`MDASink`: records what pymmcore-plus' signals deliver, for scripts that only connect handlers."""

import logging
import os
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from types import TracebackType
from typing import Any, Self, Unpack

from ...adapters import Image
from ...errors import FrameError, SpoolError, WriterError
from ...persistence import SpoolKeywords
from .recording import MDARecording, RunRecorder
from .useq_events import planned_in_sequence
from .view import RunView

_log = logging.getLogger("mmspool")
_SIGNALS = ("sequenceStarted", "frameReady", "sequenceCanceled", "sequenceFinished")
_alive: "set[MDASink]" = set()
"""pymmcore-plus refers to its handlers weakly: these live until they are closed."""


class MDASink(RunRecorder):
    """Records the frames of one run that pymmcore-plus' signals deliver.

    `spool_mda` is the better way wherever it fits: it stores each frame before anybody else has it, and its errors end
    the run. A sink serves where only a handler can be given::

        sink = mmspool.MDASink("run.h5")
        core.run_mda(sequence, output=sink).join()
        sink.close()
        print(sink.result)

    Given as ``output=``, it gets its frames through a relay thread of pymmcore-plus, **whose queue has no limit**:
    while the disk is slower than the camera, the memory of the process grows. `connect` leaves the relay out: a full
    ring then holds up the run, and the core's buffer absorbs it.

    Its handlers never raise, since pymmcore-plus would stop to deliver frames without a word: the first error is kept,
    frames that cannot be stored are counted, and `close` raises the error.

    Parameters
    ----------
    path
        The HDF5 file to create; with several cameras as for `spool_mda`.
    options
        Keyword arguments of `Spool`.

    Attributes
    ----------
    error
        The first error, or None.
    frames_refused
        Frames that were delivered and could not be stored.
    relay_peak
        Most frames that waited in the relay; 0 without one.
    """

    def __init__(self, path: str | os.PathLike[str], **options: Unpack[SpoolKeywords]) -> None:
        super().__init__(MDARecording(path, **options))
        self._lock = threading.RLock()
        self._sequence: Any = None
        self._core: Any = None
        self._canceled = False
        self._over = False
        self.error: Exception | None = None
        self.frames_refused = 0
        self.relay_peak = 0
        _alive.add(self)

    def connect(self, core: Any) -> Self:
        """Take the frames of the next run of a ``CMMCorePlus`` on the run's own thread, without the relay."""
        self._core = core
        for name in _SIGNALS:
            getattr(core.mda.events, name).connect(getattr(self, name))
        return self

    # --- handlers of pymmcore-plus' signals

    def sequenceStarted(self, sequence: Any, meta: Mapping[str, Any]) -> None:
        """Create the files; an error is kept."""
        if self._over:
            _log.warning("the sink to %s has recorded a run already: this one is not recorded", self._recording.path)
            return
        with self._error_kept():
            self.setup(sequence, meta)

    def frameReady(self, image: Image, event: Any, meta: Mapping[str, Any]) -> None:
        """Store a copy of a frame; an error is kept, and the frame counted as lost."""
        self._watch_relay()
        with self._lock, self._error_kept():
            if not self._over:
                self.append(image, event, meta)

    def sequenceCanceled(self, sequence: Any) -> None:  # noqa: ARG002 - of the signal
        """Note that the run was canceled: frames that do not come are not missing."""
        self._canceled = True

    def sequenceFinished(self, sequence: Any) -> None:  # noqa: ARG002 - of the signal
        """Close the files; an error is kept."""
        reason = "canceled" if self._canceled else "completed"
        if self._core is not None:
            reason = str(self._core.mda.status.finish_reason)
        with self._error_kept():
            self._finish(reason)

    # --- pymmcore-plus' protocol of sinks, whose methods raise

    def setup(self, sequence: Any, meta: Mapping[str, Any] | None) -> None:
        """Create the files of a run.

        Raises
        ------
        FrameError, StorageError
            As `spool_mda` describes; there is no file.
        """
        with self._lock:
            self._recording.begin(sequence, meta)
            self._sequence = sequence

    def append(self, image: Image, event: Any, meta: Mapping[str, Any]) -> None:
        """Store a copy of a frame ``(Y, X)``.

        Raises
        ------
        SpoolError
            The frame was not stored, and is counted as lost where the file still can be written.
        """
        try:
            self._recording.put(image, event, meta)
        except SpoolError as exc:
            self.frames_refused += 1
            if isinstance(exc, FrameError):
                self._recording.lose(event, "unknown")
            raise

    def skip(self, *, frames: int = 1) -> None:
        """Enter frames of the plan that were not acquired into the ledgers; `frames` counts those of all cameras."""
        with self._lock:
            self._recording.lose_each(frames // max(1, len(self.spools)), "camera")

    def get_view(self) -> RunView | None:
        """Return the frames so far as an array, for viewers; None before the run starts."""
        return self._recording.view

    def close(self) -> None:
        """Close the files, whatever signal was missed, and compare what came with what was planned; idempotent.

        Raises
        ------
        Exception
            The first error of the run, each time.
        """
        with self._error_kept():
            self._finish("canceled" if self._canceled else "closed")
        if self.error is not None:
            raise self.error

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None
    ) -> None:
        if exc is None:
            self.close()
            return
        with self._error_kept():
            self._finish(f"{type(exc).__name__}: {exc}".rstrip(": "))

    def _finish(self, reason: str) -> None:
        with self._lock:
            if self._over:
                return
            self._over = True
            _alive.discard(self)
            ended_well = reason in ("completed", "closed") and self.error is None
            planned = None if self._canceled or self._sequence is None else planned_in_sequence(self._sequence)
            try:
                if planned is not None and not isinstance(self.error, WriterError):
                    self._recording.end_event(planned, "unknown")
            finally:
                if self.error is not None:
                    reason = f"{type(self.error).__name__}: {self.error}"
                self._recording.close(interrupted=not ended_well, reason=reason)

    def _watch_relay(self) -> None:
        waiting = getattr(threading.current_thread(), "remaining", None)  # pymmcore-plus' MDARelayThread
        if waiting is None:
            return
        if not self.relay_peak:
            _log.warning(
                "frames for %s arrive through pymmcore-plus' relay, whose queue has no limit: where the disk is slower "
                "than the camera, memory grows; use spool_mda, or connect the sink",
                self._recording.path,
            )
        self.relay_peak = max(self.relay_peak, 1 + waiting())

    @contextmanager
    def _error_kept(self) -> Iterator[None]:
        try:
            yield
        except Exception as exc:  # noqa: BLE001 - `close` raises it
            if self.error is None:
                self.error = exc
                _log.error("recording to %s failed: %s", self._recording.path, exc)
