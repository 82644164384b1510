"""Storing frames as compressed chunks, one each."""

import contextlib
import math
import mmap
import os
import threading
import time
from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor, wait
from functools import partial
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from ..block_layout import BlockLayout
from ..hdf5_file import checksum
from ..hdf5_file.codec import Codec, max_encoded_bytes
from ..hdf5_file.recording_file import RecordingFile
from ..options import SpoolOptions
from ..shared_ring.hugepages import private_memory
from ..shared_ring.ring import Ring, RingField
from .blocks import Committed, Run

_MAX_THREADS = 8  # more would compress faster than any disk writes
_NICENESS = 10  # of these threads: taking frames from the camera comes first, and the ring waits for them
_COMMIT_S = 0.2  # how long frames wait for being counted
_COMMIT_CHUNKS = 500  # the index entries of so many fit in half of the journal
_RING_SHARE = 8  # such a part of the ring may wait for being counted
_NEARLY_FULL = 0.75  # of the ring; from there on frames are stored as they are, if the codec is behind
_BACKLOG = 25  # percent of the core's buffer; from there on it is the processors that do not keep up
_LOOK_S = 0.005  # while the codec is waited for, between two looks at both


class _Encoded(NamedTuple):
    """A compressed frame: how many bytes it takes, 0 if it is stored as it is; its checksum."""

    size: int
    checksums: npt.NDArray[np.uint64] | None


class _Ahead(NamedTuple):
    """A frame that a thread encodes, and the memory that it does so into."""

    frame: int
    encoding: Future[_Encoded]
    out: mmap.mmap


