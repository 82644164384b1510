"""The calls of Windows behind `os_file`.

Descriptors are those of the C runtime, as for `os.open`; the calls go to the handles behind them, and raise an
`OSError` as `windows_calls` describes.

Windows refuses unbuffered writes that are not aligned, and Wine takes them: this module refuses them before either.
"""

import ctypes
import errno
import msvcrt
import os
import sys
import time
from collections.abc import Callable
from ctypes import wintypes
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from .file_holders import holders

assert sys.platform == "win32"  # noqa: S101 - for mypy, which otherwise knows nothing of these modules on Linux

from .windows_calls import (  # noqa: E402
    ACCESS_DENIED,
    HANDLE_EOF,
    INVALID_PARAMETER,
    LOCK_VIOLATION,
    NO_MEMORY,
    NOT_LOCKED,
    REFUSED,
    SHARING_VIOLATION,
    USER_MAPPED_FILE,
    Overlapped,
    check,
    kernel,
)

SECTOR = 4096
"""What unbuffered writes are multiples of: no disk that Windows supports has larger sectors."""

_LARGEST_READ = 1 << 30  # Windows takes 32 bits
_LARGEST_WRITE = 32 << 20  # its pages are locked in memory meanwhile, of which a process may have few
_LOCK_OFFSET, _WRITERS = 1 << 62, 16  # no file reaches so far: locks bind, and nobody may be kept from reading
_READERS_OFFSET = _LOCK_OFFSET + _WRITERS
_HELD = (SHARING_VIOLATION, ACCESS_DENIED)  # the latter of a file that is mapped, or replaced while it is open
_HELD_RETRY_S = (0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0)  # a virus scanner or an indexer looks at a new file so long

_GENERIC_READ, _GENERIC_WRITE, _SHARE_READ_WRITE = 0x80000000, 0x40000000, 0x3
_ACCESS = {os.O_RDONLY: _GENERIC_READ, os.O_WRONLY: _GENERIC_WRITE, os.O_RDWR: _GENERIC_READ | _GENERIC_WRITE}
_CREATE_NEW, _OPEN_EXISTING = 1, 3
_NORMAL, _NO_BUFFERING = 0x80, 0x20000000
_REPLACE_EXISTING, _WRITE_THROUGH = 0x1, 0x8
_LOCK_AT_ONCE, _LOCK_EXCLUSIVE = 0x1, 0x2
_ALLOCATION_INFO, _END_OF_FILE_INFO = 5, 6
_INVALID_HANDLE = wintypes.HANDLE(-1).value

_Result = TypeVar("_Result")


def open_file(path: str | os.PathLike[str], flags: int) -> int:
    """Open a file, not for child processes; one that a program holds for a moment is waited for.

    Raises
    ------
    OSError
        With EBUSY where another program holds it for longer.
    """
    disposition = _CREATE_NEW if flags & os.O_EXCL else _OPEN_EXISTING
    access = flags & (os.O_RDONLY | os.O_WRONLY | os.O_RDWR)
    return msvcrt.open_osfhandle(_create(path, _ACCESS[access], disposition, _NORMAL), access)


def open_direct(path: str | os.PathLike[str]) -> int | None:
    """Open a file for `write_direct_once`; None where its volume has no unbuffered writes."""
    try:
        handle = _create(path, _GENERIC_WRITE, _OPEN_EXISTING, _NO_BUFFERING)
    except OSError as exc:
        if exc.winerror in REFUSED:
            return None
        raise
    return msvcrt.open_osfhandle(handle, os.O_WRONLY)


def pread(descriptor: int, length: int, offset: int) -> bytes:
    """Read up to ``length`` bytes at an offset."""
    if not length:
        return b""
    length = min(length, _LARGEST_READ)
    buffer = bytearray(length)
    address = (ctypes.c_char * length).from_buffer(buffer)
    try:
        done = _transfer(kernel.ReadFile, descriptor, ctypes.addressof(address), length, offset)
    except OSError as exc:
        if exc.winerror != HANDLE_EOF:
            raise
        return b""
    return bytes(memoryview(buffer)[:done])


