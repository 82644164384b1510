"""Moving frames from the ring to the file, in the writer process."""

import time
from concurrent.futures import Future, ThreadPoolExecutor, wait
from datetime import datetime

import numpy as np

from ...errors import StorageError
from ..detector_info import DetectorInfo, to_json
from ..hdf5_file import codec
from ..hdf5_file.closed_file import FileClosed
from ..hdf5_file.codec import Codec
from ..hdf5_file.direct_file import DirectFile
from ..hdf5_file.nexus_schema import CLOCK_STEP
from ..hdf5_file.recording_file import RecordingFile
from ..losses import final_ledger
from ..plan import Plan
from ..results import final_state
from ..shared_ring.ring import Ring, RingField
from ..system.clock import steady_ns, wall_offset_ns
from .blocks import BlockStore, Run
from .compressed_blocks import CompressedBlocks
from .messages import StartWriting
from .raw_blocks import RawBlocks


class FrameWriter:
    """Writes the ring's frames, in order: pixels, then columns, then the count.

    Pixels are a `BlockStore`'s. A thread grows and syncs the file beside it.

    Parameters
    ----------
    ring
        Laid out for the recording.
    start
        What the file is for.
    """

    def __init__(self, ring: Ring, start: StartWriting) -> None:
        self._ring = ring
        self._counters = ring.counters
        self._layout = start.layout
        self._options = start.options
        self._start_ns = start.start_ns
        self._wall_offset_ns = start.wall_offset_ns
        self._lost = 0
        self._synced = time.monotonic()
        self._growth: Future[None] | None = None
        self._sync: Future[None] | None = None
        self._sync_covers = 0
        self._no_room: StorageError | None = None
        self._housekeeping = ThreadPoolExecutor(1, "mmspool-housekeeping")
        self._codec = _codec(start)
        self._file = DirectFile(start.path, direct=start.options.direct)
        try:
            self._recording_file = self._open(start)
        except BaseException:
            self._file.close()
            raise
        self._recording_file.write_count("writer_restarts", self._counters[RingField.RESTARTS])
        self._stored = self._written = self._counters[RingField.WRITTEN]
        self._blocks: BlockStore
        if self._codec is not None:
            self._blocks = CompressedBlocks(ring, self._layout, self._recording_file, self._codec, self._options)
        else:
            self._blocks = RawBlocks(
                ring, self._layout, self._recording_file, self._file, checksums=self._options.checksum
            )

    def write_to(self, stop: int) -> None:
        """Write all frames before ``stop`` that are not in the file yet."""
        per_block = self._layout.frames_per_block
        stop = max(stop, self._counters[RingField.PUT] // per_block * per_block)
        self._ring.fence()  # before the frames that PUT announces
        while self._stored < stop:
            self._make_room(min(stop, (self._stored // per_block + 1) * per_block))
            self._store(min(stop, self._recording_file.capacity))
            self._sync_if_due()
        self._publish_if_due()
        self._write_ledger()
        self._sync_if_due()

    def finish(self, *, interrupted: bool, end_reason: str, failed: bool = False) -> FileClosed:
        """Trim the file to what was written, enter how it ended, sync and close it."""
        if self._stored > self._written:
            self._publish()
        self._blocks.close()  # waits for what is under way
        self._housekeeping.shutdown()
        self._collect_sync()
        rest = self._counters[RingField.PUT] - self._written  # 0, or the writer failed
        losses = final_ledger(self._ring.losses(), self._written, rest)
        self._recording_file.stage_losses(losses)
        lost = int(losses[:, 1].sum())
        state = final_state(interrupted=interrupted, lost=lost)
        self._note_performance(self._written, last=True)
        self._recording_file.write_count(CLOCK_STEP, wall_offset_ns() - self._wall_offset_ns)
        durable = self._counters[RingField.DURABLE] if self._counters[RingField.SYNC_FAILED] else self._written
        size = self._recording_file.finish(
            self._written, durable, len(losses), state, end_reason, datetime.now().astimezone(), failed=failed
        )
        self._counters[RingField.DURABLE] = durable
        self.close()
        return FileClosed(
            frames_written=self._written,
            frames_durable=durable,
            frames_lost=lost,
            state=state,
            end_reason=end_reason,
            file_bytes=size,
            writer_failed=failed,
        )

    def close(self) -> None:
        """Close the file as it is; idempotent."""
        self._blocks.close()
        self._housekeeping.shutdown()
        self._recording_file.close()
        self._file.close()

    def _open(self, start: StartWriting) -> RecordingFile:
        """Create the file, or take it over."""
        if start.resume:
            recording_file = RecordingFile.attach(start.path, start.layout, self._file)
            self._counters[RingField.WRITTEN] = recording_file.counted  # there it is counted first
            return recording_file
        return RecordingFile.create(
            start.path,
            start.layout,
            start.options.info or DetectorInfo(),
            to_json(start.options.metadata),
            start.start,
            self._file,
            checksums=start.options.checksum,
            codec=self._codec,
            plan=None if start.options.plan is None else Plan.of(start.options.plan),
        )

    def _make_room(self, stop: int) -> None:
        """Keep the file one increment ahead, or as many as the frames in the ring need.

        A disk too full for that matters only when a frame has no chunk.
        """
        while True:
            if self._growth is not None and (self._growth.done() or stop > self._recording_file.capacity):
                growing, self._growth = self._growth, None
                try:
                    growing.result()
                except StorageError as exc:
                    self._no_room = exc
            if self._growth is None and self._no_room is None and self._recording_file.is_short_of(stop):
                waiting = self._counters[RingField.PUT] - self._recording_file.capacity
                self._growth = self._housekeeping.submit(self._recording_file.grow, waiting)
                if self._codec is not None:  # HDF5 allocates chunks as well, in this thread: one after the other
                    wait([self._growth])
            if stop <= self._recording_file.capacity:
                return
            if self._no_room is not None:
                self._publish()  # for the error to count all frames that are in the file
                raise StorageError(
                    self._no_room.errno,
                    f"the disk is full: {self._written:,} frames were written, and there is no room for the next frame "
                    f"({self._no_room.strerror})",
                    self._no_room.filename,
                ) from self._no_room

    def _store(self, stop: int) -> None:
        """Store frames before ``stop``, with their columns; if one fails, those before it count."""
        ring_end = (self._stored // self._layout.frames + 1) * self._layout.frames  # columns are written in one piece
        run = Run(first=self._stored, done=self._stored)
        try:
            self._blocks.store(run, min(stop, ring_end))
        finally:
            self._write_ledger()  # first: the frames' sequence numbers show losses too
            if run.done > run.first:
                self._write_columns(run)
                self._stored = run.done
                self._publish_if_due()

    def _write_columns(self, run: Run) -> None:
        count, slot = run.done - run.first, run.first % self._layout.frames
        records, own = (each[slot : slot + count] for each in (self._ring.records, self._ring.user_records))
        self._recording_file.columns.write_frames(run.first, records, own, self._start_ns)
        if run.checksums:
            self._recording_file.columns.write("checksum", run.first, np.concatenate(run.checksums))

    def _publish_if_due(self) -> None:
        if self._blocks.commit_due(self._stored - self._written):
            self._publish()

    def _publish(self) -> None:
        """Make the frames that are stored a part of the file, and count them."""
        self._write_ledger()
        committed = self._blocks.commit()
        if committed is None:
            self._publish_count(self._stored)
            return
        raw = self._counters[RingField.RAW] + committed.frames_raw
        self._recording_file.write_count("frames_raw", raw)
        self._publish_count(self._stored)
        self._counters[RingField.RAW] = raw
        self._counters[RingField.BYTES] += committed.bytes_stored
        if not self._counters[RingField.SYNC_FAILED]:
            self._recording_file.write_count("frames_durable", self._stored)
            self._counters[RingField.DURABLE] = self._stored

    def _publish_count(self, frames: int) -> None:
        """Enter how many frames are in the file, there and in the ring, whose slots are free then."""
        self._recording_file.write_count("frames_put", max(frames, self._counters[RingField.PUT]))
        self._recording_file.write_count("frames_written", frames)
        self._note_performance(frames)
        self._ring.fence()  # after the reads of the slots that the producer fills again
        self._written = self._counters[RingField.WRITTEN] = frames

    def _note_performance(self, frames: int, *, last: bool = False) -> None:
        slowest_ns, self._blocks.slowest_ns = self._blocks.slowest_ns, 0
        self._counters[RingField.SLOWEST_WRITE_NS] = max(self._counters[RingField.SLOWEST_WRITE_NS], slowest_ns)
        self._recording_file.performance.note(
            steady_ns() + self._wall_offset_ns - self._start_ns,
            frames,
            self._counters[RingField.PUT] - self._written,
            slowest_ns,
            self._counters[RingField.RESTARTS],
            last=last,
        )

    def _sync_if_due(self) -> None:
        """Sync what was written, every ``sync_interval_s``, and count it as durable; a commit does that by itself."""
        if self._codec is not None:
            return
        if self._sync is not None and self._sync.done():
            self._collect_sync()
        due = time.monotonic() - self._synced >= self._options.sync_interval_s
        more = self._written > self._counters[RingField.DURABLE] and not self._counters[RingField.SYNC_FAILED]
        if self._sync is None and due and more:
            self._synced, self._sync_covers = time.monotonic(), self._written
            self._sync = self._housekeeping.submit(self._make_durable, self._sync_covers)

    def _collect_sync(self) -> None:
        """Count what a sync has made durable; after a failed sync, later successes prove nothing."""
        if self._sync is not None:
            syncing, self._sync = self._sync, None
            try:
                syncing.result()
            except BaseException:
                self._counters[RingField.SYNC_FAILED] = 1
                raise
            self._counters[RingField.DURABLE] = self._sync_covers

    def _make_durable(self, frames: int) -> None:
        """Sync ``frames`` frames; without checksums only the count shows that they are whole."""
        self._file.sync()
        self._recording_file.write_count("frames_durable", frames)
        if not self._options.checksum:
            self._file.sync()

    def _write_ledger(self) -> None:
        if self._counters[RingField.LOST] != self._lost:
            losses = self._ring.losses()
            self._recording_file.write_losses(losses)
            self._lost = int(losses[:, 1].sum())  # not the counter, which the producer changes a moment later
            self._recording_file.write_count("frames_lost", self._lost)


def _codec(start: StartWriting) -> Codec | None:
    """Return what compresses the frames, if anything does."""
    g, name = start.layout, start.options.compression
    if name is None or not g.compressed:
        return None
    return codec.find(name, g.dtype.itemsize, g.block_bytes)
