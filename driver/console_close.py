"""Closing the console window, logging off and shutting down on Windows, which end a script without any exception."""

import sys
import threading
from collections.abc import Callable
from typing import Any

_EVENTS = {2: "console closed", 5: "user logged off", 6: "computer shut down"}  # Ctrl-C and Ctrl-Break are signals
_PATIENCE_S = 4.5  # Windows ends the process 5 s after it has closed its window


class StopOnClose:
    """Calls ``stop(name)`` when the console closes, and keeps Windows waiting until `done`, or as long as it waits.

    It does nothing on other systems, where SIGHUP ends the script, and the writer process empties the ring.

    Parameters
    ----------
    stop
        Called with the event's name, in a thread of Windows' own.
    """

    def __init__(self, stop: Callable[[str], None]) -> None:
        self._stop = stop
        self._done = threading.Event()
        self._handler: Any = None
        if sys.platform == "win32":
            import ctypes
            from ctypes import wintypes

            self._handler = ctypes.WINFUNCTYPE(wintypes.BOOL, wintypes.DWORD)(self.handle)
            ctypes.windll.kernel32.SetConsoleCtrlHandler(self._handler, True)

    def handle(self, event: int) -> bool:
        """Take an event of the console; return whether it was one of these."""
        if event not in _EVENTS:
            return False
        self._stop(_EVENTS[event])
        self._done.wait(_PATIENCE_S)
        return True

    def done(self) -> None:
        """Take no more events, and let Windows end the process."""
        self._done.set()
        if sys.platform == "win32" and self._handler is not None:
            import ctypes

            ctypes.windll.kernel32.SetConsoleCtrlHandler(self._handler, False)
            self._handler = None
