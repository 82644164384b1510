"""What happens to a recording, reported to the script: its start, losses, and its end."""

import logging
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Literal, NamedTuple

from .live import LOOK_S
from .result import RecordResult, RecordStats

_log = logging.getLogger("mmspool")


class RecordingEvent(NamedTuple):
    """Something that happened to a recording."""

    kind: Literal["start", "loss", "end"]
    path: Path
    """The recording's file."""
    frames_lost: int
    """Of a loss, how many frames are missing since the event before; of the end, all."""
    stats: RecordStats
    """How it stood then."""
    result: RecordResult | None
    """Of the end: how it ended; None if it failed."""
    error: BaseException | None
    """Of the end: why it failed."""


class EventCalls:
    """Reports events to a function of the script, from a thread of its own and without any lock, until the end.

    What the function raises is logged, and it is called again at the next event.

    Parameters
    ----------
    call
        The function.
    path
        The recording's file.
    stats
        Returns how it stands.
    outcome
        Returns how it ended, and why it failed; None while it runs.

    Attributes
    ----------
    done
        Whether the end was reported.
    """

    def __init__(
        self,
        call: Callable[[RecordingEvent], object],
        path: Path,
        stats: Callable[[], RecordStats],
        outcome: Callable[[], tuple[RecordResult | None, BaseException | None] | None],
    ) -> None:
        self._call = call
        self._path = path
        self._stats = stats
        self._outcome = outcome
        self._wake = threading.Event()
        self.done = False
        self._thread = threading.Thread(target=self._run, name="mmspool-on-event", daemon=True)
        self._thread.start()

    def is_calling(self) -> bool:
        """Return whether this is the thread from which the function is called."""
        return threading.current_thread() is self._thread

    def _run(self) -> None:
        lost = 0
        try:
            self._report("start", 0)
            while True:
                outcome = self._outcome()  # before the look: losses at the end are reported too
                total = self._stats().spool.frames_lost
                if total > lost:
                    self._report("loss", total - lost)
                    lost = total
                if outcome is not None:
                    self._report("end", total, *outcome)
                    return
                self._wake.wait(LOOK_S)
        finally:
            self.done = True

    def _report(
        self,
        kind: Literal["start", "loss", "end"],
        frames_lost: int,
        result: RecordResult | None = None,
        error: BaseException | None = None,
    ) -> None:
        event = RecordingEvent(kind, self._path, frames_lost, self._stats(), result, error)
        try:
            self._call(event)
        except Exception:  # noqa: BLE001 - whatever it was, frames are worth more
            _log.warning("on_event failed at the %s of %s; the recording goes on", kind, self._path, exc_info=True)
