"""A reader's own view of a file that another handle, in this process or another, may be changing.

HDF5 keeps one file object per file and process: a file that is opened again while an earlier handle lives shares that
handle's cached structure, and with it the length that the recording had then. A file that is given to h5py as a Python
object is private to its handle.
"""

# ruff: noqa: D102 - what io.RawIOBase documents

import io
import os
from typing import Any

import h5py
from h5py._objects import phil

from ..system.os_file import open_file, pread

CACHE_BYTES = 1 << 20
"""HDF5's chunk cache. A frame that fits in it (8 MiB is HDF5 2.0's default) is read there first, and copied out."""


class PrivateFile(io.RawIOBase):
    """A file open for reading, with a position of its own: forked processes can share its descriptor."""

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.descriptor = open_file(path, os.O_RDONLY)
        self._position = 0

    def open_hdf5(self) -> h5py.File:
        """Return a new HDF5 handle, which sees the file as it is now and keeps its own structure from then on."""
        return h5py.File(self, "r", driver="fileobj", rdcc_nbytes=CACHE_BYTES)

    def size(self) -> int:
        """Return the file's present size."""
        return os.fstat(self.descriptor).st_size

    def changed_ns(self) -> int:
        """Return when the file was last changed, ns."""
        return os.fstat(self.descriptor).st_mtime_ns

    def read_at(self, length: int, offset: int) -> bytes:
        """Return up to ``length`` bytes at ``offset``, as they are now."""
        return pread(self.descriptor, length, offset)

    # What h5py calls.

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        base = {os.SEEK_SET: 0, os.SEEK_CUR: self._position, os.SEEK_END: self.size()}[whence] if whence else 0
        self._position = base + offset
        return self._position

    def readinto(self, buffer: Any) -> int:
        view, done = memoryview(buffer).cast("B"), 0
        while done < len(view):
            read = _read_into(self.descriptor, view[done:], self._position + done)
            if not read:  # HDF5 may ask for more than a file has that is shorter than its superblock says
                view[done:] = bytes(len(view) - done)
                break
            done += read
        self._position += len(view)
        return len(view)

    def close(self) -> None:
        if self.descriptor >= 0:
            os.close(self.descriptor)
            self.descriptor = -1
        super().close()


def _read_into(descriptor: int, view: memoryview, offset: int) -> int:
    if hasattr(os, "preadv"):
        return os.preadv(descriptor, [view], offset)
    data = pread(descriptor, len(view), offset)  # Windows
    view[: len(data)] = data
    return len(data)


def read_stored_chunk(data: h5py.Dataset, start: tuple[int, ...]) -> tuple[int, bytes]:
    """Read the chunk at ``start`` as it is stored, and its filter mask; any thread may.

    h5py locks this call itself from 3.16 on: before, another thread could enter HDF5 while this one reads the file.
    """
    with phil:
        mask, stored = data.id.read_direct_chunk(start)
    return mask, stored
