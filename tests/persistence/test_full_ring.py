"""What happens when the disk does not keep up: the writer is stopped, as by a disk that hangs."""

import threading
import time

import pytest

import mmspool
from mmspool import Loss, RingFullError, WriterError


def fill(spool, frames, start=0):
    """Put frames until the ring is full; return the number of the next one."""
    index = start
    while spool.stats.ring_used < spool.stats.ring_frames:
        assert spool.put(frames(index))
        index += 1
    return index


def check_gaps(path, put, losses):
    """Read the recording: the frames that were put, in order, and a jump of the sequence number at each loss."""
    with mmspool.open(path) as recording:
        assert recording[:, 0, 0].tolist() == put
        assert recording.losses == losses
        assert recording.frames_lost == sum(loss.count for loss in losses)
        assert recording.state == "incomplete"
        expected, number = [], 0
        for index in range(len(put)):
            number += sum(loss.count for loss in losses if loss.before_frame == index)
            expected.append(number + index)
        assert recording.frame_table()["sequence_number"].tolist() == expected


def test_wait(make_spool, frames, writer_of, wait_until):
    """By default, `put` waits while the ring is full, and no frame is lost."""
    with make_spool(shape=frames.shape, dtype="<u2") as spool:
        writer, done = writer_of(spool), []

        def produce():
            done.extend(spool.put(frames(index)) for index in range(2 * spool.stats.ring_frames))

        producer = threading.Thread(target=produce)
        with writer.stopped():
            producer.start()
            wait_until(lambda: spool.stats.ring_used == spool.stats.ring_frames)
            producer.join(0.1)
            assert producer.is_alive(), "it did not wait"
            assert spool.stats.frames_put == spool.stats.ring_frames
        producer.join(20)
        count = 2 * spool.stats.ring_frames
    result = spool.close()
    assert done == [True] * count
    assert (result.frames_written, result.frames_lost, result.losses, result.state) == (count, 0, (), "complete")
    assert result.stats.ring_peak == result.stats.ring_frames
    assert result.stats.frames_dropped == 0
    frames.check(spool.path, count)


def test_wait_with_a_limit(make_spool, frames, writer_of, wait_until):
    """After `timeout_s` `put` raises, with figures; the frame is counted, and the spool can be used on."""
    with make_spool(shape=frames.shape, dtype="<u2", timeout_s=2) as spool:
        with writer_of(spool).stopped():
            full = fill(spool, frames)
            before = spool.stats.frames_written
            started = time.monotonic()
            with pytest.raises(RingFullError, match=rf"full for 2 s: {full:,} frames wait .* {before:,} are written"):
                spool.put(frames(full))
            assert 2 <= time.monotonic() - started < 10
        wait_until(lambda: spool.stats.ring_used == 0)
        assert spool.put(frames(full + 1))
        assert spool.stats.frames_lost == spool.stats.frames_dropped == 1
    result = spool.close()
    losses = (Loss(full, 1, "ring"),)
    assert (result.frames_written, result.losses, result.state, result.complete) == (
        full + 1,
        losses,
        "incomplete",
        False,
    )
    check_gaps(spool.path, [*range(full), full + 1], losses)


def test_drop(make_spool, frames, writer_of, wait_until):
    """With ``drop``, `put` returns False at once; every dropped frame is counted and located."""
    with make_spool(shape=frames.shape, dtype="<u2", on_full="drop") as spool:
        writer, put, losses, index = writer_of(spool), [], [], 0
        for dropped in (3, 1, 5):
            with writer.stopped():
                full = fill(spool, frames, index)
                put += range(index, full)
                assert not any(spool.put(frames(full + number)) for number in range(dropped))
                losses.append(Loss(len(put), dropped, "ring"))
                index = full + dropped
            wait_until(lambda: spool.stats.ring_used == 0)
        assert spool.put(frames(index))
        put.append(index)
    result = spool.close()
    assert result.losses == tuple(losses)
    assert (result.frames_written, result.frames_lost, result.state) == (len(put), 9, "incomplete")
    assert (result.stats.frames_put, result.stats.frames_lost, result.stats.frames_dropped) == (len(put), 9, 9)
    check_gaps(spool.path, put, tuple(losses))


def test_dropped_at_the_end(make_spool, frames, writer_of):
    """Frames that are lost after the last one are located behind it."""
    spool = make_spool(shape=frames.shape, dtype="<u2", on_full="drop")
    with writer_of(spool).stopped():
        full = fill(spool, frames)
        assert not spool.put(frames(full))
    assert spool.close().losses == (Loss(full, 1, "ring"),)
    check_gaps(spool.path, list(range(full)), (Loss(full, 1, "ring"),))


def test_raise(make_spool, frames, writer_of, wait_until):
    """With ``raise``, `put` raises at once; the frame is counted, and the spool can be used on."""
    with make_spool(shape=frames.shape, dtype="<u2", on_full="raise") as spool:
        with writer_of(spool).stopped():
            full = fill(spool, frames)
            with pytest.raises(RingFullError, match=rf"the ring was full: {full:,} frames wait"):
                spool.put(frames(full))
            with pytest.raises(RingFullError, match="counted as lost"):
                spool.put(frames(full + 1))
        wait_until(lambda: spool.stats.ring_used == 0)
        assert spool.put(frames(full + 2))
    assert spool.close().losses == (Loss(full, 2, "ring"),)
    check_gaps(spool.path, [*range(full), full + 2], (Loss(full, 2, "ring"),))


def test_a_refused_frame_is_not_a_lost_one(make_spool, frames, writer_of):
    """While the ring is full a frame that does not fit is refused for that, and not counted."""
    with make_spool(shape=frames.shape, dtype="<u2", on_full="raise") as spool, writer_of(spool).stopped():
        fill(spool, frames)
        with pytest.raises(mmspool.FrameError):
            spool.put(frames(0, (3, 3)))
    assert spool.close().state == "complete"


def test_a_disk_that_hangs_at_the_end(make_spool, frames, writer_of, wait_until, state_of):
    """When the disk takes nothing for `timeout_s`, `close` says so and who still tries; that one saves the rest."""
    spool = make_spool(shape=frames.shape, dtype="<u2", timeout_s=0.5)
    writer = writer_of(spool)
    with writer.stopped():
        for index in range(20):
            spool.put(frames(index))
        message = rf"no data could be written for 0.5 s, and 20 frames wait.*pid {writer.process.pid}"
        with pytest.raises(WriterError, match=message):
            spool.close()
        with pytest.raises(WriterError, match="no data could be written"):
            spool.close()
    wait_until(lambda: state_of(spool.path) == "complete")
    wait_until(writer.ended)
    frames.check(spool.path, 20)
