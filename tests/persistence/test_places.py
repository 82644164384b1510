"""Places of frames among all that should have come."""

import numpy as np

import mmspool
from mmspool import expected_places, frames_by_place


def recorded(make_spool, tmp_path, lost_before):
    """Return a recording of 10 frames, before some of which frames were lost."""
    with make_spool() as spool:
        for frame in range(10):
            if frame in lost_before:
                spool.record_loss(lost_before[frame], "camera")
            spool.put(np.full((4, 6), frame, np.uint16))
        if 10 in lost_before:
            spool.record_loss(lost_before[10], "core")
    return mmspool.open(spool.path)


def test_lost_frames_leave_their_places(make_spool, tmp_path):
    """Frames after a loss are further back by what was lost, and its places have no frame."""
    with recorded(make_spool, tmp_path, {0: 1, 4: 2, 10: 3}) as run:
        assert list(expected_places(run)) == [1, 2, 3, 4, 7, 8, 9, 10, 11, 12]
        frames = frames_by_place(run)
        assert list(frames) == [-1, 0, 1, 2, 3, -1, -1, 4, 5, 6, 7, 8, 9, -1, -1, -1]
        assert np.array_equal(run[frames[frames >= 0]], run[:])


def test_cycles(make_spool, tmp_path):
    """With a plan of several frames a cycle each frame stays in its column, whatever was lost."""
    with recorded(make_spool, tmp_path, {5: 2}) as run:
        cycles = frames_by_place(run).reshape(4, 3)
        assert cycles.tolist() == [[0, 1, 2], [3, 4, -1], [-1, 5, 6], [7, 8, 9]]


def test_nothing_lost(make_spool, tmp_path):
    """Without a loss a frame's place is its index."""
    with recorded(make_spool, tmp_path, {}) as run:
        assert np.array_equal(expected_places(run), np.arange(10))
        assert np.array_equal(frames_by_place(run), np.arange(10))
