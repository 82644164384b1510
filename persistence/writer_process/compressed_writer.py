"""Moving frames from the ring to the file as compressed chunks, in the persistence process."""

import mmap
import os
import time
from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor, wait
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from ..hdf5_file import checksum
from ..hdf5_file.codec import Codec, room_for
from ..shared_ring.hugepages import private_memory
from ..shared_ring.ring import Ring, RingField
from .messages import StartWriting
from .raw_writer import RawWriter

_MAX_THREADS = 8  # more would compress faster than any disk writes
_COMMIT_S = 0.2  # how long frames wait for being counted
_COMMIT_CHUNKS = 500  # the index entries of so many fit in the journal's slot
_RING_SHARE = 8  # such a part of the ring may wait for being counted
_NEARLY_FULL = 0.75  # of the ring; from there on frames are stored as they are, if that is faster


class _Encoded(NamedTuple):
    """A compressed block: how many bytes of ``out`` it takes, 0 if there was no time to compress it; its checksums."""

    size: int
    out: mmap.mmap
    checksums: npt.NDArray[np.uint64] | None


class CompressedWriter(RawWriter):
    """Writes the ring's blocks as compressed chunks, which threads of its own make ahead, in order.

    While the ring is nearly full because the codec does not keep up, frames are stored as they are. (Not if they are so
    small that several share a block: HDF5 cannot cut such a chunk in two.)

    Chunks have no places before they are written: HDF5 is told of each, and a commit, several times a second, makes
    them a part of the file. Frames are counted only then, and are durable then as well.

    Parameters
    ----------
    ring
        Laid out for the recording.
    begin
        What the file is for.
    """

    _codec: Codec

    def __init__(self, ring: Ring, begin: StartWriting) -> None:
        super().__init__(ring, begin)
        g = self._layout
        threads = min(_MAX_THREADS, os.cpu_count() or 1, max(1, g.blocks // _RING_SHARE))  # what they fill is bounded
        self._may_be_raw = g.frames_per_block == 1
        self._raw_if_slow = begin.options.raw_if_slow and self._may_be_raw
        self._stored = self._written
        self._chunks = self._recording_file.chunks()
        # A writer that died had written these whole, but perhaps not counted them.
        self._whole = self._chunks if self._may_be_raw else max(0, self._chunks - 1)
        self._encoded = self._stored // g.frames_per_block
        self._ahead: deque[Future[_Encoded]] = deque()
        self._outs = [private_memory(room_for(g.block_bytes)) for _ in range(2 * threads)]
        self._encoding = ThreadPoolExecutor(threads, "mmspool-codec")
        self._part_since = 0.0
        part = self._stored % g.frames_per_block and self._stored // g.frames_per_block >= self._whole
        self._part_bytes = self._recording_file.chunk(self._chunks - 1)[0] if part else 0
        self._committed = time.monotonic()
        self._raw = self._bytes = 0  # since then

    def write_to(self, stop: int) -> None:
        """Write all whole blocks before ``stop``, and a part of one that has waited for ``sync_interval_s``."""
        per_block = self._layout.frames_per_block
        stop = max(stop, self._counters[RingField.PUT])
        while self._stored // per_block < stop // per_block:
            self._write_block_after(stop // per_block)
        if self._stored == stop:
            self._part_since = 0.0
        elif not self._part_since:
            self._part_since = time.monotonic()
        elif time.monotonic() - self._part_since >= self._sync_interval_s:
            self._write_part(stop)
        if self._stored > self._written and time.monotonic() - self._committed >= _COMMIT_S:
            self._commit()
        self._write_ledger()

    def finish(self, *, interrupted: bool, reason: str) -> tuple[int, int, str, int]:
        """Write the rest and commit it, then as for any file."""
        if not self._counters[RingField.FAILED]:
            put = self._counters[RingField.PUT]
            self.write_to(put)
            if self._stored < put:
                self._write_part(put)
        self._commit()
        return super().finish(interrupted=interrupted, reason=reason)

    def close(self) -> None:
        """Let go of the file; idempotent."""
        self._encoding.shutdown(cancel_futures=True)
        super().close()

    def _make_room(self, stop: int) -> None:
        """As for any file, but one after the other: HDF5 is told of chunks as well, from this thread."""
        if self._no_room is not None and stop > self._recording_file.capacity:
            self._commit()  # for the error to tell of all frames that are in the file
        super()._make_room(stop)
        if self._growth is not None:
            wait([self._growth])

    def _write_block_after(self, stop_block: int) -> None:
        """Write the block that is next, and have those after it, before ``stop_block``, encoded meanwhile."""
        per_block = self._layout.frames_per_block
        block = self._stored // per_block
        self._make_room((block + 1) * per_block)
        while self._encoded < stop_block and len(self._ahead) < len(self._outs):
            self._ahead.append(self._encode(self._encoded))
            self._encoded += 1
        self._store(block, self._ahead.popleft().result(), (block + 1) * per_block)
        self._part_bytes, self._part_since = 0, 0.0
        waiting = self._stored - self._written
        if waiting >= max(per_block, min(_COMMIT_CHUNKS * per_block, self._layout.frames // _RING_SHARE)):
            self._commit()

    def _encode(self, block: int) -> Future[_Encoded]:
        """Have a block encoded, or only its checksums computed while the ring is full because of the codec."""
        waiting = self._counters[RingField.PUT] - self._counters[RingField.WRITTEN]
        nearly_full = waiting >= _NEARLY_FULL * self._layout.frames
        behind = bool(self._ahead) and not self._ahead[0].done()  # the disk waits for the codec, not the other way
        raw = self._raw_if_slow and nearly_full and behind
        return self._encoding.submit(self._encode_now, block, self._layout.frames_per_block, raw=raw)

    def _encode_now(self, block: int, frames: int, *, raw: bool) -> _Encoded:
        """Encode a block of which ``frames`` frames are there."""
        g, out, size = self._layout, self._outs[block % len(self._outs)], 0
        with self._ring.block_bytes(block % g.blocks, 0, frames * g.frame_bytes) as data:
            if not raw:
                whole = memoryview(bytes(data).ljust(g.block_bytes, b"\0")) if frames < g.frames_per_block else data
                with memoryview(out) as room:
                    size = self._codec.encode(whole, room)
            checksums = checksum.of_frames(data, g.frame_bytes) if self._checksum else None
        return _Encoded(size, out, checksums)

    def _write_part(self, stop: int) -> None:
        """Write the frames up to ``stop``, which do not fill their block yet; the block is written again with more."""
        block = self._stored // self._layout.frames_per_block
        self._make_room(stop)
        first = block * self._layout.frames_per_block
        self._store(block, self._encode_now(block, stop - first, raw=False), stop)
        self._part_since = 0.0

    def _store(self, block: int, encoded: _Encoded, stop: int) -> None:
        """Write a block, now with all frames before ``stop``.

        One that is written in parts is filled up to one length, which decoders ignore: then HDF5 leaves it in its
        place. From another place it would at once give the old one to the next chunk, while readers still look there.
        """
        g, started = self._layout, time.perf_counter_ns()
        anew = self._whole <= block < self._chunks
        in_part = stop % g.frames_per_block > 0
        if block < self._whole:
            size, as_it_is = self._recording_file.chunk(block)
        else:
            as_it_is = self._may_be_raw and not 0 < encoded.size < g.block_bytes
            size = g.block_bytes if as_it_is else encoded.size
            if anew or in_part:
                whole = len(encoded.out)
                encoded.out[size:whole] = bytes(whole - size)
                size = whole
            with (
                self._ring.block_bytes(block % g.blocks, 0, g.block_bytes) as raw,
                memoryview(encoded.out) as out,
                raw if as_it_is else out[:size] as data,
            ):
                self._recording_file.write_chunk(block, data, self._codec.all_skipped if as_it_is else 0, anew=anew)
        self._raw += as_it_is
        self._note_slowest_write(time.perf_counter_ns() - started)
        first = self._stored - block * g.frames_per_block
        checksums = [] if encoded.checksums is None else [encoded.checksums[first:]]
        self._write_columns(self._stored, stop - self._stored, checksums)
        self._bytes += size - self._part_bytes
        self._part_bytes = size
        self._stored, self._chunks = stop, max(self._chunks, block + 1)

    def _commit(self) -> None:
        """Make what was stored a part of the file, and count it."""
        self._write_ledger()
        try:
            self._recording_file.commit()
        except OSError:
            self._counters[RingField.SYNC_FAILED] = 1
            raise
        raw = self._counters[RingField.RAW] + self._raw
        self._recording_file.write_count("frames_raw", raw)
        self._count(self._stored)
        self._counters[RingField.RAW] = raw
        self._counters[RingField.BYTES] += self._bytes
        self._raw = self._bytes = 0
        if not self._counters[RingField.SYNC_FAILED]:
            self._recording_file.write_count("frames_durable", self._stored)
            self._counters[RingField.DURABLE] = self._stored
        self._committed = time.monotonic()
