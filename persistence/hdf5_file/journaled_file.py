"""HDF5's own writes to the file, made atomic.

A growth of the dataset is half a dozen small writes by HDF5, and a process that is killed between two of them would
leave a file that cannot be opened. So HDF5 is given this object instead of the file: it keeps what HDF5 writes, and
`JournaledFile.commit` first puts it, as one entry, into the journal, syncs that, and only then applies it.
"""

# ruff: noqa: D102 - what io.RawIOBase documents

import io
import os
from collections.abc import Callable, Iterator

import numpy as np

from ..system.os_file import pread, pwrite_all, sync, truncate
from .btree import write_rank
from .journal import Fit, Journal, Write, base_digests

_VALUES_BYTES = 64 << 10  # writes this large are no structure but values that HDF5 moves when it trims


class JournaledFile(io.RawIOBase):
    """A file as h5py's ``fileobj`` driver uses it, whose writes are kept until `commit`.

    Parameters
    ----------
    descriptor
        The file, open for reading and writing; it stays the caller's.

    Attributes
    ----------
    least_size
        The file's size is at least this, bytes, though HDF5 may not use all of it yet.
    changed_since
        Whether `recover` found changes in the journal that it did not use, because another program has changed the file
        since they were made.
    """

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._position = 0
        self._size = os.fstat(descriptor).st_size
        self._writes: list[tuple[int, bytes]] = []
        self._in_place: set[int] = set()
        self._journal: Journal | None = None
        self._captured_buffer = 0
        self._captured_offsets: list[int] = []
        self.least_size = 0
        self.changed_since = False

    @property
    def size(self) -> int:
        """The size that HDF5 expects; the file has it, or ``least_size``, after the next `commit`."""
        return self._size

    def use_journal(self, offset: int) -> None:
        """Journal each commit from now on, in the two halves at ``offset``."""
        self._journal = Journal(self._descriptor, offset)
        if self._journal.is_new():
            self._journal.clear()

    def recover(self) -> int:
        """Take the writes that the journal holds; return how many entries that were.

        Doing it again does no harm, nor does doing it to a file in which they had been applied. Each region is taken
        as the last entry has it: the file must not go back to an older one, where whole frames have no chunk. A journal
        that does not fit the file any more is not used.
        """
        self._journal = Journal.find(self._descriptor)
        fit = self._journal.fit() if self._journal is not None else Fit.NOTHING_TO_DO
        self.changed_since = fit is Fit.CHANGED_SINCE
        pending = self._journal.pending() if self._journal is not None and fit is Fit.FITS else []
        for entry in pending:
            self._writes.extend((write.offset, write.content) for write in entry.writes)
            self._size = entry.file_size
        self._order_for_readers()
        return len(pending)

    def replay(self) -> None:
        """Apply what the journal holds, durably.

        The entry may never have been synced by the writer that died, and must be before anything of it is applied; what
        is applied must be durable before a commit overwrites an entry. A journal that does not fit is voided.
        """
        if self.recover():
            sync(self._descriptor)
            self._apply()
            sync(self._descriptor)
        elif self.changed_since:
            self.retire_journal()

    def writes(self) -> Iterator[bytes]:
        """Return what will be written with the next `commit`, oldest first."""
        return (content for _, content in self._writes)

    def add(self, data: bytes, offset: int) -> None:
        """Write ``data`` with the next `commit`: with all of it or not at all."""
        self._writes.append((offset, data))
        self._in_place.add(offset)

    def write_offset_of(self, data: memoryview, write: Callable[[], None]) -> int:
        """Return the offset at which HDF5 writes ``data`` in a call of ``write``; the caller writes it there.

        HDF5 hands over a chunk that is written directly as it was given, in the caller's buffer, and thereby it is
        recognised. (A copy would be kept as any other write, and journalled with all its bytes.)

        Raises
        ------
        AssertionError
            HDF5 has copied the chunk first, or not written it.
        """
        self._captured_buffer = _address(data)
        self._captured_offsets.clear()
        try:
            write()
        finally:
            self._captured_buffer = 0
        if len(self._captured_offsets) != 1:
            raise AssertionError(
                f"HDF5 wrote a chunk {len(self._captured_offsets)} times from the buffer that it was given, not once: "
                "this version of h5py copies chunks, and cannot write compressed recordings"
            )
        return self._captured_offsets[0]

    def commit(self) -> bool:
        """Apply the writes that were kept, all of them or, in a crash, none; return whether the device was synced."""
        journalled = self._journal is not None and bool(self._writes)
        if self._journal is not None and journalled:
            self._order_for_readers()
            self._journal.append(max(self._size, self.least_size), [self._as_entry(*write) for write in self._writes])
            sync(self._descriptor)
        self._apply()
        return journalled

    def commit_first(self) -> None:
        """Apply the writes that make a new file, without a journal: the superblock, which makes it one, comes last."""
        superblock = [write for write in self._writes if write[0] == 0]
        self._writes = [write for write in self._writes if write[0] > 0]
        self._apply()
        sync(self._descriptor)
        self._writes = superblock
        self._apply()

    def retire_journal(self) -> None:
        """Void the journal, synced: the file is whole, and may be changed by others from now on."""
        if self._journal is not None:
            sync(self._descriptor)
            self._journal.append(max(self._size, self.least_size), ())
            sync(self._descriptor)

    # What h5py calls.

    def readable(self) -> bool:
        return True

    def writable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        base = {os.SEEK_SET: 0, os.SEEK_CUR: self._position, os.SEEK_END: self._size}[whence]
        self._position = base + offset
        return self._position

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]  # h5py passes nothing else
        """Read what HDF5 believes to have written; beyond the end there are zeros."""
        view = memoryview(buffer).cast("B")
        start, stop = self._position, self._position + len(view)
        data = pread(self._descriptor, len(view), start)
        view[: len(data)] = data
        view[len(data) :] = bytes(len(view) - len(data))
        for offset, content in self._writes:
            low, high = max(start, offset), min(stop, offset + len(content))
            if low < high:
                view[low - start : high - start] = content[low - offset : high - offset]
        self._position = stop
        return len(view)

    def write(self, data: memoryview) -> int:  # type: ignore[override]  # h5py passes nothing else
        """Keep a write for `commit`; large ones hold nothing that a crash could tear."""
        if self._captured_buffer and _address(data) == self._captured_buffer:
            self._captured_offsets.append(self._position)
        elif len(data) >= _VALUES_BYTES:
            pwrite_all(self._descriptor, bytes(data), self._position)
        else:
            self._writes.append((self._position, bytes(data)))
        self._position += len(data)
        self._size = max(self._size, self._position)
        return len(data)

    def truncate(self, size: int | None = None) -> int:
        self._size = self._position if size is None else size
        return self._size

    def flush(self) -> None:
        """Nothing: what HDF5 calls a flush is complete only with `commit`."""

    def _order_for_readers(self) -> None:
        """Keep one write for each region, as it is in the end, in an order in which a reader misses nothing."""
        shrinks = max(self._size, self.least_size) < os.fstat(self._descriptor).st_size
        regions = dict.fromkeys((offset, len(content)) for offset, content in self._writes)
        self._writes = sorted(
            ((offset, self._read_through(offset, length)) for offset, length in regions),
            key=lambda write: write_rank(write[1], self._on_disk(*write), shrinks=shrinks),
        )

    def _as_entry(self, offset: int, content: bytes) -> Write:
        if offset in self._in_place:
            return Write(offset, content)
        return Write(offset, content, base_digests(offset, self._on_disk(offset, content)))

    def _on_disk(self, offset: int, content: bytes) -> bytes:
        """Return what the file has where a write goes."""
        return pread(self._descriptor, len(content), offset).ljust(len(content), b"\0")

    def _read_through(self, offset: int, length: int) -> bytes:
        """Return what HDF5 believes to be in a region."""
        content = bytearray(length)
        self.seek(offset)
        self.readinto(memoryview(content))
        return bytes(content)

    def _apply(self) -> None:
        for offset, content in self._writes:
            pwrite_all(self._descriptor, content, offset)
        self._writes.clear()
        self._in_place.clear()
        size = max(self._size, self.least_size)
        if os.fstat(self._descriptor).st_size != size:  # else it would wait for the writes that are under way
            truncate(self._descriptor, size)


def _address(data: memoryview) -> int:
    return int(np.frombuffer(data, np.uint8).ctypes.data)
