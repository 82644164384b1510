"""The writer process: takes blocks from the ring and writes them to the file, until it is ordered to close it."""

import contextlib
import json
import os
import sys
import time
import traceback
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from ...errors import StorageError, WriterError
from ..hdf5_file.closed_file import FileClosed, read_closed
from ..hdf5_file.validate import DAMAGE
from ..shared_ring.ring import Ring, RingField
from .messages import ENVIRONMENT, BlockReady, FileReady, StartWriting
from .writer import FrameWriter

POLL_S = 0.2  # how long frames of a partly filled block wait for the file, and a dead producer goes unnoticed
_COPY_S = 1.0  # for the producer to finish the frame that it is copying; one that was stopped never does


def main() -> None:
    """Be the writer process that `ENVIRONMENT` describes."""
    if sys.platform == "win32":
        from .windows_start import shut_down_last

        shut_down_last()
    given = json.loads(os.environ.pop(ENVIRONMENT))
    ends = _connection(given["messages"], writable=False), _connection(given["answers"], readable=False)
    run(given["ring"], *ends, Producer(given["producer"]))


class Producer:
    """The process that puts frames into the ring, as its writer sees it.

    Parameters
    ----------
    identity
        Its process id, or an open handle of it on Windows.
    """

    def __init__(self, identity: int) -> None:
        self._identity = identity

    def is_alive(self) -> bool:
        """Return whether it runs. Only it counts, not what it has forked."""
        if sys.platform == "win32":
            from .windows_start import is_running

            return is_running(self._identity)
        return os.getppid() == self._identity


def run(ring_handle: int | str, messages: Connection, answers: Connection, producer: Producer) -> None:
    """Write one recording. A failure is sent to the producer, with its cause, and flagged in the ring."""
    ring = Ring.attach(ring_handle)
    try:
        closed = _record(ring, _Messages(messages), answers, producer)
    except Exception as exc:  # noqa: BLE001 - whatever it was, the producer raises it
        exc.add_note(f"in the writer process:\n{traceback.format_exc()}")
        ring.counters[RingField.FAILED] = 1
        _answer(answers, exc)
    else:
        if closed is not None:
            _answer(answers, closed)
    finally:
        answers.close()
        ring.close()


def finish_here(ring: Ring, start: StartWriting, cause: Exception) -> None:
    """Write what the ring holds and close the file in this process, the producer's, which cannot have a writer."""
    if read_outcome(start.path, ring.counters) is None:
        writer = FrameWriter(ring, start)
        try:
            writer.write_to(ring.counters[RingField.PUT])
        finally:
            _save(writer, cause)


class _Messages:
    """The reading end of the producer's Queue; its other end may close, or be held open by anybody."""

    def __init__(self, reader: Connection) -> None:
        self._reader: Connection | None = reader

    def get(self) -> Any:
        """Return the next message; None when none came in `POLL_S`."""
        if self._reader is None:
            time.sleep(POLL_S)
            return None
        try:
            return self._reader.recv() if self._reader.poll(POLL_S) else None
        except (EOFError, OSError):  # the producer is gone, or closes
            self._reader = None
            return None


def _record(ring: Ring, messages: _Messages, answers: Connection, producer: Producer) -> FileClosed | None:
    """Write one recording; None when the producer went away before it said what to write."""
    start = _first(messages, producer)
    if start is None:
        return None
    if start.resume and (closed := read_outcome(start.path, ring.counters)) is not None:
        if closed.writer_failed:
            raise WriterError(closed.end_reason)
        return closed
    ring.touch()
    ring.lay_out(start.layout)
    writer = _open(ring, start)
    try:
        ring.counters[RingField.STARTED], ring.counters[RingField.FAILED] = 1, 0
        _answer(answers, FileReady())
        if start.resume:
            writer.write_to(ring.counters[RingField.PUT])
        interrupted, end_reason = _write_until_end(writer, ring, messages, producer)
        return writer.finish(interrupted=interrupted, end_reason=end_reason)
    except Exception as exc:
        _refuse_frames(ring)
        _save(writer, exc)
        raise


def _open(ring: Ring, start: StartWriting) -> FrameWriter:
    """Return what writes the file; a new one that cannot be created is an error of its path."""
    try:
        return FrameWriter(ring, start)
    except StorageError:
        raise
    except OSError as exc:
        if start.resume:
            raise
        raise StorageError(
            exc.errno, f"the file cannot be created ({exc.strerror or exc}): choose another folder", str(start.path)
        ) from exc


def read_outcome(path: Path, counters: memoryview) -> FileClosed | None:
    """Return how a file was closed by a writer that was killed before it reported that; None if it still is written.

    Then the ring's ``counters`` say what the file says, and the file how often a process took over.
    """
    closed = read_closed(path, counters[RingField.RESTARTS])
    if closed is not None:
        counters[RingField.WRITTEN], counters[RingField.DURABLE] = closed.frames_written, closed.frames_durable
    return closed


def _first(messages: _Messages, producer: Producer) -> StartWriting | None:
    while True:
        alive = producer.is_alive()  # before the look at what it has sent: it may leave a ring to be emptied
        message = messages.get()
        if isinstance(message, StartWriting):
            return message
        if not alive:
            return None


def _write_until_end(writer: FrameWriter, ring: Ring, messages: _Messages, producer: Producer) -> tuple[bool, str]:
    """Write what descriptors announce, and what a quiet producer left in a partly filled block; return how it ends."""
    checked, stop = time.monotonic(), None
    while stop is None:
        message = messages.get()
        stop = ring.stop_request()
        if stop is None and time.monotonic() - checked >= POLL_S:
            checked = time.monotonic()
            if not producer.is_alive():
                stop = ring.stop_request() or (True, "the recording process died")
        ready = isinstance(message, BlockReady) and stop is None
        writer.write_to(message.stop if ready else ring.counters[RingField.PUT])
    return stop


def _refuse_frames(ring: Ring) -> None:
    """Make the producer put no more frames, and wait for the one it is copying: what is in the ring is counted next."""
    ring.counters[RingField.FAILED] = 1
    ring.fence()
    limit = time.monotonic() + _COPY_S
    while ring.counters[RingField.PUT] < ring.counters[RingField.CLAIMED] and time.monotonic() < limit:
        time.sleep(_COPY_S / 1000)


def _save(writer: FrameWriter, cause: Exception) -> None:
    """Make the file exact after a failure; if that fails too, the cause says so and the file is left as it is."""
    try:
        writer.finish(interrupted=True, end_reason=f"the writer failed: {cause}", failed=True)
    except DAMAGE as exc:
        cause.add_note(f"the file could not be trimmed and closed either ({exc}): use mmspool repair")
    finally:
        writer.close()


def _answer(answers: Connection, answer: Any) -> None:
    """Send an answer to the producer, unless it died: then the file has said it already."""
    with contextlib.suppress(BrokenPipeError):
        answers.send(answer)


def _connection(identity: int, *, readable: bool = True, writable: bool = True) -> Connection:
    """Return an end of a pipe that this process inherited."""
    if sys.platform == "win32":
        from .windows_start import connection

        return connection(identity, readable=readable, writable=writable)
    return Connection(identity, readable=readable, writable=writable)
