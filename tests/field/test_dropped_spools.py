"""Spools that nobody can reach any more, as a notebook leaves them: they end as interrupted, and keep nothing."""

import gc
import signal

import numpy as np
import psutil
import pytest
from support.processes import ended
from support.waiting import wait_until

import mmspool
from mmspool import Spool
from mmspool.persistence.system.os_file import is_locked


def put(spool, count=50):
    """Put numbered frames; return the writer's process id."""
    for index in range(count):
        spool.put(np.full((24, 32), index, "u2"))
    return spool._client.writer.pid


def state(path):
    """Return a recording's state and how many frames it has."""
    with mmspool.open(path) as recording:
        return recording.state, len(recording)


def test_a_spool_is_dropped(tmp_path):
    """Its frames are in the file, which says what happened; its process ends."""
    spool = Spool(tmp_path / "run.h5", buffer_bytes=1 << 20)
    writer = put(spool)
    del spool
    wait_until(lambda: state(tmp_path / "run.h5") == ("interrupted", 50))
    wait_until(lambda: ended(writer))
    with mmspool.open(tmp_path / "run.h5") as recording:
        assert recording.end_reason == "the spool was dropped without being closed"
    wait_until(lambda: not is_locked(tmp_path / "run.h5"))


def test_a_name_is_bound_to_the_next_spool(tmp_path):
    """As when a cell is run again and again: each file is closed, and only the last process lives."""
    writers = []
    for turn in range(4):
        spool = Spool(tmp_path / f"cell{turn}.h5", buffer_bytes=1 << 20)
        writers.append(put(spool))
    for turn in range(3):
        wait_until(lambda turn=turn: state(tmp_path / f"cell{turn}.h5") == ("interrupted", 50))
        wait_until(lambda turn=turn: ended(writers[turn]))
    assert spool.close().state == "complete"


def test_in_a_cycle(tmp_path):
    """A spool that refers to itself is found by the garbage collector."""
    spool = Spool(tmp_path / "run.h5", buffer_bytes=1 << 20)
    spool.myself = spool
    writer = put(spool)
    del spool
    gc.collect()
    wait_until(lambda: state(tmp_path / "run.h5") == ("interrupted", 50))
    wait_until(lambda: ended(writer))


def test_without_a_frame(tmp_path):
    """Nothing is left of it."""
    spool = Spool(tmp_path / "run.h5", buffer_bytes=1 << 20)
    writer = spool._client.writer.pid
    del spool
    wait_until(lambda: ended(writer))
    wait_until(lambda: not list(tmp_path.iterdir()))


def test_whose_writer_dies_afterwards(tmp_path):
    """Even then a new process takes over, and closes the file."""
    spool = Spool(tmp_path / "run.h5", buffer_bytes=1 << 20)
    spool.put(np.full((24, 32), 0, "u2"))
    writer = psutil.Process(spool._client.writer.pid)
    writer.suspend()
    for index in range(1, 50):
        spool.put(np.full((24, 32), index, "u2"))
    del spool
    writer.send_signal(signal.SIGKILL)
    wait_until(lambda: state(tmp_path / "run.h5") == ("interrupted", 50))


@pytest.mark.parametrize("kept", ["in a list", "in a thread"])
def test_a_spool_that_is_still_reached_goes_on(tmp_path, kept):
    """What another object or thread refers to is not dropped."""
    spool = Spool(tmp_path / "run.h5", buffer_bytes=1 << 20)
    keeping = [spool] if kept == "in a list" else [spool.put]
    del spool
    gc.collect()
    reached = keeping[0] if kept == "in a list" else keeping[0].__self__
    put(reached)
    assert reached.close().state == "complete"


def test_at_the_end_of_the_script(start, closed):
    """A script that drops a spool and ends at once leaves a closed file, and says nothing."""
    done = start("""
        spool = Spool("run.h5", buffer_bytes=1 << 20)
        for index in range(50):
            spool.put(frame(index))
        spool = None
    """).end()
    assert (done.code, done.err) == (0, "")
    assert closed() == ("interrupted", 50)
