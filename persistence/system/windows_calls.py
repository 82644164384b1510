"""Windows' calls for files, by `ctypes`, and their errors.

Errors become an `OSError` with the number that Linux has for the same trouble, and the words of Windows.
"""

import ctypes
import errno
import os
import sys
from ctypes import wintypes

assert sys.platform == "win32"  # noqa: S101 - for mypy, which otherwise knows nothing of these modules on Linux

INVALID_FUNCTION, ACCESS_DENIED, NO_MEMORY, SHARING_VIOLATION, LOCK_VIOLATION, HANDLE_EOF = 1, 5, 8, 32, 33, 38
NOT_SUPPORTED, INVALID_PARAMETER, NOT_IMPLEMENTED = 50, 87, 120
REFUSED = (INVALID_FUNCTION, NOT_SUPPORTED, INVALID_PARAMETER, NOT_IMPLEMENTED)
"""What volumes, and Wine, say of calls that they do not have."""

_HANDLE_DISK_FULL, _DISK_FULL, _QUOTA, _NO_RESOURCES, _WORKING_SET_QUOTA = 39, 112, 1295, 1450, 1453
_ERRNO = {
    SHARING_VIOLATION: errno.EBUSY,
    LOCK_VIOLATION: errno.EAGAIN,
    _HANDLE_DISK_FULL: errno.ENOSPC,
    _DISK_FULL: errno.ENOSPC,
    _QUOTA: errno.EDQUOT,
    _NO_RESOURCES: errno.ENOBUFS,
    _WORKING_SET_QUOTA: errno.ENOBUFS,
}


class Overlapped(ctypes.Structure):
    """Where in the file an operation takes place."""

    _fields_ = (
        ("internal", ctypes.c_void_p),
        ("internal_high", ctypes.c_void_p),
        ("offset_low", wintypes.DWORD),
        ("offset_high", wintypes.DWORD),
        ("event", wintypes.HANDLE),
    )


kernel = ctypes.WinDLL("kernel32", use_last_error=True)
kernel.CreateFileW.restype = wintypes.HANDLE
kernel.CreateFileW.argtypes = (
    wintypes.LPCWSTR,
    wintypes.DWORD,
    wintypes.DWORD,
    ctypes.c_void_p,
    wintypes.DWORD,
    wintypes.DWORD,
    wintypes.HANDLE,
)
kernel.DeleteFileW.argtypes = (wintypes.LPCWSTR,)
kernel.MoveFileExW.argtypes = (wintypes.LPCWSTR, wintypes.LPCWSTR, wintypes.DWORD)
for _call in (kernel.ReadFile, kernel.WriteFile):
    _call.argtypes = (
        wintypes.HANDLE,
        ctypes.c_void_p,
        wintypes.DWORD,
        ctypes.POINTER(wintypes.DWORD),
        ctypes.POINTER(Overlapped),
    )
kernel.SetFileInformationByHandle.argtypes = (wintypes.HANDLE, ctypes.c_int, ctypes.c_void_p, wintypes.DWORD)
kernel.FlushFileBuffers.argtypes = (wintypes.HANDLE,)
kernel.UnlockFileEx.argtypes = (wintypes.HANDLE, *[wintypes.DWORD] * 3, ctypes.POINTER(Overlapped))
kernel.LockFileEx.argtypes = (wintypes.HANDLE, *[wintypes.DWORD] * 4, ctypes.POINTER(Overlapped))


def check(succeeded: int, path: str | os.PathLike[str] | None = None) -> None:
    """Raise the error of the last call if it did not succeed."""
    if succeeded:
        return
    code = ctypes.get_last_error()
    name = None if path is None else os.fspath(path)
    text = ctypes.FormatError(code).strip()
    if code not in _ERRNO:
        raise OSError(None, text, name, code)
    exc = OSError(_ERRNO[code], text, name)
    exc.winerror = code
    raise exc