class CompressedBlocks:
    """Stores frames as compressed chunks, which threads of its own encode ahead, in order.

    While the ring is nearly full, no frame waits for the codec: those that are not encoded when their turn comes are
    stored as they are, by the thread that writes, and the codec's threads are given frames so far ahead that they are
    done in time. They are given none while the core's buffer fills, which shows that the processors do not keep up
    (docs/decisions/0053).

    Chunks have no offsets before they are written: HDF5 allocates each, and a commit, several times a second, makes
    them a part of the file. Frames are counted only then, and are durable then as well.

    Parameters
    ----------
    ring
        Laid out for the recording, a frame a block.
    layout
        Of the recording.
    recording_file
        Takes the chunks.
    codec
        Encodes them.
    options
        Of the recording.
    """

    def __init__(
        self, ring: Ring, layout: BlockLayout, recording_file: RecordingFile, codec: Codec, options: SpoolOptions
    ) -> None:
        self._ring = ring
        self._counters = ring.counters
        self._layout = layout
        self._recording_file = recording_file
        self._codec = codec
        self._options = options
        self._chunks = recording_file.chunks.count()  # a writer that died may not have counted all of these
        self.slowest_ns = 0
        self._next = 0  # frame to be encoded; those before it that are not ahead are stored as they are
        self._ahead: deque[_Ahead] = deque()
        # One processor is left to the acquisition; what they fill is bounded by the ring.
        threads = max(1, min(_MAX_THREADS, _processors() - 1, layout.blocks // _RING_SHARE))
        self._free = [private_memory(max_encoded_bytes(layout.block_bytes)) for _ in range(2 * threads)]
        self._encoding = ThreadPoolExecutor(threads, "mmspool-codec", initializer=_give_way)
        self._committed = time.monotonic()
        self._raw = self._bytes = 0  # since then
        self._encode_s = self._store_s = 0.0  # what a frame takes of late: encoded, queue included; stored as it is

    def store(self, run: Run, stop: int) -> None:
        """Store frames until a commit is due."""
        limit = max(1, min(_COMMIT_CHUNKS, self._layout.frames // _RING_SHARE))
        while run.done < stop and run.done - run.first < limit:
            if not self._is_starving():
                self._encode_ahead(run.done, stop)
            encoded = self._take(run.done)
            run.add(run.done + 1, encoded.checksums)

    def commit_due(self, waiting: int) -> bool:
        """Count what has waited long enough, or takes so much of the ring or the journal."""
        limit = max(1, min(_COMMIT_CHUNKS, self._layout.frames // _RING_SHARE))
        return waiting >= limit or (waiting > 0 and time.monotonic() - self._committed >= _COMMIT_S)

    def commit(self) -> Committed:
        """Make what was stored a part of the file, on the device."""
        try:
            self._recording_file.commit()
        except OSError:
            self._counters[RingField.SYNC_FAILED] = 1
            raise
        committed = Committed(frames_raw=self._raw, bytes_stored=self._bytes)
        self._raw = self._bytes = 0
        self._committed = time.monotonic()
        return committed

    def close(self) -> None:
        """Wait for what is under way; idempotent."""
        self._encoding.shutdown(cancel_futures=True)

    def _encode_ahead(self, frame: int, stop: int) -> None:
        """Give the codec's threads frames before ``stop``, as many as there are buffers; ``frame`` is written next."""
        self._next = max(self._next, frame + (self._lead() if self._is_pressed() else 0))
        while self._next < stop and self._free:
            out = self._free.pop()
            encoding = self._encoding.submit(self._encode_now, self._next, out, time.monotonic())
            self._ahead.append(_Ahead(self._next, encoding, out))
            self._next += 1

    def _encode_now(self, frame: int, out: mmap.mmap, submitted: float) -> _Encoded:
        """Encode a frame; in a thread of the codec."""
        g = self._layout
        with self._ring.block_bytes(frame % g.blocks, 0, g.frame_bytes) as data, memoryview(out) as buffer:
            encoded = _Encoded(self._codec.encode(data, buffer), self._checksums_of(data))
        self._encode_s = max(time.monotonic() - submitted, 0.8 * self._encode_s)
        return encoded

    def _checksums_of(self, data: memoryview) -> npt.NDArray[np.uint64] | None:
        return checksum.of_frames(data, self._layout.frame_bytes) if self._options.checksum else None

    def _take(self, frame: int) -> _Encoded:
        """Write the next frame: compressed once that is done, or as it is if there is no time for that."""
        while self._ahead and self._ahead[0].frame == frame:
            _, encoding, out = self._ahead[0]
            if encoding.done():
                self._ahead.popleft()
                encoded = encoding.result()
                with memoryview(out) as data:
                    self._write(frame, encoded.size, data)
                self._free.append(out)
                return encoded
            if self._is_pressed():
                self._ahead.popleft()
                encoding.cancel()
                # A thread may be at it still, and the slot is filled again meanwhile: its result is not used.
                encoding.add_done_callback(partial(self._give_back, out))
            else:
                wait([encoding], _LOOK_S)
        started = time.monotonic()
        with self._ring.block_bytes(frame % self._layout.blocks, 0, self._layout.frame_bytes) as data:
            encoded = _Encoded(0, self._checksums_of(data))
            self._write(frame, 0, data)
        self._store_s = time.monotonic() - started
        return encoded

    def _give_back(self, out: mmap.mmap, _encoding: Future[_Encoded]) -> None:
        self._free.append(out)

    def _is_pressed(self) -> bool:
        """Return whether a buffer fills, so that no frame may wait for the codec."""
        waiting = self._counters[RingField.PUT] - self._counters[RingField.WRITTEN]
        nearly_full = waiting >= _NEARLY_FULL * self._layout.frames
        return self._is_starving() or (self._options.raw_if_slow and nearly_full)

    def _is_starving(self) -> bool:
        """Return whether the buffer before the ring fills: taking frames from it needs the processors."""
        return self._options.raw_if_slow and self._counters[RingField.BACKLOG] >= _BACKLOG

    def _lead(self) -> int:
        """Return how many frames are stored as they are while one is encoded, at most half of those that wait."""
        waiting = self._counters[RingField.PUT] - self._counters[RingField.WRITTEN]
        return min(math.ceil(self._encode_s / self._store_s), waiting // 2) if self._store_s else 0

    def _write(self, frame: int, size: int, encoded: memoryview) -> None:
        """Write a frame's chunk, unless a writer before this one has."""
        g, started = self._layout, time.perf_counter_ns()
        if frame < self._chunks:
            size, as_it_is = self._recording_file.chunks.stored(frame)
        else:
            as_it_is = not 0 < size < g.block_bytes
            size = g.block_bytes if as_it_is else size
            with (
                self._ring.block_bytes(frame % g.blocks, 0, g.block_bytes) as raw,
                raw if as_it_is else encoded[:size] as data,
            ):
                self._recording_file.chunks.write(frame, data, self._codec.all_skipped if as_it_is else 0)
        self._raw += as_it_is
        self._bytes += size
        self.slowest_ns = max(self.slowest_ns, time.perf_counter_ns() - started)


def _processors() -> int:
    """Return how many processors this process may use."""
    with contextlib.suppress(AttributeError, OSError):  # not Linux, or a sandbox refuses it
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _give_way() -> None:
    """Lower the priority of this thread, where threads have one of their own (Linux)."""
    if hasattr(os, "setpriority") and hasattr(os, "sched_getaffinity"):
        with contextlib.suppress(OSError):
            os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), os.getpriority(os.PRIO_PROCESS, 0) + _NICENESS)
