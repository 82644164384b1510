"""The writer process fails, with an exception: the disk is full, or refuses."""

import errno
import re

import numpy as np
import pytest

import mmspool
from mmspool import Loss, StorageError, WriterError
from mmspool.persistence import verify

SHAPE = (420, 420)
FRAME_BYTES = 420 * 420 * 2


def put_until_it_fails(spool, frames, limit=1000):
    """Put frames until the spool raises; return how many it took, and what it raised."""
    for index in range(limit):
        try:
            spool.put(frames(index, SHAPE))
        except WriterError as error:
            return index, error
    pytest.fail(f"{limit} frames went onto a full disk")


def check_what_is_there(frames, path, reason):
    """Read the file: whole frames, counted exactly, and why it ended; return how many."""
    with mmspool.open(path) as recording:
        count = len(recording)
        assert recording.state == "interrupted"
        assert reason in recording.end_reason
        assert (recording.frame_table()["sequence_number"] == np.arange(count)).all()
    frames.check(path, count)
    return count


@pytest.fixture
def failed(make_spool, frames, writer_of):
    """Return a spool whose disk became full after some increments, how many frames it took, and its error."""
    spool = make_spool(shape=SHAPE, dtype="<u2", buffer_bytes=8 << 20)
    writer_of(spool).limit_files(120 * FRAME_BYTES)
    taken, error = put_until_it_fails(spool, frames)
    return spool, taken, error


def test_a_full_disk(failed, frames):
    """The error says how many frames were written and what there was no room for; those frames are in the file."""
    spool, taken, error = failed
    assert isinstance(error.__cause__, StorageError)
    assert error.__cause__.errno == errno.EFBIG
    written = check_what_is_there(frames, spool.path, "the disk is full")
    assert 100 <= written < 120  # an increment, and what fitted of the next one
    assert re.search(rf"the disk is full: {written:,} frames were written", str(error))
    assert written <= taken <= written + spool.stats.ring_frames
    assert spool.path.stat().st_size <= 120 * FRAME_BYTES


def test_what_was_in_the_ring_is_in_the_ledger(make_spool, frames, writer_of):
    """Frames that were put and never reached the disk are counted as lost, after those that the camera lost."""
    spool = make_spool(shape=SHAPE, dtype="<u2", buffer_bytes=8 << 20)
    writer = writer_of(spool)
    with writer.stopped():
        for index in range(10):
            spool.put(frames(index, SHAPE))
        spool.record_loss(3, "camera")
        spool.put(frames(10, SHAPE))
        writer.limit_files(4 * FRAME_BYTES)
    with pytest.raises(WriterError):
        spool.close()
    with mmspool.open(spool.path) as recording:
        count = len(recording)
        assert recording.losses == (Loss(count, 3, "camera"), Loss(count, 11 - count, "ring"))
        assert recording.frames_lost == spool.stats.frames_lost == 14 - count
    frames.check(spool.path, count)
    assert verify(spool.path).intact


def test_an_idle_producer_hears_of_it(make_spool, frames, writer_of, wait_until):
    """The file is closed and exact although nothing is put or asked any more."""
    spool = make_spool(shape=SHAPE, dtype="<u2", buffer_bytes=8 << 20)
    writer = writer_of(spool)
    with writer.stopped():
        writer.limit_files(4 * FRAME_BYTES)
        for index in range(8):
            spool.put(frames(index, SHAPE))
    wait_until(writer.ended)
    written = check_what_is_there(frames, spool.path, "File too large")
    with pytest.raises(WriterError):
        spool.close()
    assert spool.stats.frames_lost == 8 - written


def test_later_calls_raise_the_same(failed, frames):
    """After a failure every call raises the error, and `stats` still reports how far the recording came."""
    spool, taken, error = failed
    for call in (lambda: spool.put(frames(0, SHAPE)), lambda: spool.record_loss(1, "core"), spool.close):
        with pytest.raises(WriterError) as caught:
            call()
        assert caught.value is error
    assert spool.stats.frames_put == taken
    assert spool.stats.frames_written == check_what_is_there(frames, spool.path, "the disk is full")


def test_a_disk_that_refuses_a_write(make_spool, frames, writer_of):
    """An error of the device ends the recording with that error as the cause; what was written before is exact."""
    spool = make_spool(shape=SHAPE, dtype="<u2", buffer_bytes=8 << 20)
    writer_of(spool).limit_files(10 * FRAME_BYTES)  # in the middle of what is set aside
    _, error = put_until_it_fails(spool, frames)
    assert isinstance(error.__cause__, OSError)
    assert error.__cause__.errno == errno.EFBIG
    assert 0 < check_what_is_there(frames, spool.path, "File too large") < 10


def test_the_producer_learns_of_it_within_a_second(make_spool, frames, writer_of, wait_until):
    """The first frame after the failure raises, however much room the ring still has."""
    spool = make_spool(shape=SHAPE, dtype="<u2", buffer_bytes=8 << 20)
    writer = writer_of(spool)
    with writer.stopped():
        writer.limit_files(5 * FRAME_BYTES)
        for index in range(10):
            spool.put(frames(index, SHAPE))
    wait_until(writer.ended)
    with pytest.raises(WriterError):
        spool.put(frames(10, SHAPE))


def test_at_the_end(make_spool, frames, writer_of):
    """A disk that refuses the last frames makes `close` raise, and the file keeps the ones before."""
    spool = make_spool(shape=SHAPE, dtype="<u2", buffer_bytes=8 << 20)
    writer = writer_of(spool)
    with writer.stopped():
        for index in range(15):
            spool.put(frames(index, SHAPE))
        writer.limit_files(10 * FRAME_BYTES)
    with pytest.raises(WriterError, match="File too large"):
        spool.close()
    assert 0 < check_what_is_there(frames, spool.path, "File too large") < 10


def test_the_with_block_tells_of_it_once(make_spool, frames, writer_of):
    """The error comes out of the block as it was raised, not buried under another from closing."""

    def record():
        with make_spool(shape=SHAPE, dtype="<u2", buffer_bytes=8 << 20) as spool:
            writer_of(spool).limit_files(10 * FRAME_BYTES)
            for index in range(1000):
                spool.put(frames(index, SHAPE))

    with pytest.raises(WriterError, match="File too large") as caught:
        record()
    assert caught.value.__context__ is caught.value.__cause__
    assert not getattr(caught.value, "__notes__", [])


def test_the_path_is_free_again(failed, frames, make_spool):
    """The file of a failed recording is not locked and may be replaced."""
    with make_spool(overwrite=True) as spool:
        spool.put(frames(0))
    frames.check(spool.path, 1)
