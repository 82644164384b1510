"""Recordings with a plan: each frame has its place, and what is missing stays empty."""

import h5py
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import mmspool
from mmspool import FrameError, Loss, Spool
from mmspool.persistence import compress, repair, verify
from mmspool.persistence.plan import Plan

EVENTS = [
    {"z_um": 0, "channel": "DAPI", "on": True},
    {"z_um": 0.5, "channel": "µ-DIC"},
    {"channel": "DAPI", "n": 3},
]


class TestPlanOf:
    """`Plan.of` by itself."""

    def test_number(self):
        """A number of frames is one axis."""
        plan = Plan.of(3)
        assert (plan.axes, plan.shape, plan.repeats) == (("frame",), (3,), False)
        assert plan.rows_for(0).tolist() == [(0,), (1,), (2,)]

    def test_axes(self):
        """Axes make a row for each place, the last axis the fastest; labels are kept."""
        plan = Plan.of({"channel": ["DAPI", "FITC"], "z_um": [0.0, 0.5, 1.0]})
        assert plan.shape == (2, 3)
        assert plan.rows_for(0)[["channel", "z_um"]].tolist()[2:4] == [("DAPI", 1.0), ("FITC", 0.0)]

    def test_endless(self):
        """An axis without a length counts the rounds that there were."""
        plan = Plan.of({"trigger": None, "frame": 4})
        assert plan.repeats
        assert plan.shape_for(9) == (3, 4)
        assert plan.rows_for(5)["trigger"].tolist() == [0] * 4 + [1] * 4
        assert plan.shape_for(0) == (0, 4)

    def test_events(self):
        """A list of mappings has a field for each name; what an event leaves out is the fill."""
        rows = Plan.of(EVENTS).rows_for(0)
        assert rows["channel"].tolist() == ["DAPI", "µ-DIC", "DAPI"]
        assert rows["z_um"][:2].tolist() == [0.0, 0.5]
        assert np.isnan(rows["z_um"][2])
        assert (rows["on"].tolist(), rows["n"].tolist()) == ([True, False, False], [-1, -1, 3])
        assert Plan.of([{}, {}]).rows_for(0)["event"].tolist() == [0, 1]

    @pytest.mark.parametrize(
        ("bad", "message"),
        [
            (0, "length of 1 or more"),
            (2.5, "expected a number of frames"),
            (True, "expected a number of frames"),
            ("abc", "a mapping for each frame"),
            ([], "a mapping for each frame"),
            ([1, 2], "a mapping for each frame"),
            ({}, "1 to 16 axes"),
            ({"z": []}, "'z' of the plan"),
            ({"z": "abc"}, "'z' of the plan"),
            ({"z": 3, "t": None}, "only the first one"),
            ({"z y": 3}, "no name"),
            ([{"a": 1}, {"a": "x"}], "'a' of the plan has values of several types"),
            ([{"a": [1]}], "no value of a column"),
        ],
    )
    def test_bad_plans_are_refused(self, bad, message, tmp_path):
        """What is no plan is refused before there is a file; the message says what one is."""
        with pytest.raises((TypeError, ValueError), match=message):
            Spool(tmp_path / "run.h5", plan=bad)
        assert not list(tmp_path.iterdir())


@given(
    losses=st.lists(st.integers(0, 9), max_size=5),
    places=st.integers(1, 9),
    count=st.integers(0, 12),
)
def test_choose(losses, places, count):
    """Frames without a place of their own take the next one; beyond the plan they have none."""
    from mmspool.persistence.plan import Places

    chosen = Places(Plan.of(places))
    numbers = [number for number in range(count) if number not in losses]
    given_places = [chosen.choose(None, number) for number in numbers]
    for place in given_places:
        chosen.fill(place, came=True)
    assert given_places == [number if number < places else -1 for number in numbers]
    lost = sum(number < count for number in set(losses))
    assert chosen.empty(0) == places - sum(number < places for number in numbers)
    assert chosen.empty(lost) >= 0


