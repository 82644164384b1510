"""HDF5's own writes to the file, made atomic.

A growth of the dataset is half a dozen small writes by HDF5, and a process that is killed between two of them would
leave a file that cannot be opened. So HDF5 is given this object in place of the file: it keeps what HDF5 writes, and
`commit` first puts it, as one record, into one of two journal slots in the file, has that synced, and only then
writes it in its places. Whoever finds the file after a crash does that again (`JournaledFile.replay`). The two slots
alternate, so a record is never overwritten before the sync that makes its effects durable. A record without writes says
that those before it are done with.
"""

# ruff: noqa: D102 - what io.RawIOBase documents

import io
import os
import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import xxhash

from ..block_layout import PAGE
from ..os_file import pread, pwrite_all, sync, truncate

SLOT_BYTES = 256 << 10
"""Size of one of the two journal slots; a growth takes about 20 kB of it."""

RAW_BYTES = 64 << 10
"""Writes this large are not structure but values that HDF5 moves when it trims; they need no journal."""

_MAGIC = b"mmspool\x01"
_HEADER = struct.Struct("<8sQQQQ")  # magic, sequence, file size, bytes of records, checksum of all that
_RECORD = struct.Struct("<QQ")  # offset, length
_SEARCH_BYTES = 8 << 20
_SUPERBLOCK = b"\x89HDF"
_NODE = b"TREE\x01"  # of an index of chunks; its level follows


@dataclass(frozen=True)
class _Entry:
    sequence: int
    size: int
    records: list[tuple[int, bytes]]


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
    """

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._position = 0
        self._size = os.fstat(descriptor).st_size
        self._staged: list[tuple[int, bytes]] = []
        self._journal: int | None = None
        self._sequence = 0
        self._captured_buffer = 0
        self._places: list[int] = []
        self.least_size = 0

    @property
    def size(self) -> int:
        """The file's size as HDF5 sees it, which it has after the next `commit`, unless ``least_size`` is more."""
        return self._size

    def use_journal(self, offset: int) -> None:
        """Journal each commit from now on, in the two slots at ``offset``."""
        self._journal = offset
        entries = _entries(self._descriptor, offset)
        if not entries:
            empty_journal(self._descriptor, offset)
        self._sequence = max((entry.sequence for entry in entries), default=0)

    def recover(self) -> int:
        """Stage what the journal holds; return how many records that were.

        Doing it again does no harm, nor does doing it to a file in which the records had been applied. Each place is
        staged as the last record has it: the file must not go back to an older one, where whole frames have no place.
        """
        self._journal = find_journal(self._descriptor)
        entries = [] if self._journal is None else _entries(self._descriptor, self._journal)
        self._sequence = max((entry.sequence for entry in entries), default=0)
        pending = _pending(entries)
        for entry in pending:
            self._staged.extend(entry.records)
            self._size = entry.size
        self._order_for_readers()
        return len(pending)

    def replay(self) -> None:
        """Write what the journal holds in its places: whole, and before a commit takes the place of a record.

        The record may never have been synced by the writer that died, and must be before anything of it is applied.
        """
        if self.recover():
            sync(self._descriptor)
            self._apply()
            sync(self._descriptor)

    def writes(self) -> Iterator[bytes]:
        """Return what will be written with the next `commit`, oldest first."""
        return (content for _, content in self._staged)

    def stage(self, data: bytes, offset: int) -> None:
        """Have ``data`` written with the next `commit`: with all of it or not at all."""
        self._staged.append((offset, data))

    def write_offset_of(self, data: memoryview, write: Callable[[], None]) -> int:
        """Have HDF5 write ``data`` by ``write``, and return where; the caller writes it there, nobody else does."""
        self._captured_buffer = _address(data)
        self._places.clear()
        try:
            write()
        finally:
            self._captured_buffer = 0
        (place,) = self._places
        return place

    def commit(self) -> bool:
        """Write what HDF5 has written, all of it or, whatever happens, none; return whether there was a sync."""
        journalled = self._journal is not None and bool(self._staged)
        if journalled:
            self._order_for_readers()
            self._write_entry(self._staged)
            sync(self._descriptor)
        self._apply()
        return journalled

    def retire_journal(self) -> None:
        """Void the journal, synced: the file is whole, and may be changed by others from now on."""
        sync(self._descriptor)
        self._write_entry([])
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

    def tell(self) -> int:
        return self._position

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]  # h5py passes nothing else
        """Read what HDF5 believes to have written; beyond the end there are zeros."""
        view = memoryview(buffer).cast("B")
        start, stop = self._position, self._position + len(view)
        data = pread(self._descriptor, len(view), start)
        view[: len(data)] = data
        view[len(data) :] = bytes(len(view) - len(data))
        for offset, staged in self._staged:
            low, high = max(start, offset), min(stop, offset + len(staged))
            if low < high:
                view[low - start : high - start] = staged[low - offset : high - offset]
        self._position = stop
        return len(view)

    def write(self, data: memoryview) -> int:  # type: ignore[override]  # h5py passes nothing else
        """Keep a write for `commit`; large ones hold nothing that a crash could tear."""
        if self._captured_buffer and _address(data) == self._captured_buffer:
            self._places.append(self._position)
        elif len(data) >= RAW_BYTES:
            pwrite_all(self._descriptor, bytes(data), self._position)
        else:
            self._staged.append((self._position, bytes(data)))
        self._position += len(data)
        self._size = max(self._size, self._position)
        return len(data)

    def truncate(self, size: int | None = None) -> int:
        self._size = self._position if size is None else size
        return self._size

    def flush(self) -> None:
        """Nothing: what HDF5 calls a flush is complete only with `commit`."""

    def _order_for_readers(self) -> None:
        """Stage each place once, as it is in the end, in an order in which a reader misses nothing at any moment.

        HDF5's index of chunks is a tree. New nodes come first, from the leaves up, while nothing refers to them, then
        the others from the root down: what a node hands over to a new one can be found there before it is gone here.
        The file's end, in the superblock, is beyond all that anything refers to.
        """
        shrinks = max(self._size, self.least_size) < os.fstat(self._descriptor).st_size

        def turn(write: tuple[int, bytes]) -> tuple[int, int]:
            offset, content = write
            if content.startswith(_SUPERBLOCK):
                return (4, 0) if shrinks else (0, 0)
            if not content.startswith(_NODE):
                return (3, 0)
            level = content[len(_NODE)]
            return (2, -level) if pread(self._descriptor, len(_NODE), offset) == _NODE else (1, level)

        places = dict.fromkeys((offset, len(content)) for offset, content in self._staged)
        self._staged = sorted(((offset, self._read_through(offset, length)) for offset, length in places), key=turn)

    def _read_through(self, offset: int, length: int) -> bytes:
        """Return what HDF5 believes to be in a place."""
        content = bytearray(length)
        self.seek(offset)
        self.readinto(memoryview(content))
        return bytes(content)

    def _write_entry(self, records: list[tuple[int, bytes]]) -> None:
        if self._journal is not None:
            self._sequence += 1
            entry = _pack(_Entry(self._sequence, max(self._size, self.least_size), records))
            pwrite_all(self._descriptor, entry, self._journal + self._sequence % 2 * SLOT_BYTES)

    def _apply(self) -> None:
        for offset, content in self._staged:
            pwrite_all(self._descriptor, content, offset)
        self._staged.clear()
        size = max(self._size, self.least_size)
        if os.fstat(self._descriptor).st_size != size:  # else it would wait for the writes that are under way
            truncate(self._descriptor, size)


