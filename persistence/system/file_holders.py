"""Which programs have a file open, for messages that say what to close.

Linux lists open files in /proc, Windows has its Restart Manager; macOS lets no one see other programs' files. What
belongs to other users may be missing in both, so an empty list proves nothing.
"""

import contextlib
import ctypes
import os
import sys
from pathlib import Path
from typing import Any

_MOST = 5
_PROC = Path("/proc")

_MORE_DATA = 234
_ATTEMPTS = 3  # programs may open the file between the question how many there are and the next one


class _Process(ctypes.Structure):
    """RM_PROCESS_INFO of <RestartManager.h>."""

    _fields_ = (
        ("pid", ctypes.c_uint32),
        ("start_time", ctypes.c_uint32 * 2),
        ("name", ctypes.c_wchar * 256),
        ("service", ctypes.c_wchar * 64),
        ("kind", ctypes.c_uint32),
        ("status", ctypes.c_uint32),
        ("session", ctypes.c_uint32),
        ("restartable", ctypes.c_uint32),
    )


def in_use(path: Path) -> str:
    """Return a clause for a message: that the file is in use, and by which programs if the system says that."""
    return f"the file is in use by {', '.join(holders(path)) or 'a recording or a program that reads it'}"


def holders(path: str | os.PathLike[str]) -> list[str]:
    """Return the names and process ids of the programs that have a file open, five at most."""
    if sys.platform == "win32":
        found = _registered(os.path.abspath(path), ctypes.WinDLL("rstrtmgr"))  # noqa: PTH100 - knows D:run.h5
    else:
        found = _listed(os.path.realpath(path))
    return ["this process" if pid == os.getpid() else f"{name} (process {pid})" for pid, name in found[:_MOST]]


def _listed(path: str) -> list[tuple[int, str]]:
    """Look through what every process has open; by names alone, since a look at a file may wait for a dead server."""
    found = []
    for process in _PROC.glob("[0-9]*"):
        with contextlib.suppress(OSError):  # it ended, or is another user's
            if any(str(link.readlink()) == path for link in (process / "fd").iterdir()):
                found.append(
                    (int(process.name), (process / "comm").read_text(encoding="utf-8", errors="replace").strip())
                )
    return found


def _registered(path: str, manager: Any) -> list[tuple[int, str]]:
    """Ask the Restart Manager, which installers use to close what holds their files."""
    session, key = ctypes.c_uint32(), ctypes.create_unicode_buffer(33)
    if manager.RmStartSession(ctypes.byref(session), 0, key):
        return []
    try:
        if manager.RmRegisterResources(session, 1, (ctypes.c_wchar_p * 1)(path), 0, None, 0, None):
            return []
        return _affected(session, manager)
    finally:
        manager.RmEndSession(session)


def _affected(session: Any, manager: Any) -> list[tuple[int, str]]:
    capacity = 2 * _MOST
    for _ in range(_ATTEMPTS):
        needed, count, reasons = ctypes.c_uint32(), ctypes.c_uint32(capacity), ctypes.c_uint32()
        programs = (_Process * capacity)()
        found = (ctypes.byref(needed), ctypes.byref(count), programs, ctypes.byref(reasons))
        error = manager.RmGetList(session, *found)
        if not error:
            return [(program.pid, program.name) for program in programs[: count.value]]
        if error != _MORE_DATA:
            break
        capacity = needed.value
    return []
