"""Ctrl-C and other signals, turned from an exception anywhere into a request that a recording acts on."""

import functools
import signal
import threading
from collections.abc import Callable
from typing import Any, Self

from .console_close import StopOnClose

_ENDING = ("SIGINT", "SIGTERM", "SIGHUP", "SIGQUIT", "SIGBREAK", "SIGUSR1", "SIGUSR2", "SIGALRM", "SIGXCPU", "SIGXFSZ")
# Those that exist on this system; the default of each is to end the process.
ENDING_SIGNALS = tuple(getattr(signal, name) for name in _ENDING if hasattr(signal, name))
"""Signals that end a process unless they are handled: a closed terminal, ``kill``, a batch system's warning, ..."""


def end_recordings_on_signals() -> None:
    """Let every signal that would end this process raise ``KeyboardInterrupt``, and so end a recording cleanly.

    For a command line: a script's signals are its own. A signal that is ignored, as ``nohup`` does, stays ignored.
    """
    for each in ENDING_SIGNALS:
        if signal.getsignal(each) is signal.SIG_DFL:
            signal.signal(each, signal.default_int_handler)


class StopOnInterrupt:
    """While it is entered, Ctrl-C asks a recording to stop, and raises no ``KeyboardInterrupt``.

    That exception in the middle of a call to a Java core mixes up the answers to later calls, and between the camera's
    start and the loop's it leaves a camera running that nobody looks after.

    Other signals are taken too where they raise the same exception, and Ctrl-C where asyncio waits for it, which would
    cancel a task that cannot run before the recording ends. A script's own signal handlers are left alone, and so is
    every thread but the main one, which alone gets signals. The end of a console or a session on Windows, which is no
    signal, is taken too (`StopOnClose`).

    Attributes
    ----------
    asked
        Whether Ctrl-C was pressed, or another of the signals came.
    """

    def __init__(self) -> None:
        self.asked = False
        self._signal_name = ""
        self._stop: Callable[[str], None] | None = None
        self._replaced: dict[signal.Signals, Any] = {}

    def watch(self, stop: Callable[[str], None]) -> None:
        """Call ``stop(signal_name)`` on Ctrl-C, at once if it was pressed before.

        ``stop`` may be called again at any moment. The name is empty for Ctrl-C itself.
        """
        self._stop = stop
        if self.asked:
            stop(self._signal_name)

    def __enter__(self) -> Self:
        if threading.current_thread() is threading.main_thread():
            handlers = {each: signal.getsignal(each) for each in ENDING_SIGNALS}
            self._replaced = {each: handler for each, handler in handlers.items() if _raises_interrupt(handler)}
        for each in self._replaced:
            signal.signal(each, self._note)
        self._on_close = StopOnClose(self._ask)
        return self

    def __exit__(self, *_exc: object) -> None:
        self._on_close.done()
        for each, handler in self._replaced.items():
            signal.signal(each, handler)

    def _note(self, number: int, _frame: object) -> None:
        self._ask("" if number == signal.SIGINT else signal.Signals(number).name)

    def _ask(self, signal_name: str) -> None:
        self.asked = True
        self._signal_name = signal_name
        if self._stop is not None:
            self._stop(self._signal_name)


def _raises_interrupt(handler: object) -> bool:
    """Return whether a handler raises ``KeyboardInterrupt``, at once or, as asyncio's does, once its loop runs."""
    if isinstance(handler, functools.partial):
        return getattr(handler.func, "__module__", "") == "asyncio.runners"
    return handler is signal.default_int_handler
