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
NOT_SUPPORTED, INVALID_PARAMETER, NOT_IMPLEMENTED, NOT_LOCKED, USER_MAPPED_FILE = 50, 87, 120, 158, 1224
REFUSED = (INVALID_FUNCTION, NOT_SUPPORTED, INVALID_PARAMETER, NOT_IMPLEMENTED)
"""What volumes, and Wine, say of calls that they do not have: the number of each is EINVAL."""

_HANDLE_DISK_FULL, _DISK_FULL, _QUOTA, _NO_RESOURCES, _WORKING_SET_QUOTA, _PAGE_QUOTA = 39, 112, 1295, 1450, 1453, 1816
_SEMAPHORE_TIMEOUT, _TIMEOUT = 121, 1460  # the first one is that of disks and shares

# Python makes EACCES or EINVAL of these. <winerror.h> names them BAD_UNIT, NOT_READY, BAD_COMMAND, CRC, SEEK,
# SECTOR_NOT_FOUND, WRITE_FAULT, READ_FAULT, GEN_FAILURE, NO_SUCH_DEVICE, OPERATION_ABORTED, FILE_INVALID,
# MEDIA_CHANGED, BUS_RESET, IO_DEVICE, DISK_OPERATION_FAILED, DEVICE_NOT_CONNECTED and DEVICE_REMOVED; REM_NOT_LIST,
# NETWORK_BUSY, DEV_NOT_EXIST, ADAP_HDW_ERR, UNEXP_NET_ERR, NETNAME_DELETED and CONNECTION_ABORTED.
_DISK_FAILED = (20, 21, 22, 23, 25, 27, 29, 30, 31, 433, 995, 1006, 1110, 1111, 1117, 1127, 1167, 1617)
_NETWORK_FAILED = (51, 54, 55, 57, 59, 64, 1236)

_ERRNO = {
    **dict.fromkeys((*_DISK_FAILED, *_NETWORK_FAILED), errno.EIO),
    SHARING_VIOLATION: errno.EBUSY,
    USER_MAPPED_FILE: errno.EBUSY,
    LOCK_VIOLATION: errno.EAGAIN,
    _HANDLE_DISK_FULL: errno.ENOSPC,
    _DISK_FULL: errno.ENOSPC,
    _QUOTA: errno.EDQUOT,
    _NO_RESOURCES: errno.ENOBUFS,
    _WORKING_SET_QUOTA: errno.ENOBUFS,
    _PAGE_QUOTA: errno.ENOBUFS,
    _SEMAPHORE_TIMEOUT: errno.ETIMEDOUT,
    _TIMEOUT: errno.ETIMEDOUT,
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
