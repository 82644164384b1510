"""Keeps a writer process at work on a ring: starts it, receives its answers, and restarts one that died."""

import contextlib
import time
from collections.abc import Iterator
from dataclasses import replace

from ...errors import StorageError, WriterError
from ..hdf5_file.closed_file import FileClosed
from ..shared_ring.ring import Ring, RingField
from .messages import FileReady, Message, StartWriting
from .process import Launch, ProcessDiedError, WriterProcess

ANSWER_TIMEOUT_S = 120.0  # a new process imports NumPy and h5py, from a network drive at worst
_ANSWER_S = 0.1
_MAX_DEATHS = 3  # without a frame written in between: what kills it would kill the next one too


class WriterSupervisor:
    """The writer process of a ring, whichever it is at the moment.

    Parameters
    ----------
    launch
        How a process is started.
    ring
        Where it takes frames from.

    Attributes
    ----------
    notices
        Messages for the log, which a caller writes that holds no lock.
    stalled
        Whether the process was left to go on alone, because it made no progress in time.

    Raises
    ------
    StorageError
        No process can be started.
    """

    def __init__(self, launch: Launch, ring: Ring) -> None:
        self._launch, self._ring = launch, ring
        try:
            self._process = WriterProcess(launch, ring)
        except (OSError, RuntimeError) as exc:
            raise StorageError(f"the writer process could not be started: {exc}") from exc
        self._start: StartWriting | None = None
        self._deaths = self._written_at_death = 0
        self._exchanges = 0
        self.notices: list[str] = []
        self.stalled = False

    @property
    def pid(self) -> int:
        """The process's id."""
        return self._process.pid

    @property
    def exchanging(self) -> bool:
        """Whether a call is waiting for the process or restarting it: a signal handler that interrupted it must not."""
        return self._exchanges > 0

    def needs_attention(self) -> bool:
        """Return whether the process has failed or died."""
        return bool(self._ring.counters[RingField.FAILED]) or not self._process.is_alive()

    def send(self, message: Message) -> None:
        """Hand over a message; never blocks."""
        self._process.send(message)

    def create_file(self, start: StartWriting) -> None:
        """Ask the process to create the file, and wait until it exists.

        Raises
        ------
        StorageError
            It cannot be created here.
        WriterError
            The writer process failed for another reason.
        """
        self._start = start
        self._process.send(start)
        try:
            self._wait_for_file()
        except WriterError as exc:
            if isinstance(exc.__cause__, StorageError):
                raise exc.__cause__ from None
            raise

    def receive(self) -> FileReady | FileClosed | None:
        """Wait a moment for an answer; None when there was none. A process that died is restarted.

        Raises
        ------
        WriterError
            The process failed, or the ones that replaced it died too, or none can be started.
        """
        with self._exchange():
            try:
                return self._process.receive(_ANSWER_S)
            except ProcessDiedError as exc:
                self._restart(exc)
                return None
            except Exception as exc:
                raise WriterError(f"the writer process failed: {exc}; 'mmspool info' says what the file has") from exc

    def ensure(self) -> None:
        """Restart a process that died, and raise what one that failed has said.

        Raises
        ------
        WriterError
            As `receive`.
        """
        deadline = time.monotonic() + ANSWER_TIMEOUT_S
        with self._exchange():
            while self.needs_attention():
                self.receive()
                if time.monotonic() > deadline:
                    self.stalled = True
                    raise WriterError(
                        f"the writer process (pid {self.pid}) failed, and for {ANSWER_TIMEOUT_S:g} s it "
                        "has not said why: the disk does not answer. Check it, then run 'mmspool repair'"
                    )

    def wait_for_end(self, timeout_s: float) -> FileClosed:
        """Wait until the process, or one that replaces it, has closed the file, as was requested.

        Raises
        ------
        WriterError
            As `receive`, or it made no progress in ``timeout_s``; then it goes on by itself.
        """
        counters, written, deadline = self._ring.counters, None, 0.0
        while True:
            restarts = counters[RingField.RESTARTS]
            if counters[RingField.WRITTEN] != written:
                written, deadline = counters[RingField.WRITTEN], time.monotonic() + timeout_s
            answer = self.receive()
            if isinstance(answer, FileClosed):
                return answer
            if isinstance(answer, FileReady):
                written = None  # a new process has the ring: now its time begins
            elif counters[RingField.RESTARTS] != restarts:
                deadline = time.monotonic() + ANSWER_TIMEOUT_S  # for it to start
            elif time.monotonic() > deadline:
                self.stalled = True
                waiting = counters[RingField.PUT] - counters[RingField.WRITTEN]
                raise WriterError(
                    f"the file could not be closed: no data could be written for {timeout_s:g} s, and "
                    f"{waiting:,} frames wait in the ring. The writer process "
                    f"(pid {self.pid}) goes on trying; leave it running to save them"
                )

    def kill(self) -> None:
        """End the process at once."""
        self._process.kill()

    def end(self) -> None:
        """End the process at once, wait until it has, and free what leads to it."""
        self.kill()
        self.wait()
        self.disown()

    def wait(self) -> None:
        """Wait for the process to end, unless it was left to go on by itself."""
        if not self.stalled:
            self._process.wait()

    def reap(self) -> None:
        """Wait for a process that was left to empty the ring, so that it does not stay as a zombie."""
        while self._process.is_alive():
            time.sleep(_ANSWER_S)

    def disown(self) -> None:
        """Free what leads to the process, and leave it alone; idempotent."""
        self._process.disown()

    def forget(self) -> None:
        """Leave the process to the parent of this fork."""
        self._process.forget()

    def _wait_for_file(self) -> None:
        deadline = time.monotonic() + ANSWER_TIMEOUT_S
        while self.receive() is None:
            if time.monotonic() > deadline:
                raise WriterError(
                    f"the writer process (pid {self.pid}) did not start in {ANSWER_TIMEOUT_S:g} s: record again when "
                    "the computer and its disk are less busy"
                )

    def _restart(self, death: ProcessDiedError) -> None:
        """Start a new process, which takes over the ring and the file from one that was killed."""
        counters = self._ring.counters
        written = counters[RingField.WRITTEN]
        self._deaths = self._deaths + 1 if written == self._written_at_death else 1
        self._written_at_death = written
        if self._deaths > _MAX_DEATHS:
            raise WriterError(
                f"{death}, {self._deaths} times without writing a frame in between; 'mmspool repair' makes "
                "the file exact"
            ) from death
        self._process.disown()
        counters[RingField.RESTARTS] += 1
        start = self._start
        if start is not None and counters[RingField.STARTED]:  # the file has what might be too long for the pipe
            start = replace(start, resume=True, options=replace(start.options, metadata=None, info=None, plan=None))
        try:
            self._process = WriterProcess(self._launch, self._ring, start)
            self.notices.append(f"{death}; a new one takes over")
        except (OSError, RuntimeError, MemoryError) as exc:  # no descriptors, processes, threads or memory
            raise self._finish_here(exc, start) from exc

    def _finish_here(self, cause: Exception, start: StartWriting | None) -> WriterError:
        """Close the file in this process; return the error that ends the recording."""
        from .main import finish_here  # it loads h5py

        error = WriterError(f"the writer process died, and no other could be started: {cause}")
        if start is not None and start.resume:
            self._ring.counters[RingField.FAILED] = 1
            try:
                finish_here(self._ring, start, error)
            except Exception as exc:  # noqa: BLE001 - it must not hide why
                error.add_note(f"the file could not be closed either ({exc}): use mmspool repair")
        return error

    @contextlib.contextmanager
    def _exchange(self) -> Iterator[None]:
        self._exchanges += 1
        try:
            yield
        finally:
            self._exchanges -= 1