def _address(data: memoryview) -> int:
    return int(np.frombuffer(data, np.uint8).ctypes.data)


def find_journal(descriptor: int) -> int | None:
    """Return where a recording's journal lies, found by its mark, since HDF5 cannot be asked; None without one."""
    for offset in range(0, _SEARCH_BYTES, PAGE):
        if pread(descriptor, len(_MAGIC), offset) == _MAGIC:
            return offset
    return None


def empty_journal(descriptor: int, offset: int) -> None:
    """Put empty records into both slots."""
    for slot in (0, 1):
        pwrite_all(descriptor, _pack(_Entry(0, 0, [])), offset + slot * SLOT_BYTES)


def _pack(entry: _Entry) -> bytes:
    body = b"".join(_RECORD.pack(offset, len(content)) + content for offset, content in entry.records)
    head = (_MAGIC, entry.sequence, entry.size, len(body))
    record = _HEADER.pack(*head, xxhash.xxh3_64_intdigest(_HEADER.pack(*head, 0) + body)) + body
    if len(record) > SLOT_BYTES:
        raise RuntimeError(
            f"a change of the file's structure takes {len(record):,} bytes, more than the journal's slot"
        )
    return record


def _entries(descriptor: int, journal: int) -> list[_Entry]:
    """Return the whole records of both slots, oldest first."""
    slots = (_read_slot(descriptor, journal + slot * SLOT_BYTES) for slot in (0, 1))
    return sorted((entry for entry in slots if entry is not None), key=lambda entry: entry.sequence)


def _pending(entries: list[_Entry]) -> list[_Entry]:
    """Return the records that may not be in their places yet: those after the last empty one."""
    done = max((index for index, entry in enumerate(entries) if not entry.records), default=-1)
    return entries[done + 1 :]


def _read_slot(descriptor: int, offset: int) -> _Entry | None:
    """Return a slot's record; None if it is torn or was never written."""
    raw = pread(descriptor, SLOT_BYTES, offset)
    if len(raw) < _HEADER.size:
        return None
    *head, checksum = _HEADER.unpack_from(raw)
    magic, sequence, size, length = head
    body = raw[_HEADER.size : _HEADER.size + length]
    if magic != _MAGIC or checksum != xxhash.xxh3_64_intdigest(_HEADER.pack(*head, 0) + body):
        return None
    records, place = [], 0
    while place < len(body):
        where, count = _RECORD.unpack_from(body, place)
        place += _RECORD.size
        records.append((where, body[place : place + count]))
        place += count
    return _Entry(sequence, size, records)
