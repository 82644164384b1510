"""The producer's end of one recording: the ring it fills and the writer process that empties it."""

import contextlib
import os
import time
from typing import Any

import numpy as np
import numpy.typing as npt

from ...errors import RingFullError, StorageError
from ..block_layout import BlockLayout, plan_blocks
from ..columns import StoredColumn, Value
from ..hdf5_file.closed_file import FileClosed
from ..losses import Loss, LossStage, as_losses
from ..options import SpoolOptions
from ..results import SpoolStats
from ..shared_ring.buffer_size import available, default_buffer_bytes, warn_if_small
from ..shared_ring.ring import Ring, RingField
from ..system.clock import steady_ns
from ..system.keep_awake import KeepAwake
from .messages import BlockReady, StartWriting
from .process import Launch
from .supervisor import WriterSupervisor

_CHECK_NS = 250_000_000  # how often a putting producer looks whether the writer still lives
_FULL_SLEEP_S = 0.0005
_FULL_CHECK_S = 0.05


class WriterClient:
    """A ring and its writer process. Not safe for several threads: `Spool` serialises.

    Parameters
    ----------
    options
        Of the spool.

    Attributes
    ----------
    counters
        The ring's.
    writer
        The supervisor of its writer process.
    released
        Whether ring and process were given up.
    abandoned
        Whether nobody is left who could close the recording.

    Raises
    ------
    StorageError
        There is too little memory for the ring, or no process can be started.
    """

    def __init__(self, options: SpoolOptions) -> None:
        self._options = options
        self._launch = Launch.from_here()
        frame_bytes = 0 if options.shape is None else int(np.prod(options.shape)) * np.dtype(options.dtype).itemsize
        self._open(default_buffer_bytes(frame_bytes) if options.buffer_bytes is None else options.buffer_bytes)
        self._owner = os.getpid()
        self._peak = self._dropped = self._frames = self._limit = self._checked_ns = 0
        self._start: StartWriting | None = None
        self._awake: KeepAwake | None = None
        self.released = self.abandoned = False

    @property
    def begun(self) -> bool:
        """Whether the writer was asked to create the file."""
        return self._start is not None

    @property
    def inherited(self) -> bool:
        """Whether this process is a fork of the one that records, and has to leave everything alone."""
        return os.getpid() != self._owner

    def plan(self, shape: tuple[int, ...], dtype: np.dtype[Any], columns: tuple[StoredColumn, ...] = ()) -> BlockLayout:
        """Return the layout of frames in the ring; a default ring that is too small for them is replaced first.

        Raises
        ------
        StorageError
            The ring cannot hold two frames.
        """
        frame_bytes = int(np.prod(shape)) * dtype.itemsize
        if self._options.buffer_bytes is None and (size := default_buffer_bytes(frame_bytes)) > 2 * self._ring.size:
            losses = self.losses()
            self.writer.end()
            self._ring.close()
            self._open(size)
            for loss in losses:
                self._ring.add_loss(loss.before_frame, loss.count, loss.stage)
        try:
            return plan_blocks(
                shape,
                dtype,
                self._ring.usable_bytes,
                self._options.grow_frames,
                compressed=self._options.compresses(frame_bytes),
                expected_frames=self._options.expected_frames,
                columns=columns,
            )
        except StorageError as exc:
            if self._options.buffer_bytes is not None:
                raise
            free, limit = available()
            raise StorageError(f"{exc}; by default it takes up to half of what {limit} leaves, {free:,} bytes") from exc

    def begin(self, start: StartWriting) -> None:
        """Ask the writer process to create the file, and wait until it exists.

        Raises
        ------
        StorageError
            It cannot be created here.
        WriterError
            The writer process failed for another reason.
        """
        self._ring.lay_out(start.layout)
        self._frames = self._limit = start.layout.frames
        self._start = start
        self.writer.create_file(start)
        if self._options.keep_awake:
            self._awake = KeepAwake(start.path)

    def next_slot(self, now_ns: int) -> npt.NDArray[Any]:
        """Return the next frame's slot of the ring, to be filled and then put.

        Raises
        ------
        RingFullError
            The ring is full; the frame is in the ledger.
        WriterError
            The writer process failed.
        """
        index = self.counters[RingField.PUT]
        if now_ns - self._checked_ns > _CHECK_NS:
            self.writer.ensure()
            self._checked_ns = now_ns
        if index >= self._limit and not self._wait_for_slot(index):
            raise RingFullError(
                "the ring is full, and has no slot to be filled; the frame is counted as lost. Record less, to a "
                "faster disk, or with a larger buffer_bytes"
            )
        return self._ring.slot(index)

    def put(self, frame: npt.NDArray[Any] | None, values: tuple[Value, ...], now_ns: int) -> bool:
        """Copy a frame, unless it is in its slot, and its columns into the ring; False if it was dropped.

        Raises
        ------
        RingFullError
            The ring was full; the frame is in the ledger.
        WriterError
            The writer process failed.
        """
        ring, counters = self._ring, self.counters
        index = counters[RingField.PUT]
        if now_ns - self._checked_ns > _CHECK_NS:
            self.writer.ensure()
            self._checked_ns = now_ns
        if index >= self._limit and not self._wait_for_slot(index):
            return False
        counters[RingField.CLAIMED] = index + 1  # before the look at FAILED: a writer that sets it waits for this frame
        ring.fence()
        while counters[RingField.FAILED]:
            counters[RingField.CLAIMED] = index
            self.writer.ensure()
            counters[RingField.CLAIMED] = index + 1
            ring.fence()
        if ring.put_frame(index, frame, values):
            with contextlib.suppress(ValueError):  # a signal handler has closed the ring meanwhile
                self._peak = max(self._peak, index + 1 - counters[RingField.WRITTEN])
            self.writer.send(BlockReady(index + 1))
        return True

    def sequence_number(self) -> int:
        """Return the next frame's number, lost frames counted."""
        return self.counters[RingField.PUT] + self.counters[RingField.LOST]

    def add_loss(self, count: int, stage: LossStage) -> None:
        """Enter frames, if any, into the ledger that are missing before the next one."""
        if count:
            self._ring.add_loss(self.counters[RingField.PUT], count, stage)

    def report_backlog(self, share: float) -> None:
        """Let the writer know how full the buffer is from which frames come."""
        with contextlib.suppress(ValueError):  # the ring was given back meanwhile
            self.counters[RingField.BACKLOG] = round(100 * share)

    def losses(self) -> tuple[Loss, ...]:
        """Return the ledger."""
        return as_losses(self._ring.losses())

    def request_stop(self, *, interrupted: bool, end_reason: str) -> None:
        """Order the writer, or its successor, to write what was put and close the file; the first order counts."""
        self._ring.request_stop(interrupted=interrupted, end_reason=end_reason)

    def finish(self, *, wake: bool = True) -> FileClosed:
        """Wait until the rest is written and the file closed, as was requested.

        Parameters
        ----------
        wake
            Send the writer a message, or leave it to find the request in the ring.

        Raises
        ------
        WriterError
            The writer process failed, or made no progress in ``timeout_s``; then it goes on by itself.
        """
        if wake:
            self.writer.send(BlockReady(self.counters[RingField.PUT]))
        return self.writer.wait_for_end(self._options.timeout_s)

    def stats(self) -> SpoolStats:
        """Return the current status."""
        put, written, start = self.counters[RingField.PUT], self.counters[RingField.WRITTEN], self._start
        pixels = written * start.layout.frame_bytes if start else 0
        return SpoolStats(
            frames_put=put,
            frames_written=written,
            frames_durable=self.counters[RingField.DURABLE],
            frames_lost=self.counters[RingField.LOST],
            frames_dropped=self._dropped,
            frames_raw=self.counters[RingField.RAW],
            bytes_written=pixels,
            bytes_stored=self.counters[RingField.BYTES] if start and start.layout.compressed else pixels,
            ring_bytes=self._ring.size,
            ring_frames=self._frames,
            ring_used=put - written,
            ring_peak=max(self._peak, put - written),
            slowest_write_s=self.counters[RingField.SLOWEST_WRITE_NS] / 1e9,
            elapsed_s=(steady_ns() + start.wall_offset_ns - start.start_ns) / 1e9 if start else 0.0,
            writer_restarts=self.counters[RingField.RESTARTS],
        )

    def release(self, *, kill: bool = False, interrupting: bool = False) -> None:
        """Give up the ring, and wait for the process to end; with ``kill`` end it. Idempotent.

        A process that made no progress is left to empty what it still has of the ring. Where this is ``interrupting``
        a `put`, that still has the queue: it releases again when it goes on.
        """
        self.released = True
        if self._awake is not None:
            self._awake.close()
        if kill:
            self.writer.kill()
        self._ring.close()
        self.writer.wait()
        if not interrupting:
            self.writer.disown()

    def count_rest_as_lost(self) -> None:
        """Enter what is left in the ring into the ledger, unless a process goes on emptying it."""
        written = self.counters[RingField.WRITTEN]
        if not self.writer.stalled and (rest := self.counters[RingField.PUT] - written):
            self._ring.add_loss(written, rest, "ring")

    def _open(self, size: int) -> None:
        """Create the ring, and start the process while it gets its memory."""
        with contextlib.ExitStack() as undo:
            self._ring = Ring.create(size)
            undo.callback(self._ring.close)
            self.counters = self._ring.counters
            self.writer = WriterSupervisor(self._launch, self._ring)
            undo.callback(self.writer.end)
            self._ring.reserve()
            undo.pop_all()
        if self._options.buffer_bytes is None:
            warn_if_small(size)

    def _wait_for_slot(self, index: int) -> bool:
        """Wait until the ring has a free slot for frame ``index``; otherwise enter it into the ledger."""
        on_full, timeout_s = self._options.on_full, self._options.timeout_s
        per_block = self._start.layout.frames_per_block if self._start else 1
        deadline, checked = time.monotonic() + (timeout_s if on_full == "wait" else 0.0), 0.0
        while True:
            self._limit = self.counters[RingField.WRITTEN] // per_block * per_block + self._frames
            if index < self._limit:
                self._ring.fence()  # before the slots that WRITTEN has freed
                return True
            self._peak = self._frames
            if (now := time.monotonic()) >= checked + _FULL_CHECK_S:
                self.writer.ensure()
                checked = now
            if now >= deadline:
                break
            time.sleep(_FULL_SLEEP_S)
        self._dropped += 1
        self.add_loss(1, "ring")
        if on_full == "drop":
            return False
        waited = f" for {timeout_s:g} s" if on_full == "wait" else ""
        raise RingFullError(
            f"the ring was full{waited}: {self._frames:,} frames wait for the disk, "
            f"{self.counters[RingField.WRITTEN]:,} are written; the frame is counted as lost. "
            "Record less, to a faster disk, or with a larger buffer_bytes"
        )