def test_lost_frames_leave_their_places_empty(make_spool, frames):
    """Each frame is in its planned place, whatever was lost before it; missing ones are masked, none is shifted."""
    with make_spool(plan={"channel": ["a", "b"], "z": 3}, columns={"n": int}) as spool:
        spool.put(frames(0), {"n": 0})
        spool.record_loss(2, "camera")
        spool.put(frames(3), {"n": 3})
        spool.record_loss(1, "core")
        spool.put(frames(5))
    assert spool.close().losses == (Loss(1, 2, "camera"), Loss(2, 1, "core"))
    with mmspool.open(spool.path) as run:
        assert run.frame_table()["expected"].tolist() == [0, 3, 5]
        assert list(run.columns) == ["n"]
        aligned = run.aligned()
        assert aligned.axes == ("channel", "z")
        assert aligned.frames.tolist() == [[0, -1, -1], [1, -1, 2]]
        assert aligned.missing.tolist() == [[False, True, True], [False, True, False]]
        assert not len(aligned.unplanned)
        assert run.plan["channel"].tolist() == ["a"] * 3 + ["b"] * 3
        for place in range(6):
            image = aligned[divmod(place, 3)]
            assert image.mask.all() == (place in (1, 2, 4))
            assert image.mask.any() or (image == frames(place)).all()
    report = verify(spool.path)
    assert report.missing == ("frames lost: 3", "3 of 6 planned places have no frame")
    assert report.intact


def test_indexing_an_aligned_recording(make_spool, frames):
    """Any index of NumPy along the plan, slices and numbers along a frame, as in a masked array of all of it."""
    with make_spool(plan={"t": 2, "z": 3}) as spool:
        for place in (0, 1, 3, 5):
            spool.put(frames(place), {"expected": place})
    whole = np.ma.masked_all((2, 3, *frames.shape), "<u2")
    for place in (0, 1, 3, 5):
        whole[divmod(place, 3)] = frames(place)
    keys = [0, (0, 1), slice(None), (slice(None), 1), ([1, 0], [2, 1]), (Ellipsis, 3, 4), (1, 2, slice(2, 9, 2), -1)]
    keys += [(0, Ellipsis, 5), (slice(0, 0),), (-1, -1), np.array([[True, False, False], [False, True, True]])]
    with mmspool.open(spool.path) as run:
        aligned = run.aligned()
        assert (aligned.shape, aligned.ndim, aligned.dtype, len(aligned)) == (whole.shape, 4, whole.dtype, 2)
        for key in keys:
            got, expected = aligned[key], whole[key]
            assert got.shape == expected.shape, key
            assert (np.ma.getmaskarray(got) == np.ma.getmaskarray(expected)).all(), key
            assert (got.filled(7) == expected.filled(7)).all(), key
        for bad in (2, (0, 3), (0, 0, 0, 0, 0), (None, 0), (Ellipsis, Ellipsis)):
            with pytest.raises(IndexError):
                aligned[bad]


def test_plan_that_is_longer_than_what_came(make_spool, frames):
    """Places whose frame never came are lost frames at the end, so that the recording is not complete."""
    with make_spool(plan=5) as spool:
        spool.put(frames(0))
        spool.record_loss(1, "core")
        spool.put(frames(2))
    result = spool.close()
    assert (result.state, result.losses) == ("incomplete", (Loss(1, 1, "core"), Loss(2, 2, "unknown")))
    with mmspool.open(spool.path) as run:
        assert run.aligned().frames.tolist() == [0, -1, 1, -1, -1]


def test_plan_that_is_interrupted(make_spool, frames):
    """Of a recording that was interrupted, the rest of the plan is no loss, and its places are empty."""
    spool = make_spool(plan=5)
    spool.put(frames(0))
    result = spool.close(interrupted=True, end_reason="stopped")
    assert (result.state, result.frames_lost) == ("interrupted", 0)
    with mmspool.open(spool.path) as run:
        assert run.aligned().missing.tolist() == [False, True, True, True, True]


def test_plan_that_is_shorter_than_what_came(make_spool, frames):
    """Frames beyond the plan are stored, and in no place."""
    with make_spool(plan=3) as spool:
        for index in range(150):
            spool.put(frames(index))
    assert spool.close().state == "complete"
    frames.check(spool.path, 150)
    with mmspool.open(spool.path) as run:
        assert run.frame_table()["expected"].tolist() == [0, 1, 2] + [-1] * 147
        assert run.aligned().frames.tolist() == [0, 1, 2]
        assert run.aligned().unplanned.tolist() == list(range(3, 150))
    assert verify(spool.path).notes[0] == "147 frames are in no planned place"


