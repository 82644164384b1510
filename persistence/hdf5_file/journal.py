"""The journal of a recording: two halves in the file, for the last two changes of its structure.

An entry is written to a half, whole, and synced before the first of its writes is applied; it can be applied again
after a crash, whatever of it had been applied. The halves alternate, so an entry is overwritten only after the sync
that made its effects durable. An entry without writes says that those before it are done with.

An entry is made for one file as it was: it holds its own offset, and checksums of what was in each sector before. Where
another program has changed the file since, or copied its datasets into a new file, the entries do not fit any more
and are left alone.
"""

import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import Enum

import xxhash

from ...errors import RecordingError
from ..block_layout import PAGE
from ..system.os_file import pread, pwrite_all

HALF_BYTES = 256 << 10
"""Size of one of the two halves; a growth takes about 20 kB of it."""

_NAME = b"mmspool"
_MAGIC = _NAME + b"\x02"  # the format's version
_HEADER = struct.Struct("<8sQQQQQ")  # magic, sequence, file size, the journal's offset, bytes of writes, checksum
_WRITE = struct.Struct("<QQQ")  # offset, bytes of content, bytes of checksums of what was there before
_SECTOR = 512  # what a device writes whole
_DIGEST_BYTES = 8
_SEARCH_BYTES = 8 << 20


@dataclass(frozen=True)
class Write:
    """One write of a change.

    ``before`` has the checksums of the sectors that it replaces; it is empty for values that are written in place too.
    """

    offset: int
    content: bytes
    before: bytes = b""


@dataclass(frozen=True)
class Entry:
    """A change of the file's structure, and the size that the file has with it."""

    sequence: int
    file_size: int
    writes: Sequence[Write]


class Fit(Enum):
    """Whether the changes that may have to be applied again were made for the file that they are in."""

    NOTHING_TO_DO = "nothing to do"
    FITS = "fits"
    CHANGED_SINCE = "changed since"


class Journal:
    """The journal at ``offset`` of the file ``descriptor``."""

    def __init__(self, descriptor: int, offset: int) -> None:
        self._descriptor = descriptor
        self.offset = offset
        self._entries = self._read_entries()
        self._sequence = max((entry.sequence for entry in self._entries), default=0)

    @classmethod
    def find(cls, descriptor: int) -> "Journal | None":
        """Return a recording's journal, found by its mark, since HDF5 cannot be asked; None without one.

        Raises
        ------
        RecordingError
            It is of another version of mmspool.
        """
        for offset in range(0, _SEARCH_BYTES, PAGE):
            mark = pread(descriptor, len(_MAGIC), offset)
            if mark == _MAGIC:
                return cls(descriptor, offset)
            if mark[: len(_NAME)] == _NAME and len(mark) == len(_MAGIC) and mark[-1] < 32:
                raise RecordingError(
                    f"the file's journal has format {mark[-1]}, and this version of mmspool reads {_MAGIC[-1]}: "
                    "use the version that recorded the file"
                )
        return None

    def is_new(self) -> bool:
        """Return whether there is not a single entry."""
        return not self._entries

    def clear(self) -> None:
        """Write empty entries into both halves."""
        for half in (0, 1):
            self._write(half, Entry(0, 0, ()))

    def append(self, file_size: int, writes: Sequence[Write]) -> None:
        """Write an entry over the older one; it is not synced.

        Raises
        ------
        RuntimeError
            It is larger than a half.
        """
        self._sequence += 1
        self._write(self._sequence % 2, Entry(self._sequence, file_size, writes))

    def pending(self) -> list[Entry]:
        """Return the entries that may not be applied yet, oldest first: those after the last empty one."""
        done = max((index for index, entry in enumerate(self._entries) if not entry.writes), default=-1)
        return self._entries[done + 1 :]

    def fit(self) -> Fit:
        """Compare what is where the pending entries write with what can be there after a crash.

        That is, in each sector by itself, what was there before or after any of their writes to it.
        """
        writes = [write for entry in self.pending() for write in entry.writes]
        if not writes:
            return Fit.NOTHING_TO_DO
        allowed: dict[tuple[int, int], list[tuple[bytes, bytes]]] = {}
        for write in writes:
            for number, (start, stop) in enumerate(_sectors(write.offset, len(write.content))):
                before = write.before[number * _DIGEST_BYTES : (number + 1) * _DIGEST_BYTES]
                after = write.content[start - write.offset : stop - write.offset]
                allowed.setdefault((start, stop), []).append((before, after))
        for start, stop in allowed:
            found = pread(self._descriptor, stop - start, start).ljust(stop - start, b"\0")
            if any(found == after or before in (b"", _digest(found)) for before, after in allowed[start, stop]):
                continue
            if not any(
                (other_start, other_stop) != (start, stop) and other_start < stop and start < other_stop
                for other_start, other_stop in allowed
            ):
                return Fit.CHANGED_SINCE  # else another write of other length has it in part, and nothing can be said
        return Fit.FITS

    def _write(self, half: int, entry: Entry) -> None:
        body = b"".join(
            _WRITE.pack(write.offset, len(write.content), len(write.before)) + write.content + write.before
            for write in entry.writes
        )
        head = (_MAGIC, entry.sequence, entry.file_size, self.offset, len(body))
        packed = _HEADER.pack(*head, xxhash.xxh3_64_intdigest(_HEADER.pack(*head, 0) + body)) + body
        if len(packed) > HALF_BYTES:
            raise RuntimeError(
                f"a change of the file's structure takes {len(packed):,} bytes, more than half of the journal"
            )
        pwrite_all(self._descriptor, packed, self.offset + half * HALF_BYTES)

    def _read_entries(self) -> list[Entry]:
        """Return the whole entries of both halves, oldest first."""
        entries = (self._read_half(half) for half in (0, 1))
        return sorted((entry for entry in entries if entry is not None), key=lambda entry: entry.sequence)

    def _read_half(self, half: int) -> Entry | None:
        """Return a half's entry; None if it is torn, was never written, or was made for another offset."""
        raw = pread(self._descriptor, HALF_BYTES, self.offset + half * HALF_BYTES)
        if len(raw) < _HEADER.size:
            return None
        *head, checksum = _HEADER.unpack_from(raw)
        magic, sequence, file_size, offset, length = head
        body = raw[_HEADER.size : _HEADER.size + length]
        if magic != _MAGIC or checksum != xxhash.xxh3_64_intdigest(_HEADER.pack(*head, 0) + body):
            return None
        if offset != self.offset:  # the file was repacked: its journal's dataset was copied to another offset
            return None
        return Entry(sequence, file_size, tuple(_unpack(body)))


def base_digests(offset: int, before: bytes) -> bytes:
    """Return the checksums of what is in each sector, as much of it as a write at ``offset`` will replace."""
    return b"".join(_digest(before[start - offset : stop - offset]) for start, stop in _sectors(offset, len(before)))


def _digest(content: bytes) -> bytes:
    return xxhash.xxh3_64_digest(content)


def _sectors(offset: int, length: int) -> Iterator[tuple[int, int]]:
    """Return the parts of a region that lie in one sector each."""
    start = offset
    while start < offset + length:
        stop = min(offset + length, (start // _SECTOR + 1) * _SECTOR)
        yield start, stop
        start = stop


def _unpack(body: bytes) -> Iterator[Write]:
    at = 0
    while at < len(body):
        offset, length, digests = _WRITE.unpack_from(body, at)
        content, before = at + _WRITE.size, at + _WRITE.size + length
        at = before + digests
        yield Write(offset, body[content:before], body[before:at])
