"""Reading and writing at offsets, on every platform, with the errors that pass retried."""

import errno
import importlib.util
import os
import platform
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

fcntl: Any = importlib.import_module("fcntl") if importlib.util.find_spec("fcntl") else None
"""None on Windows, where an open file cannot be replaced anyway."""

_PASSING = (errno.EIO, errno.EAGAIN, errno.ENOSPC, errno.ENOBUFS, errno.ETIMEDOUT)
_NO_LOCKS = (errno.ENOTSUP, errno.ENOLCK, errno.ENOSYS)
_PROBED_S = 1.0
_RETRY_S = (0.05, 0.2, 0.8)  # a network drive or a controller that recovers does so within a second

_moving = threading.Lock()  # a descriptor has one position for all threads


def _move_and_write(descriptor: int, data: memoryview, offset: int) -> int:
    with _moving:
        os.lseek(descriptor, offset, os.SEEK_SET)
        return os.write(descriptor, data)


def _move_and_read(descriptor: int, length: int, offset: int) -> bytes:
    with _moving:
        os.lseek(descriptor, offset, os.SEEK_SET)
        return os.read(descriptor, length)


_pwrite: Callable[[int, memoryview, int], int] = getattr(os, "pwrite", _move_and_write)  # Windows has neither
pread: Callable[[int, int, int], bytes] = getattr(os, "pread", _move_and_read)
"""Read up to a number of bytes at an offset: descriptor, length, offset."""


def pwrite(descriptor: int, data: memoryview, offset: int) -> int:
    """Write at ``offset`` and return how many bytes were written; errors that may pass are retried.

    Raises
    ------
    OSError
        The device refused, for good.
    """
    for pause in (*_RETRY_S, None):
        try:
            return _pwrite(descriptor, data, offset)
        except OSError as exc:
            if pause is None or exc.errno not in _PASSING:
                raise
            time.sleep(pause)
    raise AssertionError  # the last round returns or raises


def pwrite_all(descriptor: int, data: bytes | memoryview, offset: int) -> None:
    """Write all of ``data`` at ``offset``, however many writes it takes."""
    view, done = memoryview(data), 0
    while done < len(view):
        written = pwrite(descriptor, view[done:], offset + done)
        if not written:
            raise OSError(errno.EIO, f"the device took nothing of {len(view) - done:,} bytes at {offset + done:,}")
        done += written


def open_file(path: str | os.PathLike[str], flags: int) -> int:
    """Open without translating line ends, and not for child processes."""
    return os.open(path, flags | getattr(os, "O_BINARY", 0) | getattr(os, "O_CLOEXEC", 0))


def sync(descriptor: int) -> None:
    """Return when what was written is on the device, and the file's size with it."""
    if hasattr(fcntl, "F_FULLFSYNC"):  # macOS: its fsync leaves the data in the drive's cache
        fcntl.fcntl(descriptor, fcntl.F_FULLFSYNC)
    else:
        getattr(os, "fdatasync", os.fsync)(descriptor)


def sync_folder(path: Path) -> None:
    """Return when the names in a folder are on the device, where folders can be synced."""
    if fcntl is None:
        return
    descriptor = open_file(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    except OSError as exc:  # some network file systems, which do it by themselves
        if exc.errno not in (errno.EINVAL, errno.ENOTSUP, errno.EBADF):
            raise
    finally:
        os.close(descriptor)


def boot() -> str:
    """Return what names the time since this computer was started: after a power cut it is another one."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    except OSError:
        import psutil

        return f"{platform.node()} {psutil.boot_time():.0f}"


def lock_shared(descriptor: int) -> None:
    """Say that the file is in use: others may read it, none may change it, as far as the file system has locks."""
    if fcntl is None:
        return
    limit = time.monotonic() + _PROBED_S
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > limit:
                raise
            time.sleep(_PROBED_S / 100)  # `is_locked` holds the file for a moment
        except OSError as exc:
            if exc.errno not in _NO_LOCKS:
                raise
            return
        else:
            return


def lock_for_reading(descriptor: int, *, being_written: bool) -> None:
    """Hold a shared lock, so that nobody repairs a file that is read, unless its writer holds one.

    On some network drives a shared lock keeps the writer from writing; while it writes, the file needs no other lock.
    """
    if not (being_written and _is_locked(descriptor)):
        lock_shared(descriptor)


def is_locked(path: Path) -> bool:
    """Tell whether anybody has said `lock_shared`, or reads the file through HDF5."""
    if fcntl is None:
        return False
    descriptor = open_file(path, os.O_RDONLY)
    try:
        return _is_locked(descriptor)
    finally:
        os.close(descriptor)


def _is_locked(descriptor: int) -> bool:
    """Tell whether another open file holds a lock; whatever this one held is released."""
    if fcntl is None:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError as exc:
        if exc.errno not in _NO_LOCKS:
            raise
        return False
    fcntl.flock(descriptor, fcntl.LOCK_UN)
    return False
