"""Ctrl-C, turned from an exception anywhere into a request that a recording acts on."""

import signal
import threading
from collections.abc import Callable
from types import TracebackType
from typing import Self


class StopOnInterrupt:
    """While it is entered, Ctrl-C asks a recording to stop, and raises no ``KeyboardInterrupt``.

    That exception in the middle of a call to a Java core mixes up the answers to later calls, and between the camera's
    start and the loop's it leaves a camera running that nobody looks after.

    SIGTERM is taken too where it raises the same exception. A script's own signal handlers are left alone, and so is
    every thread but the main one, which alone gets signals.

    Attributes
    ----------
    asked
        Whether Ctrl-C was pressed.
    """

    def __init__(self) -> None:
        self.asked = False
        self._stop: Callable[[], None] | None = None
        self._taken: tuple[signal.Signals, ...] = ()

    def watch(self, stop: Callable[[], None]) -> None:
        """Call ``stop`` on Ctrl-C, at once if it was pressed before; ``stop`` may be called again at any moment."""
        self._stop = stop
        if self.asked:
            stop()

    def __enter__(self) -> Self:
        if threading.current_thread() is threading.main_thread():
            both = signal.SIGINT, signal.SIGTERM
            self._taken = tuple(each for each in both if signal.getsignal(each) is signal.default_int_handler)
        for each in self._taken:
            signal.signal(each, self._note)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None
    ) -> None:
        for each in self._taken:
            signal.signal(each, signal.default_int_handler)

    def _note(self, *_: object) -> None:
        self.asked = True
        if self._stop is not None:
            self._stop()
