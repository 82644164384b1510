"""The persistence process: takes blocks from the ring and writes them to the file, until it is told to close it."""

import contextlib
import queue as queues
import signal
import sys
import time
import traceback
from multiprocessing import parent_process
from multiprocessing.connection import Connection
from multiprocessing.queues import Queue
from typing import Any

from ...errors import WriterError
from ..hdf5_file.validate import DAMAGE
from ..shared_ring.ring import Ring, RingField
from .compressed_writer import CompressedWriter
from .messages import BlockReady, FileClosed, FileReady, Message, StartWriting, StopWriting
from .outcome import read_outcome
from .raw_writer import RawWriter

POLL_S = 0.2  # how long frames of a partly filled block wait for the file, and a dead producer goes unnoticed
_FAILED = "the writer failed: "
_COPY_S = 1.0  # for the producer to finish the frame that it is copying; one that was stopped never does


def run(ring_name: str, ring_lock: Connection | None, messages: "Queue[Message]", answers: Connection) -> None:
    """Be the persistence process. Its failure is sent to the producer, with its cause, and flagged in the ring."""
    # Both are the producer's to handle; should they end it, this process drains the ring and closes the file.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    if sys.platform == "win32":
        from .windows_start import shut_down_last

        shut_down_last()
    ring = Ring.attach(ring_name)
    if ring_lock is not None:
        ring_lock.close()  # now it has its own
    try:
        ended = _record(ring, messages, answers)
    except Exception as exc:  # noqa: BLE001 - whatever it was, the producer raises it
        exc.add_note(f"in the persistence process:\n{traceback.format_exc()}")
        ring.counters[RingField.FAILED] = 1
        _answer(answers, exc)
    else:
        if ended is not None:
            _answer(answers, ended)
    finally:
        answers.close()
        ring.close()


def _producer_died() -> bool:
    producer = parent_process()
    return producer is not None and not producer.is_alive()


def _answer(answers: Connection, answer: Any) -> None:
    """Tell the producer, unless it died: then the file has said it already."""
    with contextlib.suppress(BrokenPipeError):
        answers.send(answer)


def _record(ring: Ring, messages: "Queue[Message]", answers: Connection) -> FileClosed | None:
    """Write one recording; None when the producer went away before it said what to write."""
    begin = _first(messages)
    if begin is None:
        return None
    if begin.resume and (ended := read_outcome(begin.path, ring.counters)) is not None:
        if ring.counters[RingField.FAILED]:
            raise WriterError(ended.end_reason.removeprefix(_FAILED))
        return ended
    ring.touch()
    ring.lay_out(begin.layout)
    writer = (CompressedWriter if begin.options.compression else RawWriter)(ring, begin)
    try:
        ring.counters[RingField.STARTED], ring.counters[RingField.FAILED] = 1, 0
        _answer(answers, FileReady())
        if begin.resume:
            writer.write_to(ring.counters[RingField.PUT])
        end = _write_until_end(writer, ring, messages)
        frames, lost, state, size = writer.finish(interrupted=end.interrupted, reason=end.end_reason)
    except Exception as exc:
        _refuse_frames(ring)
        _save(writer, exc)
        raise
    return FileClosed(frames, lost, state, end.end_reason, size)


def _first(messages: "Queue[Message]") -> StartWriting | None:
    died = False
    while not died:
        died = _producer_died()  # before the look at what it has sent: it may leave a ring to be emptied
        with contextlib.suppress(queues.Empty):
            begin = messages.get(timeout=POLL_S)
            return begin if isinstance(begin, StartWriting) else None
    return None


def _write_until_end(writer: RawWriter, ring: Ring, messages: "Queue[Message]") -> StopWriting:
    """Write what descriptors announce, and what a quiet producer left in a partly filled block."""
    checked = time.monotonic()
    while True:
        try:
            message = messages.get(timeout=POLL_S)
        except queues.Empty:
            message = BlockReady(ring.counters[RingField.PUT])
        if isinstance(message, BlockReady):
            writer.write_to(message.stop)
        elif isinstance(message, StopWriting):
            writer.write_to(ring.counters[RingField.PUT])
            return message
        if time.monotonic() - checked >= POLL_S:
            checked = time.monotonic()
            if _producer_died():
                writer.write_to(ring.counters[RingField.PUT])
                return StopWriting(interrupted=True, end_reason="the recording process died")


def _refuse_frames(ring: Ring) -> None:
    """Have the producer put no more frames, and wait for the one it is copying: what is in the ring is counted next."""
    ring.counters[RingField.FAILED] = 1
    limit = time.monotonic() + _COPY_S
    while ring.counters[RingField.PUT] < ring.counters[RingField.CLAIMED] and time.monotonic() < limit:
        time.sleep(_COPY_S / 1000)


def _save(writer: RawWriter, cause: Exception) -> None:
    """Make the file exact after a failure; if that fails too, the cause says so and the file is left as it is."""
    try:
        writer.finish(interrupted=True, reason=f"{_FAILED}{cause}")
    except DAMAGE as exc:
        cause.add_note(f"the file could not be trimmed and closed either ({exc}): use mmspool repair")
    finally:
        writer.close()
