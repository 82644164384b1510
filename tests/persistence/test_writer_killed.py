"""The writer process is killed: a new one takes over, and nothing is lost."""

import logging
import signal
import time

import h5py
import numpy as np
import pytest

import mmspool
from mmspool import WriterError
from mmspool.persistence.writer_process import supervisor

TIMEOUT_S = 60.0


def test_a_new_process_takes_over(make_spool, frames, writer_of, wait_until, caplog):
    """After SIGKILL, again and again, every frame is in the file once, and the file says how often it happened."""
    with make_spool(shape=frames.shape, dtype="<u2", buffer_bytes=1 << 18) as spool, caplog.at_level(logging.WARNING):
        for index in range(500):
            if index in (0, 100, 200):
                killed = writer_of(spool)
                killed.kill()
                wait_until(killed.ended)
            spool.put(frames(index))
        wait_until(lambda: spool.stats.frames_written == 500)
        assert spool.stats.writer_restarts == 3
    result = spool.close()
    assert (result.frames_written, result.frames_lost, result.state) == (500, 0, "complete")
    assert sum("a new one takes over" in record.message for record in caplog.records) == 3
    frames.check(spool.path, 500)
    with mmspool.open(spool.path) as recording:
        assert recording.frame_table()["sequence_number"].tolist() == list(range(500))
        assert recording.file["entry/instrument/detector/ledger/writer_restarts"][()] == 3


def test_what_it_wrote_stays_readable(make_spool, frames, writer_of, wait_until):
    """Right after the kill, before anybody repairs anything, plain h5py reads the frames that were counted."""
    with make_spool(shape=frames.shape, dtype="<u2") as spool:
        for index in range(100):
            spool.put(frames(index))
        wait_until(lambda: spool.stats.frames_written == 100)
        writer_of(spool).kill()
        with h5py.File(spool.path, "r", locking=False) as file:
            assert file["entry/instrument/detector/ledger/frames_written"][()] == 100
            np.testing.assert_array_equal(file["data"][:100], frames.stack(100))
    frames.check(spool.path, 100)


def test_killed_while_the_ring_is_full(make_spool, frames, writer_of, wait_until):
    """The frames that waited in the ring are written by the new process; those before them are not written twice."""
    with make_spool(shape=frames.shape, dtype="<u2", on_full="raise") as spool:
        count = spool.stats.ring_frames
        writer = writer_of(spool)
        with writer.stopped():
            for index in range(count):
                spool.put(frames(index))
            writer.kill()
            wait_until(lambda: spool.stats.frames_written == count)
    assert spool.close().frames_written == count
    frames.check(spool.path, count)


def test_killed_at_the_end(make_spool, frames, writer_of):
    """A writer that dies just before `close` costs nothing either."""
    spool = make_spool(shape=frames.shape, dtype="<u2")
    with writer_of(spool).stopped():
        for index in range(50):
            spool.put(frames(index))
        writer_of(spool).kill()
    result = spool.close()
    assert (result.frames_written, result.state) == (50, "complete")
    frames.check(spool.path, 50)


def test_asked_to_terminate(make_spool, frames, writer_of):
    """SIGTERM and SIGINT, which whole process groups get at shutdown and Ctrl-C, do not end it before the producer."""
    with make_spool(shape=frames.shape, dtype="<u2") as spool:
        writer = writer_of(spool)
        for index in range(20):
            spool.put(frames(index))
            writer.process.send_signal(signal.SIGTERM if index % 2 else signal.SIGINT)
        assert not writer.ended()
    assert spool.close().stats.writer_restarts == 0
    frames.check(spool.path, 20)


def test_no_end_of_deaths(make_spool, frames, wait_until, mocker):
    """When each replacement dies before it writes a frame, the producer gets an error, and the file can be repaired."""
    spool = make_spool(shape=frames.shape, dtype="<u2")
    spool.put(frames(0))
    wait_until(lambda: spool.stats.frames_written == 1)
    killer = mocker.patch(
        "mmspool.persistence.writer_process.supervisor.WriterProcess", wraps=spool._client.writer._process.__class__
    )
    killer.side_effect = lambda *arguments: born_dead(spool._client.writer._process.__class__(*arguments))
    spool._client.writer._process._process.kill()

    def failed():
        try:
            spool.put(frames(1))
        except WriterError:
            return True
        return False

    wait_until(failed)
    message = r"died with exit code -?\d+, 4 times without writing a frame.*mmspool repair"
    with pytest.raises(WriterError, match=message):
        spool.close()
    assert mmspool.open(spool.path).state == "recording"


def born_dead(process):
    """Kill a process that has just been started."""
    process._process.kill()
    return process


def test_the_time_to_start_again_is_not_the_disks(make_spool, frames, writer_of, mocker):
    """A process that takes over during `close` has all the time to start; only then ``timeout_s`` counts."""
    clock = mocker.patch.object(supervisor, "time", wraps=time)
    late = 0.0
    restart = supervisor.WriterSupervisor._restart

    def restart_slowly(self, death):
        nonlocal late
        restart(self, death)
        late += 2 * TIMEOUT_S

    clock.monotonic.side_effect = lambda: time.monotonic() + late
    mocker.patch.object(supervisor.WriterSupervisor, "_restart", restart_slowly)
    spool = make_spool(shape=frames.shape, dtype="<u2", timeout_s=TIMEOUT_S)
    with writer_of(spool).stopped():
        for index in range(20):
            spool.put(frames(index))
        writer_of(spool).kill()
        result = spool.close()
    assert (result.frames_written, result.state, result.stats.writer_restarts) == (20, "complete", 1)
    frames.check(spool.path, 20)
