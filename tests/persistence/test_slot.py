"""`Spool.slot`: a frame is filled in its place in the ring, with the guarantees of `put`."""

import os
import threading

import numpy as np
import pytest
from support.values import COLUMNS, check_values, values

import mmspool
from mmspool import FrameError, RingFullError, SpoolClosedError, SpoolError, WriterError
from mmspool.persistence import verify


@pytest.mark.parametrize("compression", [None, "universal"])
def test_filled_frames_are_recorded(make_spool, frames, compression):
    """Frames that are filled in place and frames that are put are in the file in their order, with their columns."""
    shape = (160, 160)
    with make_spool(shape=shape, dtype="<u2", columns=COLUMNS, compression=compression, buffer_bytes=4 << 20) as spool:
        for index in range(250):
            if index % 3:
                metadata = {}
                with spool.slot(metadata) as frame:
                    assert (frame.shape, frame.dtype) == (shape, np.dtype("<u2"))
                    frame[:] = frames(index, shape)
                    metadata |= values(index)
            else:
                spool.put(frames(index, shape), values(index))
    assert spool.close().complete
    frames.check(spool.path, 250)
    assert verify(spool.path).complete
    with mmspool.open(spool.path) as run:
        check_values(run)


def test_frame_is_not_copied(make_spool, frames):
    """The array is the ring's own memory, and the same place is given again once it is free."""
    with make_spool(shape=frames.shape, dtype="<u2") as spool:
        with spool.slot() as frame:
            assert np.shares_memory(frame, spool._client._ring.blocks)
            frame[:] = frames(0)
        with pytest.raises(ValueError, match="read-only"):
            frame[0, 0] = 1
    frames.check(spool.path, 1)


def test_exception_in_the_block_puts_nothing(make_spool, frames):
    """An exception passes through; nothing was put, nothing is lost, and the next frame has the same place."""
    with make_spool(shape=frames.shape, dtype="<u2", plan=2) as spool:
        for fault in (ZeroDivisionError, KeyboardInterrupt):
            with pytest.raises(fault), spool.slot() as frame:  # noqa: PT012 - what the block does is tested
                frame[:] = 7
                raise fault
            assert (spool.stats.frames_put, spool.stats.frames_lost) == (0, 0)
        with spool.slot() as again:
            assert np.shares_memory(again, frame)
            again[:] = frames(0)
        spool.put(frames(1))
    assert spool.close().complete
    frames.check(spool.path, 2)


def test_bad_metadata_puts_nothing(make_spool, frames):
    """Values that do not fit are refused at the end of the block; the place is given back."""
    with make_spool(shape=frames.shape, dtype="<u2", columns={"z_um": float}) as spool:
        with pytest.raises(FrameError, match="column 'z_um'"), spool.slot({"z_um": "x"}):
            pass
        with spool.slot({"z_um": 1.0}) as frame:
            frame[:] = frames(0)
    frames.check(spool.path, 1)


def test_shape_must_be_known(make_spool, frames):
    """Before the first frame there is no place, unless the shape was given."""
    with make_spool() as spool:
        with pytest.raises(FrameError, match="shape and dtype"), spool.slot():
            pass
        spool.put(frames(0))
        with spool.slot() as frame:
            frame[:] = frames(1)
    frames.check(spool.path, 2)


def test_nothing_else_is_put_meanwhile(make_spool, frames):
    """While a slot is filled, another slot or a frame is refused, in this thread and in others; losses are counted."""
    refused = []

    def put():
        try:
            spool.put(frames(5))
        except SpoolError as exc:
            refused.append(str(exc))

    with make_spool(shape=frames.shape, dtype="<u2") as spool:
        with spool.slot() as frame:
            frame[:] = frames(0)
            put()
            thread = threading.Thread(target=put)
            thread.start()
            thread.join()
            with pytest.raises(SpoolError, match="is being filled"), spool.slot():
                pass
            spool.record_loss(2, "camera")
        spool.put(frames(1))
    assert len(refused) == 2
    assert all("is being filled" in message for message in refused)
    frames.check(spool.path, 2)
    with mmspool.open(spool.path) as run:
        assert run.frame_table()["sequence_number"].tolist() == [2, 3]


