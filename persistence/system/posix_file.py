"""The calls of Linux and macOS behind `os_file`."""

import contextlib
import errno
import fcntl
import os
import struct
import sys
from pathlib import Path

_REFUSED = (errno.EINVAL, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS)  # what file systems say that lack something
_CANNOT_EXTEND = (*_REFUSED, errno.EPERM)  # POSIX lets FAT refuse to make a file longer but by writing
_NO_LOCKS = (errno.ENOTSUP, errno.ENOLCK, errno.ENOSYS, errno.EINVAL, errno.EPERM)
_HELD = (errno.EAGAIN, errno.EACCES)

# <sys/fcntl.h> of macOS, of which Python has no name: struct fstore is flags, position mode, offset, length, allocated.
_F_PREALLOCATE, _F_ALLOCATEALL, _F_PEOFPOSMODE = 42, 4, 3
_FSTORE = struct.Struct("=Iiqqq")


def open_file(path: str | os.PathLike[str], flags: int) -> int:
    """Open a file, not for child processes."""
    return os.open(path, flags | os.O_CLOEXEC, 0o666)


def open_direct(path: str | os.PathLike[str]) -> int | None:
    """Open a file for `write_direct_once`; None where its file system has no such writes."""
    if not hasattr(os, "O_DIRECT"):
        return _open_uncached(path)
    try:
        return open_file(path, os.O_WRONLY | os.O_DIRECT)
    except OSError as exc:
        if exc.errno in _REFUSED:
            return None
        raise


def pread(descriptor: int, length: int, offset: int) -> bytes:
    """Read up to ``length`` bytes at an offset."""
    return os.pread(descriptor, length, offset)


def write_once(descriptor: int, data: memoryview, offset: int) -> int:
    """Write at an offset and return how many bytes were written."""
    return os.pwrite(descriptor, data, offset)


def write_direct_once(descriptor: int, data: memoryview, offset: int) -> int:
    """Write past the page cache and return how many bytes were written.

    Raises
    ------
    OSError
        With EINVAL on Linux, where address, offset or length is not aligned to a page; macOS caches such writes.
    """
    return os.pwrite(descriptor, data, offset)


def truncate(descriptor: int, size: int) -> None:
    """Move the file's end."""
    try:
        os.ftruncate(descriptor, size)
    except OSError as exc:
        if exc.errno not in _CANNOT_EXTEND or os.fstat(descriptor).st_size >= size:
            raise
        os.pwrite(descriptor, b"\0", size - 1)


def allocate(descriptor: int, start: int, length: int) -> bool:
    """Extend a file that has ``start`` bytes by ``length``; return whether the disk has room for them.

    Where the file system cannot allocate, the file is only made longer: glibc's `posix_fallocate` would write to every
    block instead, and all data would be written twice.

    Raises
    ------
    OSError
        There is no room; what was allocated may be there.
    """
    allocated = False
    try:
        if sys.platform == "linux" and hasattr(os, "posix_fallocate"):
            _fallocate(descriptor, start, length)
            return True
        if hasattr(fcntl, "F_FULLFSYNC"):  # macOS
            fcntl.fcntl(descriptor, _F_PREALLOCATE, _FSTORE.pack(_F_ALLOCATEALL, _F_PEOFPOSMODE, 0, length, 0))
            allocated = True
    except OSError as exc:
        if exc.errno not in (*_REFUSED, errno.EPERM):  # the last one by sandboxes and FAT
            raise
    truncate(descriptor, start + length)
    return allocated


def _fallocate(descriptor: int, start: int, length: int) -> None:
    """Call Linux' fallocate(2), which Python does not offer."""
    import ctypes  # only needed to write a file

    libc = ctypes.CDLL(None, use_errno=True)
    call = libc.fallocate64 if hasattr(libc, "fallocate64") else libc.fallocate  # with 64-bit offsets everywhere
    while call(descriptor, 0, ctypes.c_int64(start), ctypes.c_int64(length)):
        code = ctypes.get_errno()
        if code != errno.EINTR:
            raise OSError(code, os.strerror(code))


def drop_cached(descriptor: int, start: int, length: int) -> None:
    """Drop what the page cache has of a part of the file."""
    if hasattr(os, "posix_fadvise"):
        os.posix_fadvise(descriptor, start, length, os.POSIX_FADV_DONTNEED)


def sync(descriptor: int) -> None:
    """Return when what was written is on the device, and the file's size with it."""
    if hasattr(fcntl, "F_FULLFSYNC"):  # macOS: its fsync leaves the data in the drive's cache
        try:
            fcntl.fcntl(descriptor, fcntl.F_FULLFSYNC)
        except OSError as exc:
            if exc.errno not in _REFUSED:
                raise
            os.fsync(descriptor)  # a network file system, which has no drive
    else:
        getattr(os, "fdatasync", os.fsync)(descriptor)


def sync_folder(path: Path) -> None:
    """Return when the names in a folder are on the device, where folders can be synced."""
    descriptor = open_file(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    except OSError as exc:  # some network file systems, which do it by themselves
        if exc.errno not in (errno.EINVAL, errno.ENOTSUP, errno.EBADF):
            raise
    finally:
        os.close(descriptor)


def remove_file(path: Path) -> None:
    """Remove a file, if it is there."""
    path.unlink(missing_ok=True)


def replace_file(path: Path, target: Path) -> None:
    """Give a file the name of another one, which it replaces."""
    path.replace(target)


def lock(descriptor: int, *, reading: bool) -> bool:  # noqa: ARG001 - here all locks are alike
    """Hold a shared lock of the file until the descriptor is closed; False while another holds it for itself."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError as exc:
        if exc.errno in _HELD:
            return False
        if exc.errno not in _NO_LOCKS:
            raise
    return True


def unlock(descriptor: int) -> None:
    """Release what `lock` holds, for every copy of the descriptor that a forked process has."""
    with contextlib.suppress(OSError):  # no locks there
        fcntl.flock(descriptor, fcntl.LOCK_UN)


def lock_binds(path: Path) -> bool:
    """Return whether a lock that this process holds keeps its other descriptors from writing, as on SMB drives.

    The file's first byte is written again as it is; the caller has to be the only one to write.
    """
    descriptor = open_file(path, os.O_RDWR)
    try:
        first = os.pread(descriptor, 1, 0)
        os.pwrite(descriptor, first or b"\0", 0)
        if not first:
            os.ftruncate(descriptor, 0)
    except OSError as exc:
        return exc.errno in _HELD  # another error will come again where it can be reported
    finally:
        with contextlib.suppress(OSError):  # there is nothing that it could report
            os.close(descriptor)
    return False


def is_held(descriptor: int) -> bool:
    """Return whether another open file holds a lock; whatever this one held is released."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as exc:
        if exc.errno in _HELD:
            return True
        if exc.errno not in (*_NO_LOCKS, errno.EBADF):  # the last one by NFS, of a file that is open for reading only
            raise
        return False
    fcntl.flock(descriptor, fcntl.LOCK_UN)
    return False


def _open_uncached(path: str | os.PathLike[str]) -> int | None:
    """Open a file whose pages macOS does not keep; None on a system that has no such flag."""
    if not hasattr(fcntl, "F_NOCACHE"):
        return None
    descriptor = open_file(path, os.O_WRONLY)
    try:
        fcntl.fcntl(descriptor, fcntl.F_NOCACHE, 1)
    except OSError as exc:
        os.close(descriptor)
        if exc.errno in _REFUSED:
            return None
        raise
    return descriptor
