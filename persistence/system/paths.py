r"""Paths as users give them: made absolute once, and usable on Windows however long they are.

Windows takes paths of more than 260 characters only in their extended form (``\\?\C:\...``, ``\\?\UNC\server\...``),
which programs have to ask for. It also changes some names silently, or means a device by them.
"""

import errno
import os
import re
import sys
from pathlib import Path

from ...errors import StorageError

_LONG = 200
"""From how many characters on a path is extended: Windows' limit is 260, and files beside it have longer names."""

_DEVICES = re.compile(r"(CON|PRN|AUX|NUL|CONIN\$|CONOUT\$|(COM|LPT)[0-9¹²³]) *(\..*)?", re.IGNORECASE)
_FORBIDDEN = re.compile(r'[<>:"|?*\x00-\x1f]')


def absolute(path: str | os.PathLike[str]) -> Path:
    """Return a path that stays the same wherever the script goes, in a form that the system takes at any length."""
    if sys.platform == "win32":
        return Path(extended(os.path.abspath(path)))  # noqa: PTH100 - `Path.absolute` leaves C:run.h5 relative
    return Path(path).absolute()


def readable(path: str | os.PathLike[str]) -> Path:
    """Return the path of a file to read as it was given, or as `absolute` if it is a long one of Windows."""
    if sys.platform == "win32" and len(whole := str(absolute(path))) >= _LONG:
        return Path(whole)
    return Path(path)


def recording_path(path: str | os.PathLike[str]) -> Path:
    """Return the absolute path of a recording to come.

    Raises
    ------
    StorageError
        The file's name is none that Windows would keep; on other systems every name will do.
    """
    if sys.platform == "win32" and (objection := objection_to(Path(path).name)):
        raise StorageError(errno.EINVAL, f"{objection}: choose another name", os.fspath(path))
    return absolute(path)


def extended(path: str) -> str:
    r"""Return an absolute path of Windows in its extended form if it is long; others, and devices, as they are."""
    if len(path) < _LONG or path.startswith(("\\\\?\\", "\\\\.\\")):
        return path
    return f"\\\\?\\UNC\\{path[2:]}" if path.startswith("\\\\") else f"\\\\?\\{path}"


def objection_to(name: str) -> str:
    """Return why Windows cannot keep a file of this name; empty if it can."""
    if name in ("", ".", ".."):
        return ""  # a folder, which is refused as such
    if device := _DEVICES.fullmatch(name):
        return f"{device[1].upper()} is a device of Windows, with any extension"
    if forbidden := _FORBIDDEN.search(name):
        return f"Windows allows no {forbidden[0]!r} in the name of a file"
    if name[-1] in ". ":
        return f"Windows drops the {'dot' if name[-1] == '.' else 'space'} at the end of {name!r}"
    return ""