def test_spool_that_is_closed_meanwhile(make_spool, frames):
    """Closing while a slot is filled ends the recording without that frame; the array stays valid, its end raises."""
    spool = make_spool(shape=frames.shape, dtype="<u2")
    spool.put(frames(0))
    with pytest.raises(SpoolClosedError), spool.slot() as frame:  # noqa: PT012 - its end is tested
        frame[:] = 1
        assert spool.close().frames_written == 1
        frame[:] = 2
    with pytest.raises(SpoolClosedError), spool.slot():
        pass
    frames.check(spool.path, 1)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on Windows")
@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")
def test_fork_in_the_block(make_spool, frames):
    """A child that was forked within the block cannot put the frame; the parent does."""
    with make_spool(shape=frames.shape, dtype="<u2") as spool:
        slot = spool.slot()
        frame = slot.__enter__()
        frame[:] = frames(0)
        child = os.fork()
        if not child:
            code = 1
            try:
                slot.__exit__(None, None, None)
            except SpoolClosedError:
                code = 0
            finally:
                os._exit(code)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
        slot.__exit__(None, None, None)
    frames.check(spool.path, 1)


@pytest.mark.parametrize("on_full", ["drop", "raise", "wait"])
def test_full_ring(make_spool, frames, writer_of, wait_until, on_full):
    """A full ring has no place to be filled: the frame is lost and counted, whatever `on_full` says."""
    spool = make_spool(shape=(64, 64), dtype="<u2", on_full=on_full, timeout_s=0.2)
    put = 0
    with writer_of(spool).stopped(), pytest.raises(RingFullError):  # noqa: PT012 - at which frame is not known
        while True:
            with spool.slot() as frame:
                frame[:] = frames(put, (64, 64))
            put += 1
    wait_until(lambda: spool.stats.frames_written == put)
    with spool.slot() as frame:
        frame[:] = frames(put, (64, 64))
    result = spool.close()
    assert (result.frames_written, result.frames_lost) == (put + 1, 1)
    frames.check(spool.path, put + 1)


def test_writer_that_is_killed_meanwhile(make_spool, frames, writer_of, wait_until):
    """A writer that is killed while a slot is filled is replaced; the frame is recorded as those before and after."""
    with make_spool(shape=frames.shape, dtype="<u2") as spool:
        for index in range(60):
            spool.put(frames(index))
        writer = writer_of(spool)
        with spool.slot() as frame:
            frame[:] = 0xDEAD  # half of it is another frame's until it is complete
            writer.kill()
            wait_until(lambda: spool.stats.writer_restarts == 1 and spool.stats.frames_written == 60)
            frame[:] = frames(60)
        for index in range(61, 150):
            spool.put(frames(index))
    assert spool.close().complete
    frames.check(spool.path, 150)


def test_writer_that_has_failed(make_spool, frames, writer_of, wait_until):
    """A writer that fails while a slot is filled is reported at the end of the block, as by `put`."""
    spool = make_spool(shape=(64, 64), dtype="<u2")
    writer_of(spool).limit_files(2 << 20)
    with pytest.raises(WriterError):  # noqa: PT012 - at which frame is not known
        for index in range(100_000):
            with spool.slot() as frame:
                frame[:] = frames(index, (64, 64))
    with mmspool.open(spool.path) as run:
        assert run.state == "interrupted"
        assert (run[:] == frames.stack(len(run), (64, 64))).all()


def test_script_that_is_killed_in_the_block(start_script, tmp_path, frames, wait_until, state_of):
    """A script that is killed while it fills a slot leaves all frames before, and nothing of that one."""
    script = start_script(
        """
with Spool("run.h5", shape=(24, 32), dtype="<u2", buffer_bytes=1 << 20) as spool:
    for index in range(33):
        with spool.slot() as place:
            place[:] = frame(index)
    with spool.slot() as place:
        place[:] = 0xDEAD
        print("filling", flush=True)
        input()
"""
    )
    assert script.line() == "filling\n"
    script.kill()
    wait_until(lambda: state_of(tmp_path / "run.h5") == "interrupted")
    frames.check(tmp_path / "run.h5", 33)
