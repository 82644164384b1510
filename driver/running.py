"""A recording that runs in the background of a script."""

import asyncio
import atexit
import logging
import threading
import time
from collections.abc import AsyncIterator, Callable
from types import TracebackType
from typing import Self

from ..errors import CameraBusyError
from .acquisition import Acquisition
from .live import LOOK_S, FrameCalls, LiveFrame
from .recording_events import EventCalls, RecordingEvent
from .result import EndReason, RecordResult, RecordStats, make_result

_log = logging.getLogger("mmspool")

_REFRESH_S = 0.2
_SLICE_S = 0.2  # on Windows, Ctrl-C waits for the end of a wait


class RunningRecording:
    """A recording that has been started: the script may do something else meanwhile, such as move a stage.

    As a context manager it stops the recording at the end of the block. A recording that is still running when the
    script ends is stopped and closed then.

    Parameters
    ----------
    acquisition
        The sequence, started.
    on_frame, on_event
        Called with the newest frame and with what happens; see `FrameCalls` and `EventCalls`.
    losses_before_core
        As `RecordResult` has it.
    """

    def __init__(
        self,
        acquisition: Acquisition,
        on_frame: Callable[[LiveFrame], object] | None = None,
        on_event: Callable[[RecordingEvent], object] | None = None,
        *,
        losses_before_core: str = "",
    ) -> None:
        self._losses_before_core = losses_before_core
        self._acquisition = acquisition
        self._spool = acquisition.intake.spool
        self._result: RecordResult | None = None
        self._error: BaseException | None = None
        self._taking = False
        self._on_frame, self._on_event = on_frame, on_event
        self._events: EventCalls | None = None
        # Neither an Event nor Thread.join: a signal handler may wait here too while it interrupts such a wait, and a
        # join that Ctrl-C interrupts takes the thread for dead (Python 3.11).
        self._ended = False
        self._gate = threading.Lock()
        self._gate.acquire()
        self._thread = threading.Thread(target=self._run, name="mmspool-acquisition", daemon=True)

    def __repr__(self) -> str:
        stats = self.stats
        state = "running" if self.running else "ended"
        lost = stats.spool.frames_lost
        return f"<RunningRecording {self._spool.path.name}: {state}, {stats.frames_received:,} frames, {lost:,} lost>"

    def begin(self) -> None:
        """Start taking frames."""
        self._taking = True
        atexit.register(self._stop_at_exit)
        try:
            self._thread.start()
        except RuntimeError:  # the system has no more threads
            self._taking = False
            atexit.unregister(self._stop_at_exit)
            raise
        if self._on_frame is not None:
            FrameCalls(self._on_frame, self.latest, lambda: self._ended)
        if self._on_event is not None:
            outcome = lambda: (self._result, self._error) if self._ended else None  # noqa: E731
            self._events = EventCalls(self._on_event, self._spool.path, lambda: self.stats, outcome)

    @property
    def running(self) -> bool:
        """Whether frames are still taken or written."""
        return not self._ended

    @property
    def taking(self) -> bool:
        """Whether the core and its buffer are still needed, though the camera may have ended."""
        return self._taking

    @property
    def stuck(self) -> bool:
        """Whether the camera's driver has not returned from a stop: then the core cannot be used any more."""
        return self._acquisition.stopper.stuck

    @property
    def stats(self) -> RecordStats:
        """Current status."""
        return self._acquisition.stats

    def stop(self) -> None:
        """Ask for the end and return at once; what the camera has made until then is recorded.

        Asked again, it also gives up a Micro-Manager that has not answered a call for some seconds.
        """
        self._acquisition.stop()

    def stop_on_signal(self, name: str) -> None:
        """Stop as `stop` does; the file names the signal (empty for Ctrl-C)."""
        self._acquisition.stop(name)

    def save(self) -> None:
        """Store the frames held by ``pre_trigger_frames`` and all that follow; returns at once. Idempotent."""
        self._acquisition.save()

    def latest(self) -> LiveFrame | None:
        """Return the frame that was stored last, without a copy; None before the first one.

        It is taken in this process, and neither the camera nor saving waits for it.
        """
        newest = self._acquisition.intake.newest
        if newest is None:
            return None
        pixels = newest.pixels.view()
        pixels.flags.writeable = False
        return newest._replace(pixels=pixels)

    async def frames(self) -> AsyncIterator[LiveFrame]:
        """Iterate over the newest frames until the recording ends; what the loop is too slow for is left out."""
        seen = -1
        while True:
            running = self.running  # before the look: the last frame is given too
            frame = self.latest()
            if frame is not None and frame.number != seen:
                seen = frame.number
                yield frame
            elif not running:
                return
            await asyncio.sleep(LOOK_S)

    def join(self, timeout_s: float | None = None) -> bool:
        """Wait for the end without asking how it was; False if it has not ended in ``timeout_s`` seconds."""
        if threading.current_thread() is self._thread and not self._ended:
            raise CameraBusyError(
                "the recording's own thread, which calls until(), cannot wait for its end: use stop()"
            )
        end = None if timeout_s is None else time.monotonic() + timeout_s
        while not self._ended or self._is_reporting():
            left = _SLICE_S if end is None else min(_SLICE_S, end - time.monotonic())
            if left <= 0:
                return False
            if self._gate.acquire(timeout=left):
                self._gate.release()
                if self._is_reporting():
                    time.sleep(min(left, LOOK_S))
        return True

    def _is_reporting(self) -> bool:
        """Return whether ``on_event`` has still to hear of the end, which it may wait for itself."""
        return self._events is not None and not self._events.done and not self._events.is_calling()

    def wait(self, timeout_s: float | None = None) -> RecordResult | None:
        """Wait for the end.

        Parameters
        ----------
        timeout_s
            Seconds; None waits as long as it takes.

        Returns
        -------
        RecordResult or None
            How it ended; None if it has not ended in time. The same at every call.

        Raises
        ------
        CoreError
            The core failed; the frames until then are in the file.
        SpoolError
            The file could not be written; what was written stays readable.
        BaseException
            What ``until`` raised; the frames until then are in the file.
        """
        if not self.join(timeout_s):
            return None
        if self._error is not None:
            raise self._error
        return self._result

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()
        self.join()
        if self._error is None or self._error is exc:
            return
        if exc is None:
            raise self._error
        exc.add_note(f"the recording failed too: {self._error}")

    def _run(self) -> None:
        """Record, close the file, and keep what happened for `wait`."""
        try:
            try:
                end = self._acquisition.run()
            except BaseException as exc:
                self._close_after(exc)
                raise
            finally:
                self._taking = False
            # Stopped before the end that was asked for: the file must not pass for a whole one.
            early = end is EndReason.STOPPED and not self._acquisition.conditions.open_ended
            signal_name = self._acquisition.stopped_by if end is EndReason.STOPPED else ""
            by = f" ({signal_name})" if signal_name else ""
            spooled = self._spool.close(
                interrupted=early or end not in (EndReason.COMPLETED, EndReason.STOPPED), end_reason=f"{end}{by}"
            )
            duration_s, stats = self._acquisition.duration_s, self._acquisition.stats
            self._result = make_result(spooled, end, duration_s, stats, self._losses_before_core)
        except BaseException as exc:  # noqa: BLE001 - raised by wait
            self._error = exc
        finally:
            atexit.unregister(self._stop_at_exit)
            self._ended = True
            self._gate.release()

    def _close_after(self, exc: BaseException) -> None:
        """Close the file of a recording that failed, and report where it is."""
        try:
            spooled = self._spool.close(interrupted=True, end_reason=f"{EndReason.FAILED}: {exc}")
        except Exception as closing:  # noqa: BLE001 - it must not hide the failure
            if closing is not exc:
                exc.add_note(f"closing the file failed too: {closing}")
                return
            stats = self._spool.stats
            exc.add_note(
                f"{stats.frames_written:,} frames are safe in {self._spool.path}; "
                f"{stats.frames_put - stats.frames_written:,} that were still in the ring are lost"
            )
        else:
            exc.add_note(f"{spooled.frames_written:,} frames are safe in {spooled.path}")

    def _stop_at_exit(self) -> None:
        self.stop()
        self.join()


def report_progress(recording: RunningRecording, report: Callable[[RecordStats], object]) -> None:
    """Call ``report`` with a recording's figures five times a second, until it ends.

    A report that fails, on a terminal that is gone for one, is logged and not called again; the recording goes on.
    """
    try:
        while recording.running:
            report(recording.stats)
            recording.join(_REFRESH_S)
    except Exception:  # noqa: BLE001 - whatever it was, frames are worth more
        _log.warning("the progress cannot be shown; the recording goes on", exc_info=True)
