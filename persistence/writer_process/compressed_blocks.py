"""Storing frames as compressed chunks, one each."""

import contextlib
import mmap
import os
import threading
import time
from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from ..block_layout import BlockLayout
from ..hdf5_file import checksum
from ..hdf5_file.codec import Codec, room_for
from ..hdf5_file.recording_file import RecordingFile
from ..options import SpoolOptions
from ..shared_ring.hugepages import private_memory
from ..shared_ring.ring import Ring, RingField
from .blocks import Committed, Run

_MAX_THREADS = 8  # more would compress faster than any disk writes
_NICENESS = 10  # of these threads: taking frames from the camera comes first, and the ring waits for them
_COMMIT_S = 0.2  # how long frames wait for being counted
_COMMIT_CHUNKS = 500  # the index entries of so many fit in the journal's slot
_RING_SHARE = 8  # such a part of the ring may wait for being counted
_NEARLY_FULL = 0.75  # of the ring; from there on frames are stored as they are, if that is faster


class _Encoded(NamedTuple):
    """A compressed frame: how many bytes of ``out`` it takes, 0 if there was no time to compress it; its checksum."""

    size: int
    out: mmap.mmap
    checksums: npt.NDArray[np.uint64] | None


class CompressedBlocks:
    """Stores frames as compressed chunks, which threads of its own encode ahead, in order.

    While the ring is nearly full because the codec does not keep up, frames are stored as they are. Chunks have no
    places before they are written: HDF5 allocates each, and a commit, several times a second, makes them a part of the
    file. Frames are counted only then, and are durable then as well.

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
        self._chunks = recording_file.chunks()  # a writer that died had written these, but perhaps not counted them
        self._next = -1  # frame to be encoded
        self._ahead: deque[Future[_Encoded]] = deque()
        # One processor is left to the acquisition; what they fill is bounded by the ring.
        threads = max(1, min(_MAX_THREADS, _processors() - 1, layout.blocks // _RING_SHARE))
        self._outs = [private_memory(room_for(layout.block_bytes)) for _ in range(2 * threads)]
        self._encoding = ThreadPoolExecutor(threads, "mmspool-codec", initializer=_give_way)
        self._committed = time.monotonic()
        self._raw = self._bytes = 0  # since then

    def store(self, run: Run, stop: int) -> None:
        """Store frames until a commit is due."""
        if self._next < 0:
            self._next = run.done
        limit = max(1, min(_COMMIT_CHUNKS, self._layout.frames // _RING_SHARE))
        while run.done < stop and run.done - run.first < limit:
            while self._next < stop and len(self._ahead) < len(self._outs):
                self._ahead.append(self._encode(self._next))
                self._next += 1
            encoded = self._ahead.popleft().result()
            self._write(run.done, encoded)
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

    def _encode(self, frame: int) -> Future[_Encoded]:
        """Let a frame be encoded, or only its checksum be computed while the ring is full because of the codec."""
        waiting = self._counters[RingField.PUT] - self._counters[RingField.WRITTEN]
        nearly_full = waiting >= _NEARLY_FULL * self._layout.frames
        behind = bool(self._ahead) and not self._ahead[0].done()  # the disk waits for the codec, not the other way
        raw = self._options.raw_if_slow and nearly_full and behind
        return self._encoding.submit(self._encode_now, frame, raw=raw)

    def _encode_now(self, frame: int, *, raw: bool) -> _Encoded:
        g, out, size = self._layout, self._outs[frame % len(self._outs)], 0
        with self._ring.block_bytes(frame % g.blocks, 0, g.frame_bytes) as data:
            if not raw:
                with memoryview(out) as room:
                    size = self._codec.encode(data, room)
            checksums = checksum.of_frames(data, g.frame_bytes) if self._options.checksum else None
        return _Encoded(size, out, checksums)

    def _write(self, frame: int, encoded: _Encoded) -> None:
        """Write a frame's chunk, unless a writer before this one has."""
        g, started = self._layout, time.perf_counter_ns()
        if frame < self._chunks:
            size, as_it_is = self._recording_file.chunk(frame)
        else:
            as_it_is = not 0 < encoded.size < g.block_bytes
            size = g.block_bytes if as_it_is else encoded.size
            with (
                self._ring.block_bytes(frame % g.blocks, 0, g.block_bytes) as raw,
                memoryview(encoded.out) as out,
                raw if as_it_is else out[:size] as data,
            ):
                self._recording_file.write_chunk(frame, data, self._codec.all_skipped if as_it_is else 0)
        self._raw += as_it_is
        self._bytes += size
        took_ns = time.perf_counter_ns() - started
        self._counters[RingField.SLOWEST_WRITE_NS] = max(self._counters[RingField.SLOWEST_WRITE_NS], took_ns)


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
