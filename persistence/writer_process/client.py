"""The producer's end of one recording: the ring it fills and the persistence process that empties it."""

import contextlib
import logging
import multiprocessing
import time
from dataclasses import replace
from multiprocessing import connection
from typing import Any

import numpy as np
import numpy.typing as npt

from ...errors import RingFullError, StorageError, WriterError
from ..losses import STAGES, Loss
from ..options import SpoolOptions
from ..results import SpoolStats
from ..shared_ring.memory import default_buffer_bytes
from ..shared_ring.ring import Ring, RingField
from .messages import BlockReady, FileClosed, FileReady, StartWriting, StopWriting
from .process import ProcessDiedError, WriterProcess

_log = logging.getLogger("mmspool")

_CHECK_NS = 250_000_000  # how often a putting producer looks whether the writer still lives
_FULL_SLEEP_S = 0.0005
_ANSWER_S = 0.1
_MAX_DEATHS = 3  # without a frame written in between: what kills it would kill the next one too
_ANSWER_TIMEOUT_S = 120.0  # a new process imports NumPy and h5py, from a network drive at worst


class WriterClient:
    """A ring and its persistence process. Not safe for several threads: `Spool` serialises.

    Parameters
    ----------
    options
        Of the spool.

    Raises
    ------
    StorageError
        There is too little memory for the ring.
    """

    def __init__(self, options: SpoolOptions) -> None:
        self._on_full = options.on_full
        self._timeout_s = options.timeout_s
        self._ring = Ring.create(default_buffer_bytes() if options.buffer_bytes is None else options.buffer_bytes)
        try:
            self._writer = WriterProcess(self._ring)
            try:
                self._ring.reserve()  # while the process starts
            except BaseException:
                self._writer.kill()
                self._writer.close()
                raise
        except BaseException:
            self._ring.close()
            self._ring.unlink()
            raise
        self.counters = self._ring.counters
        self._peak = 0
        self._dropped = 0
        self._frames = 0
        self._limit = 0
        self._checked_ns = 0
        self._stalled = False
        self._begin: StartWriting | None = None
        self._freed, self._free = multiprocessing.Pipe(duplex=False)  # its end is the end of `wait_for_death`
        self._deaths = 0
        self._written_at_death = 0

    @property
    def room(self) -> int:
        """Bytes of the ring for frames and their columns."""
        return self._ring.room

    @property
    def writer_pid(self) -> int | None:
        """The persistence process's id."""
        return self._writer.pid

    def begin(self, begin: StartWriting) -> None:
        """Have the file made.

        Raises
        ------
        StorageError
            It cannot be made here.
        WriterError
            The persistence process failed for another reason.
        """
        layout = begin.layout
        self._ring.lay_out(layout)
        self._blocks, self._per_block, self._frames = self._ring.blocks, layout.frames_per_block, layout.frames
        self._limit = layout.frames
        self._begin = begin
        self._writer.send(begin)
        try:
            self._wait_for_answer("it did not start")
        except WriterError as exc:
            if isinstance(exc.__cause__, StorageError):
                raise exc.__cause__ from None
            raise

    def put(self, frame: npt.NDArray[Any], values: tuple[int, int, int, int], now_ns: int) -> bool:
        """Copy a frame and its columns into the ring; False if it was dropped.

        Raises
        ------
        RingFullError
            There was no room; the frame is in the ledger.
        WriterError
            The persistence process failed.
        """
        counters = self.counters
        index = counters[RingField.PUT]
        if now_ns - self._checked_ns > _CHECK_NS:
            self.check()
            self._checked_ns = now_ns
        if index >= self._limit and not self._wait_for_room(index):
            return False
        counters[RingField.CLAIMED] = index + 1  # before the look at FAILED: a writer that sets it waits for this frame
        while counters[RingField.FAILED]:
            counters[RingField.CLAIMED] = index
            self.check()
            counters[RingField.CLAIMED] = index + 1
        slot = index % self._frames
        block, place = divmod(slot, self._per_block)
        self._blocks[block, place] = frame
        self._ring.write_record(slot, (index + counters[RingField.LOST], *values))
        counters[RingField.PUT] = index + 1
        if place + 1 == self._per_block:
            self._peak = max(self._peak, index + 1 - counters[RingField.WRITTEN])
            self._writer.send(BlockReady(index + 1))
        return True

    def add_loss(self, count: int, stage: str) -> None:
        """Enter frames into the ledger that are missing before the next one."""
        self._ring.add_loss(self.counters[RingField.PUT], count, stage)

    def losses(self) -> tuple[Loss, ...]:
        """Return the ledger."""
        return tuple(Loss(int(before), int(count), STAGES[code]) for before, count, code in self._ring.losses())

    def end(self, *, interrupted: bool, end_reason: str) -> FileClosed:
        """Have the rest written and the file closed.

        Raises
        ------
        WriterError
            The persistence process failed, or made no progress in ``timeout_s``; then it goes on by itself.
        """
        end = StopWriting(interrupted, end_reason)
        self._writer.send(end)
        written, restarts, deadline = -1, self.counters[RingField.RESTARTS], 0.0
        while True:
            if self.counters[RingField.WRITTEN] != written:
                written, deadline = self.counters[RingField.WRITTEN], time.monotonic() + self._timeout_s
            if isinstance(answer := self._receive(), FileClosed):
                return answer
            if isinstance(answer, FileReady):
                written = -1  # a new process has the ring: now its time begins
            if self.counters[RingField.RESTARTS] != restarts:
                restarts, deadline = self.counters[RingField.RESTARTS], time.monotonic() + _ANSWER_TIMEOUT_S
                self._writer.send(end)
            if time.monotonic() > deadline:
                self._stalled = True
                raise WriterError(
                    f"the file could not be closed: the disk took nothing for {self._timeout_s:g} s, and "
                    f"{self.counters[RingField.PUT] - written:,} frames wait in the ring. The persistence process "
                    f"(pid {self._writer.pid}) goes on trying; leave it be to save them"
                )

    def stats(self) -> SpoolStats:
        """Return how it stands."""
        put, written, begin = self.counters[RingField.PUT], self.counters[RingField.WRITTEN], self._begin
        return SpoolStats(
            frames_put=put,
            frames_written=written,
            frames_durable=self.counters[RingField.DURABLE],
            frames_lost=self.counters[RingField.LOST],
            frames_dropped=self._dropped,
            frames_raw=self.counters[RingField.RAW],
            bytes_written=(pixels := written * (begin.layout.frame_bytes if begin else 0)),
            bytes_stored=self.counters[RingField.BYTES] if begin and begin.options.compression else pixels,
            ring_frames=self._frames,
            ring_used=put - written,
            ring_peak=max(self._peak, put - written),
            slowest_write_s=self.counters[RingField.SLOWEST_WRITE_NS] / 1e9,
            elapsed_s=(time.time_ns() - begin.start_ns) / 1e9 if begin else 0.0,
            writer_restarts=self.counters[RingField.RESTARTS],
        )

    def free(self, *, kill: bool) -> None:
        """End `wait_for_death`; with ``kill`` the process as well. What both hold is for `give_back`."""
        try:
            if kill:
                self._writer.kill()
                self._writer.close()
            self._ring.unlink()
        finally:
            self._free.close()

    def give_back(self) -> None:
        """Unmap the ring and wait for the process to end, after `free`: a fifth of a second for a ring of 1 GiB.

        A process that made no progress is left to empty what it still has of the ring.
        """
        self._blocks = np.empty(0)
        self._ring.close()
        if not self._stalled:
            self._writer.close()

    def count_rest_as_lost(self) -> None:
        """Enter what is left in the ring into the ledger, unless a process goes on emptying it."""
        written = self.counters[RingField.WRITTEN]
        if not self._stalled and (rest := self.counters[RingField.PUT] - written):
            self._ring.add_loss(written, rest, "ring")

    def wait_for_death(self) -> bool:
        """Wait until the persistence process has ended; False when that was `free`'s doing."""
        connection.wait([self._writer.sentinel, self._freed])
        with contextlib.suppress(BrokenPipeError):  # what Windows says of a pipe that was closed
            if not self._freed.poll():
                return True
        self._freed.close()
        return False

    def check(self) -> None:
        """Replace a persistence process that died, and raise what one that failed has said.

        Raises
        ------
        WriterError
            It failed, or the ones that replaced it died too.
        """
        deadline = time.monotonic() + _ANSWER_TIMEOUT_S
        while self.counters[RingField.FAILED] or not self._writer.is_alive():
            self._receive()
            if time.monotonic() > deadline:
                self._stalled = True
                raise WriterError(
                    f"the persistence process (pid {self._writer.pid}) failed, and for {_ANSWER_TIMEOUT_S:g} s it "
                    "has not said why: the disk does not answer"
                )

    def _receive(self) -> FileReady | FileClosed | None:
        try:
            return self._writer.receive(_ANSWER_S)
        except ProcessDiedError as exc:
            self._replace(exc)
            return None
        except Exception as exc:
            raise WriterError(f"the persistence process failed: {exc}") from exc

    def _replace(self, death: ProcessDiedError) -> None:
        """Have a new process take over the ring and the file from one that was killed."""
        written = self.counters[RingField.WRITTEN]
        self._deaths = self._deaths + 1 if written == self._written_at_death else 1
        self._written_at_death = written
        if self._deaths > _MAX_DEATHS:
            raise WriterError(
                f"{death}, {self._deaths} times without writing a frame in between; 'mmspool repair' makes "
                "the file exact"
            ) from death
        _log.warning("%s; a new one takes over", death)
        self._writer.close()
        self.counters[RingField.RESTARTS] += 1
        self._writer = WriterProcess(self._ring)
        if self._begin is not None:
            self._writer.send(replace(self._begin, resume=bool(self.counters[RingField.STARTED])))

    def _wait_for_answer(self, trouble: str) -> None:
        deadline = time.monotonic() + _ANSWER_TIMEOUT_S
        while self._receive() is None:
            if time.monotonic() > deadline:
                raise WriterError(f"the persistence process (pid {self._writer.pid}): {trouble}")

    def _wait_for_room(self, index: int) -> bool:
        """Wait until the ring has room for frame ``index``; otherwise enter it into the ledger."""
        deadline = time.monotonic() + (self._timeout_s if self._on_full == "wait" else 0.0)
        while True:
            written_blocks = self.counters[RingField.WRITTEN] // self._per_block
            self._limit = written_blocks * self._per_block + self._frames
            if index < self._limit:
                return True
            self._peak = self._frames
            self.check()
            if time.monotonic() >= deadline:
                break
            time.sleep(_FULL_SLEEP_S)
        self._dropped += 1
        self.add_loss(1, "ring")
        if self._on_full == "drop":
            return False
        waited = f" for {self._timeout_s:g} s" if self._on_full == "wait" else ""
        raise RingFullError(
            f"the ring was full{waited}: {self._frames:,} frames wait for the disk, "
            f"{self.counters[RingField.WRITTEN]:,} are written; the frame is counted as lost. "
            "Record less, to a faster disk, or with a larger buffer_bytes"
        )