def write_once(descriptor: int, data: memoryview, offset: int) -> int:
    """Write at an offset and return how many bytes were written."""
    return _transfer(kernel.WriteFile, descriptor, _address(data), min(len(data), _LARGEST_WRITE), offset)


def write_direct_once(descriptor: int, data: memoryview, offset: int) -> int:
    """Write past the page cache and return how many bytes were written.

    Raises
    ------
    OSError
        With EINVAL where address, offset or length is not a multiple of `SECTOR`.
    """
    address = _address(data)
    if address % SECTOR or offset % SECTOR or len(data) % SECTOR:
        raise OSError(errno.EINVAL, f"not aligned to {SECTOR}: {len(data)} bytes from {address:#x} to {offset:#x}")
    return _transfer(kernel.WriteFile, descriptor, address, min(len(data), _LARGEST_WRITE), offset)


def truncate(descriptor: int, size: int) -> None:
    """Move the file's end; a program that maps what is cut off for a moment is waited for.

    Raises
    ------
    OSError
        With EBUSY where another program maps it for longer.
    """
    _set_information(descriptor, _END_OF_FILE_INFO, size)  # the C runtime's call would write zeros up to the end


def allocate(descriptor: int, start: int, length: int) -> bool:
    """Extend a file that has ``start`` bytes by ``length``; return whether the disk has room for them.

    Raises
    ------
    OSError
        There is no room.
    """
    try:
        _set_information(descriptor, _ALLOCATION_INFO, start + length)  # in one piece, if there is one
    except OSError as exc:
        if exc.winerror not in REFUSED:
            raise
    try:
        truncate(descriptor, start + length)
    except OSError as exc:
        if exc.winerror in (NO_MEMORY, INVALID_PARAMETER):
            raise OSError(errno.EFBIG, "this file system does not support files of that size") from exc
        raise
    return True  # files are not sparse unless they are made so


def drop_cached(descriptor: int, start: int, length: int) -> None:
    """Do nothing: Windows itself lets go of what was written in order."""


def sync(descriptor: int) -> None:
    """Return when what was written is on the device, and the file's size with it."""
    check(kernel.FlushFileBuffers(msvcrt.get_osfhandle(descriptor)))


def sync_folder(path: Path) -> None:
    """Do nothing: NTFS journals names, and folders cannot be synced."""


def remove_file(path: Path) -> None:
    """Remove a file, if it is there, and free its name; one that a program holds for a moment is waited for.

    Raises
    ------
    OSError
        With EBUSY where another program holds it for longer, with EACCES where it maps it.
    """
    try:
        _once_free(lambda: check(kernel.DeleteFileW(os.fspath(path)), path), path, refused=_HELD)
    except FileNotFoundError:
        return
    for pause in _HELD_RETRY_S:  # FAT and shares keep the name until a program that shares its removal has closed it
        if not os.path.exists(path):  # noqa: PTH110 - Path.exists may raise of a name that is about to go
            return
        time.sleep(pause)


def replace_file(path: Path, target: Path) -> None:
    """Give a file the name of another one, which it replaces; waits as `remove_file` does, for both.

    Raises
    ------
    OSError
        With EBUSY where another program holds one of them for longer.
    """
    flags = _REPLACE_EXISTING | _WRITE_THROUGH
    move = lambda: check(kernel.MoveFileExW(os.fspath(path), os.fspath(target), flags), target)  # noqa: E731
    _once_free(move, path, target, refused=_HELD)


def lock(descriptor: int, *, reading: bool) -> bool:
    """Mark the file as in use until the descriptor is closed; False while another has locked all of it.

    Writers take a byte each, far behind the data, for themselves, readers share one. A shared lock would not do for
    writers: HDF5 could then take its own, of the whole file, under which Windows lets nobody write, not even them.
    """
    if reading:
        return _lock(descriptor, _READERS_OFFSET, 1, exclusive=False)
    return any(_lock(descriptor, _LOCK_OFFSET + byte, 1) for byte in range(_WRITERS))


