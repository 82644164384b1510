"""Starting the writer process on Windows so that it outlives what ends the script.

A closed console window ends every process that is attached to the console, after a few seconds; an editor that runs
scripts in a job object may end all that is in it; logging off and shutting down end everything. The writer process is
attached to no console, leaves the job if the job allows that, and is among the last to be ended with a session, which
waits for it: it notices that the script is gone, empties the ring and closes the file.
"""

import _winapi
import os
import subprocess
import sys
import threading
from multiprocessing import connection as pipes
from typing import Any

assert sys.platform == "win32"  # noqa: S101 - for mypy, which otherwise knows nothing of these modules on Linux

_DETACHED, _BREAKAWAY = 0x00000008, 0x01000000  # creation flags
_LAST = 0x100  # the lowest level at which a program may ask to be shut down


def start(command: tuple[str, ...], environment: dict[str, str], inherited: list[int]) -> "subprocess.Popen[bytes]":
    """Start a process without a console, outside the script's job if that allows it, with these handles."""
    for handle in inherited:
        os.set_handle_inheritable(handle, True)

    def create(flags: int) -> "subprocess.Popen[bytes]":
        return subprocess.Popen(  # noqa: S603 - this interpreter
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env=environment,
            startupinfo=subprocess.STARTUPINFO(lpAttributeList={"handle_list": inherited}),
            creationflags=flags | subprocess.CREATE_NEW_PROCESS_GROUP,
        )

    try:
        return create(_DETACHED | _BREAKAWAY)
    except PermissionError:
        return create(_DETACHED)  # the job lets no process leave


def own_handle() -> int:
    """Return an open handle of this process, by which another sees whether it runs."""
    return int(_winapi.OpenProcess(_winapi.SYNCHRONIZE, True, os.getpid()))


def is_running(handle: int) -> bool:
    """Return whether a process runs."""
    return bool(_winapi.WaitForSingleObject(handle, 0) == _winapi.WAIT_TIMEOUT)


def connection(handle: int, *, readable: bool = True, writable: bool = True) -> Any:
    """Return an end of a pipe that this process inherited."""
    ends: Any = pipes
    return ends.PipeConnection(handle, readable=readable, writable=writable)


def shut_down_last() -> None:
    """Let Windows end this process after others when the session ends, and not before the file is closed."""
    from ...session_end import watch_session_end

    watch_session_end(lambda _: threading.Event().wait(), level=_LAST, reason_to_wait="mmspool is closing a recording")
