"""Starting the writer process on Windows so that it outlives what ends the script.

A closed console window, logging off and shutting down end every process that is attached to the console, after a few
seconds; an editor that runs scripts in a job object may end all that is in it. The writer process is attached to no
console, leaves the job if the job allows that, and is among the last to be ended at a shutdown: it notices that the
script is gone, empties the ring and closes the file.
"""

import _winapi
import ctypes
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing import popen_spawn_win32
from typing import Any

assert sys.platform == "win32"  # noqa: S101 - for mypy, which otherwise knows nothing of these modules on Linux

_DETACHED, _BREAKAWAY = 0x00000008, 0x01000000  # creation flags
_LAST = 0x100  # the lowest level at which a program may ask to be shut down; others are at 0x280


_popen: Any = popen_spawn_win32


class _Calls:
    """The module `_winapi` as multiprocessing is to see it: it has no way to pass creation flags."""

    def __getattr__(self, name: str) -> Any:
        return getattr(_winapi, name)

    @staticmethod
    def CreateProcess(*arguments: Any) -> Any:  # noqa: N802 - its name there
        *before, flags, environment, folder, start = arguments
        create: Any = _winapi.CreateProcess
        try:
            return create(*before, flags | _DETACHED | _BREAKAWAY, environment, folder, start)
        except PermissionError:  # the job lets no process leave
            return create(*before, flags | _DETACHED, environment, folder, start)


@contextmanager
def apart() -> Iterator[None]:
    """Start processes through multiprocessing without a console and outside the script's job."""
    _popen._winapi = _Calls()
    try:
        yield
    finally:
        _popen._winapi = _winapi


def shut_down_last() -> None:
    """Ask Windows to end this process after others when it shuts down."""
    ctypes.windll.kernel32.SetProcessShutdownParameters(_LAST, 0)
