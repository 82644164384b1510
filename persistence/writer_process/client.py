"""The producer's end of one recording: the ring it fills and the writer process that empties it."""

import contextlib
import os
import time
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from ...errors import RingFullError, StorageError, WriterError
from ..block_layout import BlockLayout, plan_blocks
from ..clock import steady_ns
from ..keep_awake import KeepAwake
from ..losses import STAGES, Loss
from ..options import SpoolOptions
from ..results import SpoolStats
from ..shared_ring.memory import available, default_buffer_bytes, warn_if_small
from ..shared_ring.ring import Ring, RingField
from .messages import BlockReady, FileClosed, FileReady, StartWriting
from .process import Launch, ProcessDiedError, WriterProcess

_CHECK_NS = 250_000_000  # how often a putting producer looks whether the writer still lives
_FULL_SLEEP_S = 0.0005
_FULL_CHECK_S = 0.05
_ANSWER_S = 0.1
_MAX_DEATHS = 3  # without a frame written in between: what kills it would kill the next one too
_ANSWER_TIMEOUT_S = 120.0  # a new process imports NumPy and h5py, from a network drive at worst


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
    notices
        What is to be logged, by somebody who holds no lock.
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
        self._stalled = False
        self._start: StartWriting | None = None
        self._awake: KeepAwake | None = None
        self._deaths = self._written_at_death = 0
        self._exchanges = 0
        self.notices: list[str] = []
        self.released = self.abandoned = False

    @property
    def exchanging(self) -> bool:
        """Whether a call is waiting for the process or replacing it: a signal handler that interrupted it must not."""
        return self._exchanges > 0

    @property
    def writer_pid(self) -> int:
        """The writer process's id."""
        return self._writer.pid

    @property
    def begun(self) -> bool:
        """Whether the writer was asked to create the file."""
        return self._start is not None

    @property
    def inherited(self) -> bool:
        """Whether this process is a fork of the one that records, and has to leave everything alone."""
        return os.getpid() != self._owner

    def plan(self, shape: tuple[int, int], dtype: np.dtype[Any]) -> BlockLayout:
        """Return the layout of frames in the ring; a default ring that is too small for them is replaced first.

        Raises
        ------
        StorageError
            The ring cannot hold two frames.
        """
        frame_bytes = int(np.prod(shape)) * dtype.itemsize
        compressed = self._options.compresses(frame_bytes)
        if self._options.buffer_bytes is None and (size := default_buffer_bytes(frame_bytes)) > 2 * self._ring.size:
            losses = self.losses()
            self._writer.kill()
            self._writer.wait()
            self._writer.disown()
            self._ring.close()
            self._open(size)
            for loss in losses:
                self._ring.add_loss(loss.before_frame, loss.count, loss.stage)
        try:
            return plan_blocks(shape, dtype, self._ring.room, self._options.grow_frames, compressed=compressed)
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
        self._writer.send(start)
        try:
            self._wait_for_file()
        except WriterError as exc:
            if isinstance(exc.__cause__, StorageError):
                raise exc.__cause__ from None
            raise
        if self._options.keep_awake:
            self._awake = KeepAwake(start.path)

    def put(self, frame: npt.NDArray[Any], values: tuple[int, int, int, int], now_ns: int) -> bool:
        """Copy a frame and its columns into the ring; False if it was dropped.

        Raises
        ------
        RingFullError
            There was no room; the frame is in the ledger.
        WriterError
            The writer process failed.
        """
        ring, counters = self._ring, self.counters
        index = counters[RingField.PUT]
        if now_ns - self._checked_ns > _CHECK_NS:
            self.ensure_writer()
            self._checked_ns = now_ns
        if index >= self._limit and not self._wait_for_room(index):
            return False
        counters[RingField.CLAIMED] = index + 1  # before the look at FAILED: a writer that sets it waits for this frame
        ring.fence()
        while counters[RingField.FAILED]:
            counters[RingField.CLAIMED] = index
            self.ensure_writer()
            counters[RingField.CLAIMED] = index + 1
            ring.fence()
        if ring.put_frame(index, frame, values):
            self._block_ready(index + 1)
        return True

    def add_loss(self, count: int, stage: str) -> None:
        """Enter frames into the ledger that are missing before the next one."""
        self._ring.add_loss(self.counters[RingField.PUT], count, stage)

    def losses(self) -> tuple[Loss, ...]:
        """Return the ledger."""
        return tuple(Loss(int(before), int(count), STAGES[code]) for before, count, code in self._ring.losses())

    def request_stop(self, *, interrupted: bool, end_reason: str) -> None:
        """Order the writer to write what was put and close the file; once, whoever the writer is."""
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
            self._writer.send(BlockReady(self.counters[RingField.PUT]))
        timeout_s, written, deadline = self._options.timeout_s, None, 0.0
        while True:
            restarts = self.counters[RingField.RESTARTS]
            if self.counters[RingField.WRITTEN] != written:
                written, deadline = self.counters[RingField.WRITTEN], time.monotonic() + timeout_s
            answer = self._receive()
            if isinstance(answer, FileClosed):
                return answer
            if isinstance(answer, FileReady):
                written = None  # a new process has the ring: now its time begins
            elif self.counters[RingField.RESTARTS] != restarts:
                deadline = time.monotonic() + _ANSWER_TIMEOUT_S  # for it to start
            elif time.monotonic() > deadline:
                self._stalled = True
                waiting = self.counters[RingField.PUT] - self.counters[RingField.WRITTEN]
                raise WriterError(
                    f"the file could not be closed: no data could be written for {timeout_s:g} s, and "
                    f"{waiting:,} frames wait in the ring. The writer process "
                    f"(pid {self._writer.pid}) goes on trying; leave it running to save them"
                )

    def stats(self) -> SpoolStats:
        """Return how it stands."""
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
            self._writer.kill()
        self._ring.close()
        if not self._stalled:
            self._writer.wait()
        if not interrupting:
            self._writer.disown()

    def reap(self) -> None:
        """Wait for a process that was left to empty the ring, so that it does not stay as a zombie."""
        while self._writer.is_alive():
            time.sleep(_ANSWER_S)

    def forget(self) -> None:
        """Leave the recording to the process that this one was forked from."""
        self._writer.forget()

    def count_rest_as_lost(self) -> None:
        """Enter what is left in the ring into the ledger, unless a process goes on emptying it."""
        written = self.counters[RingField.WRITTEN]
        if not self._stalled and (rest := self.counters[RingField.PUT] - written):
            self._ring.add_loss(written, rest, "ring")

    def needs_attention(self) -> bool:
        """Tell whether the process has failed or died."""
        return bool(self.counters[RingField.FAILED]) or not self._writer.is_alive()

    def ensure_writer(self) -> None:
        """Replace a process that died, and raise what one that failed has said.

        Raises
        ------
        WriterError
            It failed, or the ones that replaced it died too, or none can be started.
        """
        deadline = time.monotonic() + _ANSWER_TIMEOUT_S
        with self._exchange():
            while self.needs_attention():
                self._receive()
                if time.monotonic() > deadline:
                    self._stalled = True
                    raise WriterError(
                        f"the writer process (pid {self._writer.pid}) failed, and for {_ANSWER_TIMEOUT_S:g} s it "
                        "has not said why: the disk does not answer"
                    )

    def _open(self, size: int) -> None:
        """Create the ring, and start the process while it gets its memory."""
        self._ring = Ring.create(size)
        self.counters = self._ring.counters
        try:
            try:
                self._writer = WriterProcess(self._launch, self._ring)
            except (OSError, RuntimeError) as exc:
                raise StorageError(f"the writer process could not be started: {exc}") from exc
            try:
                self._ring.reserve()
            except BaseException:
                self._writer.kill()
                self._writer.wait()
                self._writer.disown()
                raise
        except BaseException:
            self._ring.close()
            raise
        if self._options.buffer_bytes is None:
            warn_if_small(size)

    def _block_ready(self, stop: int) -> None:
        """Announce that all frames before ``stop`` are in the ring; a signal handler may have closed it meanwhile."""
        with contextlib.suppress(ValueError):
            self._peak = max(self._peak, stop - self.counters[RingField.WRITTEN])
        self._writer.send(BlockReady(stop))

    def _receive(self) -> FileReady | FileClosed | None:
        with self._exchange():
            try:
                return self._writer.receive(_ANSWER_S)
            except ProcessDiedError as exc:
                self._replace(exc)
                return None
            except Exception as exc:
                raise WriterError(f"the writer process failed: {exc}") from exc

    def _replace(self, death: ProcessDiedError) -> None:
        """Start a new process, which takes over the ring and the file from one that was killed."""
        written = self.counters[RingField.WRITTEN]
        self._deaths = self._deaths + 1 if written == self._written_at_death else 1
        self._written_at_death = written
        if self._deaths > _MAX_DEATHS:
            raise WriterError(
                f"{death}, {self._deaths} times without writing a frame in between; 'mmspool repair' makes "
                "the file exact"
            ) from death
        self._writer.disown()
        self.counters[RingField.RESTARTS] += 1
        resumed = self._start and replace(self._start, resume=bool(self.counters[RingField.STARTED]))
        try:
            self._writer = WriterProcess(self._launch, self._ring)
            self.notices.append(f"{death}; a new one takes over")
            if resumed is not None:
                self._writer.send(resumed)
        except (OSError, RuntimeError, MemoryError) as exc:  # no descriptors, processes, threads or memory
            raise self._finish_here(exc, resumed) from exc

    def _finish_here(self, cause: Exception, start: StartWriting | None) -> WriterError:
        """Close the file in this process; return the error that ends the recording."""
        from .main import finish_here  # it loads h5py

        error = WriterError(f"the writer process died, and no other could be started: {cause}")
        if start is not None and start.resume:
            self.counters[RingField.FAILED] = 1
            try:
                finish_here(self._ring, start, error)
            except Exception as exc:  # noqa: BLE001 - it must not hide why
                error.add_note(f"the file could not be closed either ({exc}): use mmspool repair")
        return error

    def _wait_for_file(self) -> None:
        deadline = time.monotonic() + _ANSWER_TIMEOUT_S
        while self._receive() is None:
            if time.monotonic() > deadline:
                raise WriterError(f"the writer process (pid {self._writer.pid}) did not start")

    def _wait_for_room(self, index: int) -> bool:
        """Wait until the ring has room for frame ``index``; otherwise enter it into the ledger."""
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
                self.ensure_writer()
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

    @contextlib.contextmanager
    def _exchange(self) -> Iterator[None]:
        self._exchanges += 1
        try:
            yield
        finally:
            self._exchanges -= 1
