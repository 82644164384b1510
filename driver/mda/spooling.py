"""`spool_mda`: record a run of pymmcore-plus with one line around it."""

import os
import threading
import time
from types import TracebackType
from typing import Any, Self, Unpack

from ...errors import CoreError, MmspoolError
from ...persistence import SpoolKeywords
from .engine import SpoolingEngine
from .recording import MDARecording, RunRecorder
from .view import RunView

_POLL_S = 0.02
_START_LIMIT_S = 10.0
"""How long a thread may take from ``run_mda`` to its engine."""
_IDLE_LIMIT_S = 5.0
"""How long the runner may take to inform its listeners of the end; one of them may wait for this thread."""


def spool_mda(core: Any, path: str | os.PathLike[str], **options: Unpack[SpoolKeywords]) -> "MDASpooling":
    """Record the next run of a ``CMMCorePlus`` to an HDF5 file.

    Used as a context manager, it waits at its end until the run is over and raises what ended it::

        with mmspool.spool_mda(core, "run.h5") as spooling:
            core.run_mda(sequence)
        print(spooling.result)

    Each frame is in the spool before pymmcore-plus hands it on to other sinks, handlers and viewers, which go on
    working. Frames that the run planned and that never came are entered into the ledger. Where the disk is slower than
    the camera, the core's buffer absorbs it, as everywhere in mmspool.

    Parameters
    ----------
    core
        A ``pymmcore_plus.CMMCorePlus``, with its own engine or any other.
    path
        The HDF5 file to create. With several cameras it is a small master file, for `mmspool.open`, and each camera's
        file lies beside it: ``run_left.h5`` beside ``run.h5``.
    options
        Keyword arguments of `Spool`; shape, dtype and detector information come from the run.

    Returns
    -------
    MDASpooling
        A context manager; or call its `start` before the run, where nothing may wait (in an application with windows).
    """
    return MDASpooling(core, MDARecording(path, **options))


class MDASpooling(RunRecorder):
    """One run of a ``CMMCorePlus`` that is recorded; `spool_mda` makes it."""

    def __init__(self, core: Any, recording: MDARecording) -> None:
        super().__init__(recording)
        self._core = core
        # A recording that was started and never used, as when a cell is run again, is given up for this one.
        engine = core.mda.engine
        self._inner = engine.inner if isinstance(engine, SpoolingEngine) else engine
        self._engine = SpoolingEngine(self._inner, core, recording, self._end)
        self._over = threading.Event()
        self._threads_before: set[threading.Thread] = set()

    @property
    def view(self) -> RunView | None:
        """The frames so far as an array, as ``core.mda.get_view()`` gives it to viewers; None before the run starts."""
        return self._recording.view

    def start(self) -> Self:
        """Register the recording engine; the next run is recorded, after which the core has its own engine again.

        Raises
        ------
        CoreError
            The core runs an acquisition, or has no engine.
        """
        runner = self._core.mda
        if runner.is_running():
            raise CoreError("the core runs an acquisition already: begin recording before run_mda")
        if self._inner is None:
            raise CoreError("the core has no acquisition engine: register one with core.register_mda_engine")
        self._threads_before = set(threading.enumerate())
        self._core.register_mda_engine(self._engine)
        own_view = runner.get_view

        def get_view() -> Any:
            view = own_view()
            return self._recording.view if view is None else view

        runner.get_view = get_view
        return self

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            self._wait(cancel=exc is not None)
        except KeyboardInterrupt:
            self._wait_again()
            raise
        failure = self._failure()
        if failure is None:
            return
        if exc is None:
            raise failure
        exc.add_note(f"the run ended with an error too: {failure}")

    def _wait(self, *, cancel: bool) -> None:
        """Wait until the run is over, if there is one; with ``cancel``, see to it that it ends."""
        limit = time.monotonic() + _START_LIMIT_S
        while not self._over.wait(_POLL_S):
            if cancel:
                self._core.mda.cancel()
            if not self._engine.started and not self._starts(limit):
                self._end()
        limit = time.monotonic() + _IDLE_LIMIT_S
        while str(self._core.mda.status.phase) != "idle" and time.monotonic() < limit:
            time.sleep(_POLL_S)

    def _wait_again(self) -> None:
        try:
            self._wait(cancel=True)
        except KeyboardInterrupt:  # the engine hangs: what it still delivers is refused
            self._recording.close(interrupted=True, reason="KeyboardInterrupt")
            raise

    def _starts(self, limit: float) -> bool:
        """Return whether a run is about to reach its engine: ``run_mda`` returns before its thread has."""
        if self._core.mda.is_running():
            return True
        new = set(threading.enumerate()) - self._threads_before
        return time.monotonic() < limit and any(thread.name.endswith("(run)") for thread in new)

    def _end(self) -> None:
        """Give the core its own engine again."""
        if self._core.mda.engine is self._engine:
            self._core.register_mda_engine(self._inner)
        vars(self._core.mda).pop("get_view", None)
        self._over.set()

    def _failure(self) -> Exception | None:
        cause = self._engine.failure
        if isinstance(cause, MmspoolError):
            return cause
        if cause is None and self._engine.finish_reason != "errored":
            return None
        stored = sum(result.frames_written for result in self.results.values())
        why = f"{type(cause).__name__}: {cause}" if cause else "an error outside the engine, which its log shows"
        failure = CoreError(f"the run ended after {stored:,} frames with {why}; they are in {self._recording.path}")
        failure.__cause__ = cause
        return failure
