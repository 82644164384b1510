"""Closing the console window, logging off and shutting down on Windows, which end a script without any exception."""

import functools
import sys
import time
from collections.abc import Callable

_CLOSE = 2  # Ctrl-C and Ctrl-Break are signals
_PATIENCE_S = 4.5  # Windows ends the process 5 s after it has said so
_FIRST = 0x300  # shut down before other programs: Micro-Manager, and the launcher of a virtual environment

_stops: list[Callable[[str], None]] = []


class StopOnClose:
    """Calls ``stop(name)`` when the console closes, the user logs off or Windows shuts down, until `done`.

    Windows then waits, until the script has ended or for as long as it waits at all. Nothing happens on other systems,
    where SIGHUP ends the script, and the writer process empties the ring.

    Parameters
    ----------
    stop
        Called with the event's name, in a thread of Windows' own.
    """

    def __init__(self, stop: Callable[[str], None]) -> None:
        self._stop = stop
        _stops.append(stop)
        _listen()

    def done(self) -> None:
        """Stop calling it; idempotent."""
        if self._stop in _stops:
            _stops.remove(self._stop)


def handle(event: int) -> bool:
    """Take an event of the console; return whether it was its end, and stopped something."""
    return event == _CLOSE and stop_all("console closed")


def stop_all(name: str) -> bool:
    """Stop what records and wait, as Windows ends the process afterwards; return whether anything did."""
    stops = tuple(_stops)
    for stop in stops:
        stop(name)
    if stops:
        time.sleep(_PATIENCE_S)  # the script closes its file and says how it ended, and ends, meanwhile
    return bool(stops)


@functools.cache
def _listen() -> object:
    """Listen for all three on Windows from now on; return the handler, which must stay referenced."""
    handler: object = None
    if sys.platform == "win32":
        import ctypes
        from ctypes import wintypes

        from ..session_end import watch_session_end

        watch_session_end(stop_all, level=_FIRST)
        handler = ctypes.WINFUNCTYPE(wintypes.BOOL, wintypes.DWORD)(handle)
        ctypes.windll.kernel32.SetConsoleCtrlHandler(handler, True)
    return handler
