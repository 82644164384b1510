"""Writing bytes at known offsets of the recording's file, past the page cache where the file system allows."""

import errno
import os
import shutil
import threading
from pathlib import Path

from ...errors import StorageError
from ..block_layout import PAGE
from ..system.os_file import (
    allocate,
    close_file,
    drop_cached,
    lock_for_writing,
    open_direct,
    open_file,
    pwrite_all,
    pwrite_direct,
    sync,
    truncate,
)

_DROP_BEHIND = 256 << 20  # a page cache this far behind the writer is clean on any disk that keeps up


class DirectFile:
    """An open file to which blocks and small values are written at known offsets, by several threads.

    The part of a block that is made of whole pages goes past the page cache (direct I/O), the rest through it. Where
    direct I/O is refused, everything goes through the page cache and is dropped from it behind the writer.

    Parameters
    ----------
    path
        An existing file.
    direct
        False keeps to the page cache.

    Attributes
    ----------
    direct
        Whether blocks go past the page cache.
    locked
        Whether a lock shows others that the file is in use; on some network drives none can be held.
    """

    def __init__(self, path: Path, *, direct: bool = True) -> None:
        self._fd = open_file(path, os.O_RDWR)
        self._direct_fd = open_direct(path) if direct else None
        self.direct = self._direct_fd is not None
        self.locked = lock_for_writing(self._fd, path)  # while this process writes, whatever becomes of the producer
        self._dropped = 0
        self._dropping = threading.Lock()
        self._path = path

    def write_block(self, data: memoryview, offset: int) -> None:
        """Write a run of pages, whose last one may be short, at an offset on a page boundary.

        Raises
        ------
        OSError
            The device refused; how much of the block was written is unknown.
        """
        pages = len(data) // PAGE * PAGE if self.direct and offset % PAGE == 0 else 0
        if pages:
            pages = self._write_direct(data[:pages], offset)
        if pages < len(data):
            pwrite_all(self._fd, data[pages:], offset + pages)
        if not self.direct:
            self._drop_behind(offset)

    def write(self, data: bytes | memoryview, offset: int) -> None:
        """Write something small through the page cache."""
        pwrite_all(self._fd, data, offset)

    def size(self) -> int:
        """Return the file's size."""
        return os.fstat(self._fd).st_size

    def reserve(self, start: int, length: int) -> None:
        """Extend the file to ``start + length`` bytes, allocated on the disk.

        Raises
        ------
        StorageError
            There is no room; the file keeps its size.
        """
        try:
            if not allocate(self._fd, start, length):
                self._check_free_space(start + length)
        except OSError as exc:
            truncate(self._fd, start)
            if exc.errno not in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
                raise
            free = shutil.disk_usage(self._path.parent).free
            message = f"no room for {length:,} more bytes, where {free:,} are free ({exc.strerror})"
            raise StorageError(exc.errno, f"{message}: make room, or use another disk", str(self._path)) from exc

    def truncate(self, size: int) -> None:
        """Move the file's end."""
        truncate(self._fd, size)

    def sync(self) -> None:
        """Return when everything written is on the device."""
        sync(self._fd)

    def close(self) -> None:
        """Close the descriptors; idempotent."""
        for name in ("_fd", "_direct_fd"):
            descriptor = getattr(self, name)
            if descriptor is not None:
                setattr(self, name, None)
                close_file(descriptor)

    def _check_free_space(self, size: int) -> None:
        """Refuse a file that will not fit on a disk where no room can be allocated ahead."""
        stored = getattr(os.fstat(self._fd), "st_blocks", 0) * 512
        if shutil.disk_usage(self._path.parent).free < size - stored:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    def _write_direct(self, data: memoryview, offset: int) -> int:
        """Write whole pages past the page cache; return how many bytes were, less than all if direct I/O is refused."""
        assert self._direct_fd is not None  # noqa: S101 - tells mypy what the only caller checked
        done = 0
        while done < len(data):
            try:
                written = pwrite_direct(self._direct_fd, data[done:], offset + done)
            except OSError as exc:
                if exc.errno != errno.EINVAL:
                    raise
                self.direct = False
                break
            done += written
            if not written or done % PAGE:  # a short write that ends inside a page cannot be continued directly
                break
        return done

    def _drop_behind(self, offset: int) -> None:
        """Drop the page cache behind the writer, which would otherwise push out everything else."""
        with self._dropping:
            if offset - self._dropped >= 2 * _DROP_BEHIND:
                length = offset - _DROP_BEHIND - self._dropped
                drop_cached(self._fd, self._dropped, length)
                self._dropped += length