def test_given_places(make_spool, frames):
    """A frame's place can be given; a second frame for the same place is in none, and a wrong place is refused."""
    with make_spool(plan=EVENTS) as spool:
        for place in (2, 0, 2, -1):
            spool.put(frames(place), {"expected": place})
        for bad in (3, -2, 1.0, "1"):
            with pytest.raises(FrameError, match=r"'expected' of this frame is"):
                spool.put(frames(0), {"expected": bad})
    assert spool.close().losses == (Loss(4, 1, "unknown"),)
    with mmspool.open(spool.path) as run:
        assert run.frame_table()["expected"].tolist() == [2, 0, 2, -1]
        assert run.aligned().frames.tolist() == [1, -1, 0]
        assert run.aligned().unplanned.tolist() == [2, 3]
        assert run.plan["channel"].tolist() == ["DAPI", "µ-DIC", "DAPI"]


def test_place_without_a_plan(make_spool, frames):
    """A place in a recording without a plan is refused."""
    with make_spool() as spool:
        spool.put(frames(0))
        with pytest.raises(FrameError, match=r"Spool\(plan=...\)"):
            spool.put(frames(1), {"expected": 1})


def test_endless_plan(make_spool, frames):
    """A plan of rounds without end has as many as there were, known losses included."""
    with make_spool(plan={"trigger": None, "frame": 3}) as spool:
        for index in range(4):
            spool.put(frames(index))
        spool.record_loss(3, "camera")
        spool.put(frames(7))
    with mmspool.open(spool.path) as run:
        assert run.aligned().frames.tolist() == [[0, 1, 2], [3, -1, -1], [-1, 4, -1]]
        assert run.plan["trigger"].tolist() == [0, 0, 0, 1, 1, 1, 2, 2, 2]


def test_without_a_plan(make_spool, frames):
    """A recording without a plan is aligned by what was lost."""
    with make_spool() as spool:
        spool.put(frames(0))
        spool.record_loss(2, "core")
        spool.put(frames(3))
        spool.record_loss(1, "camera")
    with mmspool.open(spool.path) as run:
        assert run.plan is None
        assert run.aligned().frames.tolist() == [0, -1, -1, 1, -1]


def test_full_ring_leaves_places_empty(make_spool, frames, writer_of):
    """Frames that are dropped because the ring is full leave their places empty."""
    spool = make_spool(plan=3000, on_full="drop", shape=(64, 64), dtype="<u2")
    with writer_of(spool).stopped():
        stored = [spool.put(frames(index, (64, 64))) for index in range(3000)]
    spool.close()
    assert not all(stored)
    with mmspool.open(spool.path) as run:
        assert (~run.aligned().missing).tolist() == stored
        frame = int(np.flatnonzero(stored)[-1])
        assert (run.aligned()[frame] == frames(frame, (64, 64))).all()


def test_writer_that_is_killed(make_spool, frames, writer_of, wait_until):
    """A new writer process goes on with the places; a compressed copy and a repair keep the plan."""
    with make_spool(plan={"t": 20, "z": 20}) as spool:
        for index in range(150):
            spool.put(frames(index))
        wait_until(lambda: spool.stats.frames_written > 0)
        writer_of(spool).kill()
        spool.record_loss(50, "core")
        for index in range(200, 400):
            spool.put(frames(index))
    assert not repair(spool.path).needed
    with mmspool.open(spool.path) as run:
        expected = [*range(150), *range(200, 400)]
        assert run.frame_table()["expected"].tolist() == expected
        assert np.flatnonzero(~run.aligned().missing.ravel()).tolist() == expected


def test_compressed_copy_has_the_plan(make_spool, frames, tmp_path):
    """`compress` keeps plan and places."""
    with make_spool(plan=EVENTS) as spool:
        spool.put(frames(0, (160, 160)))
    compress(spool.path, tmp_path / "small.h5", compression="universal")
    with mmspool.open(tmp_path / "small.h5") as run:
        assert run.aligned().frames.tolist() == [0, -1, -1]
        assert run.plan["z_um"][1] == 0.5


def test_file_is_nexus(make_spool, frames):
    """The plan is a collection with a dataset for each of its fields."""
    with make_spool(plan=EVENTS) as spool:
        spool.put(frames(0))
    with h5py.File(spool.path, "r") as file:
        assert file["entry/plan"].attrs["NX_class"] == "NXcollection"
        assert file["entry/plan/z_um"].shape == (3,)
        assert file["entry/instrument/detector/columns/expected"][:].tolist() == [0]
