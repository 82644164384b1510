"""Readers that live while the file grows: each sees the file as it is, whatever else has it open in this process."""

from pathlib import Path

import h5py
import numpy as np
import psutil
import pytest

import mmspool
from mmspool import Spool
from mmspool.persistence import verify

pytestmark = pytest.mark.usefixtures("processes")

SHAPE = (48, 64)


def frame(index):
    """Make frame ``index``, every pixel of which is its number."""
    return np.full(SHAPE, index, "u2")


@pytest.fixture(params=[None, "fast", "universal"], ids=str)
def spool(request, tmp_path):
    """Return a spool of small frames, stored in each way."""
    with Spool(
        tmp_path / "run.h5",
        shape=SHAPE,
        dtype="u2",
        buffer_bytes=8 << 20,
        compression=request.param,
        sync_interval_s=0.05,
    ) as made:
        yield made


@pytest.fixture
def put(spool, wait_until):
    """Return a function that puts frames until there are so many, and waits until the file has them."""

    def until(count):
        for index in range(spool.stats.frames_put, count):
            spool.put(frame(index))
        wait_until(lambda: spool.stats.frames_written == count)

    return until


def check(recording, count):
    """Look at a recording that must hold frames 0 to ``count``."""
    assert len(recording) == count
    np.testing.assert_array_equal(recording[:, 0, 0], np.arange(count))
    np.testing.assert_array_equal(recording[count - 1], frame(count - 1))
    assert recording.frame_table()["sequence_number"].tolist() == list(range(count))


def test_an_earlier_reader_in_the_same_process(spool, put):
    """A recording that was opened early hides nothing from one that is opened later, and keeps what it saw."""
    put(50)
    with mmspool.open(spool.path) as early:
        check(early, 50)
        put(450)
        with mmspool.open(spool.path) as late:
            check(late, 450)
        spool.close()
        with mmspool.open(spool.path) as ended:
            assert ended.state == "complete"
            check(ended, 450)
        check(early, 50)
        assert early.state == "recording"


def test_the_users_own_handle(spool, put):
    """The user's h5py handle of an earlier moment hides nothing from a recording that is opened later."""
    put(20)
    with h5py.File(spool.path, "r") as handle:
        assert handle["data"].shape[0] >= 20
        put(333)
        spool.close()
        with mmspool.open(spool.path) as recording:
            check(recording, 333)
        report = verify(spool.path)
    assert report.complete, report


def test_a_file_that_was_trimmed_below_an_earlier_length(spool, put):
    """A reader of the time when more room was allocated does not make the trimmed file look damaged."""
    put(230)
    with mmspool.open(spool.path) as early, h5py.File(spool.path, "r") as handle:
        assert handle["data"].shape[0] > 230
        spool.close()
        with mmspool.open(spool.path) as recording:
            check(recording, 230)
        check(early, 230)


def test_refresh(spool, put):
    """A reader that stays open sees new frames, and the end, when it is refreshed, and not before."""
    put(10)
    with mmspool.open(spool.path) as recording:
        for count in (11, 120, 500):
            put(count)
            assert len(recording) < count
            assert recording.refresh() is recording
            check(recording, count)
        spool.record_loss(2, "camera")
        spool.close()
        assert recording.state == "recording"
        recording.refresh()
        assert (recording.state, recording.frames_lost) == ("incomplete", 2)
        check(recording, 500)


def test_refresh_follows_a_file_that_was_moved(spool, put, tmp_path):
    """A reader goes on with its file wherever somebody has moved it."""
    put(10)
    with mmspool.open(spool.path) as recording:
        spool.path.rename(tmp_path / "elsewhere.h5")
        put(20)
        check(recording.refresh(), 20)


def test_readers_do_not_keep_a_writer_from_being_replaced(spool, put, wait_until):
    """Opening the file again and again, which looks at its locks, never refuses the lock to a new writer."""
    put(10)
    writer = next(
        child
        for child in psutil.Process().children()
        if any(Path(file.path) == spool.path for file in child.open_files())
    )
    writer.kill()

    def replaced():
        mmspool.open(spool.path).close()
        return spool.stats.writer_restarts == 1

    wait_until(replaced)
    put(20)
    assert spool.close().complete
    with mmspool.open(spool.path) as recording:
        check(recording, 20)