def unlock(descriptor: int) -> None:
    """Do nothing: closing the descriptor releases what `lock` holds, and no other process has a copy."""


def lock_binds(path: Path) -> bool:  # noqa: ARG001
    """Return False: what is locked lies behind the data."""
    return False


def is_held(descriptor: int) -> bool:
    """Return whether another open file holds a lock, or a part of this one."""
    if not _lock(descriptor, _LOCK_OFFSET, _WRITERS + 1):
        return True
    where = _overlapped(_LOCK_OFFSET)
    try:
        check(kernel.UnlockFileEx(msvcrt.get_osfhandle(descriptor), 0, _WRITERS + 1, 0, ctypes.byref(where)))
    except OSError as exc:
        if exc.winerror not in (*REFUSED, NOT_LOCKED):  # the volume has no locks
            raise
    return False


def _create(path: str | os.PathLike[str], access: int, disposition: int, attributes: int) -> int:
    def create() -> int:
        handle = kernel.CreateFileW(os.fspath(path), access, _SHARE_READ_WRITE, None, disposition, attributes, None)
        check(handle != _INVALID_HANDLE, path)
        return int(handle)

    return _once_free(create, path)


def _once_free(
    do: Callable[[], _Result], *paths: str | os.PathLike[str], refused: tuple[int, ...] = (SHARING_VIOLATION,)
) -> _Result:
    """Do something with files, again and again while another program holds one for a moment."""
    for pause in (*_HELD_RETRY_S, None):
        try:
            return do()
        except OSError as exc:
            if exc.winerror not in refused:
                raise
            if pause is None:
                _name_holders(exc, paths)
                raise
        time.sleep(pause)
    raise AssertionError  # the last round returns or raises


def _name_holders(exc: OSError, paths: tuple[str | os.PathLike[str], ...]) -> None:
    """Let an error say which programs are in the way, as far as Windows does."""
    programs = dict.fromkeys(name for path in paths for name in holders(path))
    if programs or exc.winerror in (SHARING_VIOLATION, USER_MAPPED_FILE):
        who = ", ".join(programs) or "another program"
        exc.strerror = f"{who} has it open and does not share it: close it there"


def _lock(descriptor: int, offset: int, length: int, *, exclusive: bool = True) -> bool:
    """Lock bytes for this descriptor; False where another's lock does not allow it. No locks, no refusals."""
    where = _overlapped(offset)
    flags = _LOCK_AT_ONCE | (_LOCK_EXCLUSIVE if exclusive else 0)
    try:
        check(kernel.LockFileEx(msvcrt.get_osfhandle(descriptor), flags, 0, length, 0, ctypes.byref(where)))
    except OSError as exc:
        if exc.winerror == LOCK_VIOLATION:
            return False
        if exc.winerror not in REFUSED:
            raise
    return True


def _transfer(call: Any, descriptor: int, address: int, length: int, offset: int) -> int:
    done, where = wintypes.DWORD(), _overlapped(offset)
    handle = msvcrt.get_osfhandle(descriptor)
    check(call(handle, address, length, ctypes.byref(done), ctypes.byref(where)))
    return done.value


def _address(data: memoryview) -> int:
    return int(np.frombuffer(data, np.uint8).__array_interface__["data"][0])


def _overlapped(offset: int) -> Overlapped:
    return Overlapped(offset_low=offset & 0xFFFFFFFF, offset_high=offset >> 32)


def _set_information(descriptor: int, kind: int, value: int) -> None:
    size = ctypes.c_int64(value)
    handle = msvcrt.get_osfhandle(descriptor)
    set_size = lambda: check(kernel.SetFileInformationByHandle(handle, kind, ctypes.byref(size), 8))  # noqa: E731
    _once_free(set_size, refused=(USER_MAPPED_FILE,))
