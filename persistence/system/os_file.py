"""Files as a recording needs them: writes at offsets, past the page cache, with room ahead and locks.

Systems differ in all of it. Each has one module, chosen here, once: `posix_file` for Linux and macOS, `windows_file`.
Both are tested by the same tests (tests/persistence/test_os_file.py). Descriptors are those of the `os` module.
"""

import contextlib
import errno
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path

if sys.platform == "win32":
    from . import windows_file as _calls
else:
    from . import posix_file as _calls

allocate = _calls.allocate
drop_cached = _calls.drop_cached
open_direct = _calls.open_direct
open_file = _calls.open_file
pread = _calls.pread
remove_file = _calls.remove_file
replace_file = _calls.replace_file
sync = _calls.sync
sync_folder = _calls.sync_folder
truncate = _calls.truncate
unlock = _calls.unlock

_PASSING = (errno.EIO, errno.EAGAIN, errno.ENOSPC, errno.ENOBUFS, errno.ETIMEDOUT)
_PROBED_S = 1.0
_RETRY_S = (0.05, 0.2, 0.8)  # a network drive or a controller that recovers does so within a second


def pwrite_direct(descriptor: int, data: memoryview, offset: int) -> int:
    """Write past the page cache to what `open_direct` opened; return how many bytes were written.

    Raises
    ------
    OSError
        The device refused, for good; with EINVAL it may be that it does not take direct writes, or not such ones.
    """
    return _retried(_calls.write_direct_once, descriptor, data, offset)


def pwrite_all(descriptor: int, data: bytes | memoryview, offset: int) -> None:
    """Write all of ``data`` at ``offset``, however many writes it takes."""
    view, done = memoryview(data), 0
    while done < len(view):
        written = _retried(_calls.write_once, descriptor, view[done:], offset + done)
        if not written:
            raise OSError(errno.EIO, f"the device took nothing of {len(view) - done:,} bytes at {offset + done:,}")
        done += written


def _retried(write: Callable[[int, memoryview, int], int], descriptor: int, data: memoryview, offset: int) -> int:
    """Write once; errors that may pass are retried."""
    for pause in (*_RETRY_S, None):
        try:
            return write(descriptor, data, offset)
        except OSError as exc:
            if pause is None or exc.errno not in _PASSING:
                raise
            time.sleep(pause)
    raise AssertionError  # the last round returns or raises


def close_file(descriptor: int) -> None:
    """Close a descriptor. What network file systems report then, a sync has reported before, or nothing was written."""
    with contextlib.suppress(OSError):  # it is closed all the same
        os.close(descriptor)


def boot() -> str:
    """Return what names the time since this computer was started: after a power cut it is another one."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    except OSError:
        import socket

        import psutil

        try:
            return f"{socket.gethostname()} {psutil.boot_time():.0f}"
        except OSError:  # /proc is not mounted: it is never taken for the same
            return f"unknown {os.urandom(8).hex()}"


def occupy_standard_descriptors() -> None:
    """Open the null device at those of the descriptors 0 to 2 that are closed.

    A recording's file, ring or pipe would come to lie there, where libraries print and other processes have streams.
    """
    if os.name == "nt":  # standard handles have no numbers that others could take
        return
    for descriptor in range(3):
        try:
            os.fstat(descriptor)
        except OSError:
            os.set_inheritable(os.open(os.devnull, os.O_RDWR), True)  # the lowest number that is free


def lock_shared(descriptor: int, *, reading: bool = False) -> None:
    """Mark the file as in use: others may read it, none may change it, as far as the file system has locks.

    Parameters
    ----------
    descriptor
        The lock is held until it is closed, and however its process ends.
    reading
        It is in use by a reader, of which there may be any number.

    Raises
    ------
    BlockingIOError
        Another program has it for itself.
    """
    limit = time.monotonic() + _PROBED_S
    while not _calls.lock(descriptor, reading=reading):
        if time.monotonic() > limit:
            raise BlockingIOError(errno.EAGAIN, "another program has locked the file")
        time.sleep(_PROBED_S / 100)  # `is_locked` holds the file for a moment


def lock_for_writing(descriptor: int, path: Path) -> bool:
    """Hold a shared lock of a file that nobody else writes yet; return whether there is one.

    Where it would keep other descriptors from writing, there is none, and readers must not lock the file either.
    """
    lock_shared(descriptor)
    if _calls.lock_binds(path):
        unlock(descriptor)
        return False
    return True


def lock_for_reading(descriptor: int, *, being_written: bool) -> None:
    """Hold a shared lock, so that nobody repairs a file that is read, unless its writer holds one."""
    if not (being_written and _calls.is_held(descriptor)):
        lock_shared(descriptor, reading=True)


def is_locked(path: Path) -> bool:
    """Return whether anybody has called `lock_shared`, or reads the file through HDF5."""
    try:
        descriptor = open_file(path, os.O_RDWR)  # NFS locks only what is open for writing
    except PermissionError:
        descriptor = open_file(path, os.O_RDONLY)
    try:
        return _calls.is_held(descriptor)
    finally:
        close_file(descriptor)
