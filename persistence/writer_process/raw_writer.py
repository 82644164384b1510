"""Moving frames from the ring to the file, in the persistence process."""

import time
from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import datetime

import numpy as np
import numpy.typing as npt

from ...errors import StorageError
from ..block_layout import COLUMNS, PAGE
from ..detector_info import DetectorInfo, to_json
from ..hdf5_file import checksum
from ..hdf5_file.direct_file import DirectFile
from ..hdf5_file.recording_file import RecordingFile
from ..losses import final_ledger
from ..results import final_state
from ..shared_ring.ring import Ring, RingField
from .messages import StartWriting

_QUEUED = 2  # blocks handed to the thread that writes them: one is written, one is next
_COUNT_S = 0.05  # how long written frames wait for being counted, on a disk that is busy
_RING_SHARE = 4  # such a part of the ring may wait for it


class RawWriter:
    """Writes the ring's frames, in order: pixels, then columns, then the count.

    Blocks are written by a thread of their own, so that the disk always has work; another grows and syncs the file.

    Parameters
    ----------
    ring
        Laid out for the recording.
    begin
        What the file is for.
    """

    def __init__(self, ring: Ring, begin: StartWriting) -> None:
        self._ring = ring
        self._counters = ring.counters
        self._layout = begin.layout
        self._start_ns = begin.start_ns
        self._checksum = begin.options.checksum
        self._sync_interval_s = begin.options.sync_interval_s
        self._lost = 0
        self._synced = time.monotonic()
        self._growth: Future[None] | None = None
        self._sync: Future[None] | None = None
        self._sync_covers = 0
        self._no_room: StorageError | None = None
        self._housekeeping = ThreadPoolExecutor(1, "mmspool-housekeeping")
        self._writing = ThreadPoolExecutor(1, "mmspool-blocks")
        self._codec = begin.codec()
        self._blocks = DirectFile(begin.path, direct=begin.options.direct)
        try:
            if begin.resume:
                self._recording_file = RecordingFile.attach(begin.path, begin.layout, self._blocks)
                self._counters[RingField.WRITTEN] = self._recording_file.counted  # there it is counted first
            else:
                self._recording_file = RecordingFile.create(
                    begin.path,
                    begin.layout,
                    begin.options.info or DetectorInfo(),
                    to_json(begin.options.metadata),
                    begin.start,
                    self._blocks,
                    checksums=begin.options.checksum,
                    codec=self._codec,
                )
        except BaseException:
            self._blocks.close()
            raise
        self._recording_file.write_count("writer_restarts", self._counters[RingField.RESTARTS])
        self._written = self._counters[RingField.WRITTEN]

    def write_to(self, stop: int) -> None:
        """Write all frames before ``stop`` that are not in the file yet."""
        per_block = self._layout.frames_per_block
        stop = max(stop, self._counters[RingField.PUT] // per_block * per_block)
        while self._written < stop:
            self._make_room(min(stop, (self._written // per_block + 1) * per_block))
            self._write_blocks(min(stop, self._recording_file.capacity))
            self._sync_if_due()
        self._write_ledger()
        self._sync_if_due()

    def finish(self, *, interrupted: bool, reason: str) -> tuple[int, int, str, int]:
        """Trim the file to what was written, say how it ended, sync and close it.

        Returns
        -------
        tuple
            Frames, lost frames, state and size of the file in bytes.
        """
        self._writing.shutdown()  # waits for what is under way
        self._housekeeping.shutdown()
        self._collect_sync()
        rest = self._counters[RingField.PUT] - self._written  # 0, or the writer failed
        losses = final_ledger(self._ring.losses(), self._written, rest)
        self._recording_file.stage_losses(losses)
        lost = int(losses[:, 1].sum())
        state = final_state(interrupted=interrupted, lost=lost)
        durable = self._counters[RingField.DURABLE] if self._counters[RingField.SYNC_FAILED] else self._written
        size = self._recording_file.finish(
            self._written, durable, len(losses), state, reason, datetime.now().astimezone()
        )
        self._counters[RingField.DURABLE] = durable
        self.close()
        return self._written, lost, state, size

    def close(self) -> None:
        """Let go of the file; idempotent."""
        self._writing.shutdown()
        self._housekeeping.shutdown()
        self._recording_file.close()
        self._blocks.close()

    def _make_room(self, stop: int) -> None:
        """Keep the file one increment ahead, or as many as the frames in the ring need.

        A disk too full for that matters only when a frame has no place.
        """
        growth = self._layout.growth_frames
        while True:
            if self._growth is not None and (self._growth.done() or stop > self._recording_file.capacity):
                growing, self._growth = self._growth, None
                try:
                    growing.result()
                except StorageError as exc:
                    self._no_room = exc
            if self._growth is None and self._no_room is None and stop > self._recording_file.capacity - growth:
                waiting = self._counters[RingField.PUT] - self._recording_file.capacity
                self._growth = self._housekeeping.submit(self._recording_file.grow, waiting)
            if stop <= self._recording_file.capacity:
                return
            if self._no_room is not None:
                raise StorageError(
                    self._no_room.errno,
                    f"the disk is full: {self._written:,} frames were written, and there is no room for the next "
                    f"{growth:,} ({self._no_room.strerror})",
                    self._no_room.filename,
                ) from self._no_room

    def _write_blocks(self, stop: int) -> None:
        """Write and count frames before ``stop``, at least a block of them and no more than `_COUNT_S` allows.

        Several blocks are counted at once: a small write, through the page cache, waits until no direct one is under
        way, and meanwhile none is begun.
        """
        g = self._layout
        share = max(min(_QUEUED, g.blocks // 2), g.blocks // _RING_SHARE) * g.frames_per_block
        ring_end = (self._written // g.frames + 1) * g.frames  # columns are written in one piece
        stop = min(stop, ring_end, (self._written // g.frames_per_block) * g.frames_per_block + share)
        begun = done = self._written
        checksums: list[npt.NDArray[np.uint64]] = []
        under_way: deque[tuple[int, Future[int]]] = deque()
        ends = time.monotonic() + _COUNT_S
        try:
            while begun < stop or under_way:
                while begun < stop and len(under_way) < _QUEUED:
                    last = min(stop, (begun // g.frames_per_block + 1) * g.frames_per_block)
                    offset = self._recording_file.block_offset(begun // g.frames_per_block)
                    under_way.append((last, self._writing.submit(self._write_block, begun, last, offset)))
                    begun = last
                last, writing = under_way.popleft()
                if self._checksum:
                    checksums.append(self._checksums(done, last))  # while they are written
                self._note_slowest_write(writing.result())
                done = last
                if time.monotonic() > ends:
                    stop = begun
        finally:  # if one fails, those before it count
            self._write_ledger()  # first: the frames' sequence numbers tell of losses too
            if done > self._written:
                self._write_columns(self._written, done - self._written, checksums)
                self._count(done)

    def _write_block(self, first: int, stop: int, offset: int) -> int:
        """Write frames ``first`` to ``stop`` of a block, which is at ``offset`` in the file; return how long it took.

        The page in which an earlier write of the block ended is written again. Called by the thread that writes.
        """
        with self._block_bytes(first, stop, page=True) as data:
            start = offset + (first % self._layout.frames_per_block) * self._layout.frame_bytes // PAGE * PAGE
            started = time.perf_counter_ns()
            self._blocks.write_block(data, start)
            return time.perf_counter_ns() - started

    def _checksums(self, first: int, stop: int) -> npt.NDArray[np.uint64]:
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

    def _note_slowest_write(self, took_ns: int) -> None:
        self._counters[RingField.SLOWEST_WRITE_NS] = max(self._counters[RingField.SLOWEST_WRITE_NS], took_ns)

    def _count(self, frames: int) -> None:
        """Say that so many frames are in the file."""
        self._recording_file.write_count("frames_put", max(frames, self._counters[RingField.PUT]))
        self._recording_file.write_count("frames_written", frames)
        self._written = self._counters[RingField.WRITTEN] = frames

    def _write_columns(self, first: int, count: int, checksums: list[npt.NDArray[np.uint64]]) -> None:
        slot = first % self._layout.frames  # they never wrap round the ring's end
        records = self._ring.records[slot : slot + count]
        for column, name in enumerate(COLUMNS):
            self._recording_file.columns.write(name, first, records[:, column])
        host = records[:, COLUMNS.index("host_timestamp")]
        self._recording_file.columns.write("start_time", first, (host - self._start_ns) / 1e9)
        if checksums:
            self._recording_file.columns.write("checksum", first, np.concatenate(checksums)[:count])

    def _sync_if_due(self) -> None:
        """Have the device take what was written, every ``sync_interval_s``, and then say so."""
        if self._sync is not None and self._sync.done():
            self._collect_sync()
        due = time.monotonic() - self._synced >= self._sync_interval_s
        more = self._written > self._counters[RingField.DURABLE] and not self._counters[RingField.SYNC_FAILED]
        if self._sync is None and due and more:
            self._synced, self._sync_covers = time.monotonic(), self._written
            self._sync = self._housekeeping.submit(self._make_durable, self._sync_covers)

    def _collect_sync(self) -> None:
        """Count what a sync has made durable; after one that failed, no later success tells what was lost."""
        if self._sync is not None:
            syncing, self._sync = self._sync, None
            try:
                syncing.result()
            except BaseException:
                self._counters[RingField.SYNC_FAILED] = 1
                raise
            self._counters[RingField.DURABLE] = self._sync_covers

    def _make_durable(self, frames: int) -> None:
        """Have the device take ``frames`` frames; without checksums only the count tells that they are whole."""
        self._blocks.sync()
        self._recording_file.write_count("frames_durable", frames)
        if not self._checksum:
            self._blocks.sync()

    def _write_ledger(self) -> None:
        if self._counters[RingField.LOST] != self._lost:
            losses = self._ring.losses()
            self._recording_file.write_losses(losses)
            self._lost = int(losses[:, 1].sum())  # not the counter, which the producer changes a moment later
            self._recording_file.write_count("frames_lost", self._lost)
