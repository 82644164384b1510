"""Writing blocks as they are, straight from the ring to their places in the file."""

import time
from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor

import numpy as np
import numpy.typing as npt

from ..block_layout import PAGE, BlockLayout
from ..hdf5_file import checksum
from ..hdf5_file.direct_file import DirectFile
from ..hdf5_file.recording_file import RecordingFile
from ..shared_ring.ring import Ring
from .blocks import Run

_QUEUED = 2  # blocks handed to the thread that writes them: one is written, one is next
_COUNT_S = 0.05  # how long written frames wait for being counted, on a disk that is busy
_RING_SHARE = 4  # such a part of the ring may wait for it


class RawBlocks:
    """Stores blocks uncompressed. A thread of its own writes them, so that the disk always has work.

    Parameters
    ----------
    ring
        Laid out for the recording.
    layout
        Of the recording.
    recording_file
        Knows where each block lies.
    file
        Takes the blocks.
    checksums
        Whether to compute one of each frame.
    """

    def __init__(
        self, ring: Ring, layout: BlockLayout, recording_file: RecordingFile, file: DirectFile, *, checksums: bool
    ) -> None:
        self._ring = ring
        self._layout = layout
        self._recording_file = recording_file
        self._file = file
        self._checksums = checksums
        self.slowest_ns = 0
        self._writing = ThreadPoolExecutor(1, "mmspool-blocks")

    def store(self, run: Run, stop: int) -> None:
        """Store a share of the ring at most, and no more than `_COUNT_S` allows.

        Several blocks are counted at once: a small write, through the page cache, waits until no direct one is under
        way, and meanwhile none is begun.
        """
        g = self._layout
        share = max(min(_QUEUED, g.blocks // 2), g.blocks // _RING_SHARE) * g.frames_per_block
        stop = min(stop, run.done // g.frames_per_block * g.frames_per_block + share)
        begun, under_way = run.done, deque[tuple[int, Future[int]]]()
        deadline = time.monotonic() + _COUNT_S
        while begun < stop or under_way:
            while begun < stop and len(under_way) < _QUEUED:
                last = min(stop, (begun // g.frames_per_block + 1) * g.frames_per_block)
                offset = self._recording_file.chunks.offset(begun // g.frames_per_block)
                under_way.append((last, self._writing.submit(self._write_block, begun, last, offset)))
                begun = last
            last, writing = under_way.popleft()
            checksums = self._checksums_of(run.done, last) if self._checksums else None  # while they are written
            took_ns = writing.result()
            self.slowest_ns = max(self.slowest_ns, took_ns)
            run.add(last, checksums)
            if time.monotonic() >= deadline:
                stop = begun

    def commit_due(self, waiting: int) -> bool:
        """Count what is stored at once."""
        return waiting > 0

    def commit(self) -> None:
        """Do nothing: the structure has had a place for the frames before they were written."""

    def close(self) -> None:
        """Wait for what is under way; idempotent."""
        self._writing.shutdown()

    def _write_block(self, first: int, stop: int, offset: int) -> int:
        """Write frames ``first`` to ``stop`` of a block, which is at ``offset`` in the file; return how long it took.

        The page in which an earlier write of the block ended is written again. Called by the thread that writes.
        """
        with self._block_bytes(first, stop, page=True) as data:
            start = offset + (first % self._layout.frames_per_block) * self._layout.frame_bytes // PAGE * PAGE
            started = time.perf_counter_ns()
            self._file.write_block(data, start)
            return time.perf_counter_ns() - started

    def _checksums_of(self, first: int, stop: int) -> npt.NDArray[np.uint64]:
        """Return the checksums of frames of a block."""
        with self._block_bytes(first, stop) as frames:
            return checksum.of_frames(frames, self._layout.frame_bytes)

    def _block_bytes(self, first: int, stop: int, *, page: bool = False) -> memoryview:
        """Return frames ``first`` to ``stop`` of a block in the ring, or those from the start of their first page."""
        g = self._layout
        block, place = divmod(first, g.frames_per_block)
        start = place * g.frame_bytes
        if page:
            start = start // PAGE * PAGE
        return self._ring.block_bytes(block % g.blocks, start, (stop - block * g.frames_per_block) * g.frame_bytes)
