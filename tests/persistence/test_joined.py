"""Several recordings read as one: opened together, or through a small file that other programs read too."""

import pickle
import time

import h5py
import numpy as np
import pytest

import mmspool
from mmspool import RecordingError, Spool, StorageError

pytestmark = pytest.mark.usefixtures("processes")

SHAPE = (24, 32)
COUNTS = (7, 5, 6)


def image(number):
    """Return a frame that carries its number."""
    return (number * 1000 + np.arange(SHAPE[0] * SHAPE[1]).reshape(SHAPE) % 997).astype("u2")


def record(path, numbers, *, lost_before=None, shape=SHAPE, **options):
    """Record numbered frames, each with its number as text; two are lost before one of them."""
    with Spool(path, buffer_bytes=8 << 20, overwrite=True, **options) as spool:
        for number in numbers:
            if number == lost_before:
                spool.record_loss(2, "camera")
            spool.put(image(number)[: shape[0]], {"label": f"frame {number}"})
    return path


@pytest.fixture(scope="module")
def stack():
    """Return the frames of all parts, one part after the other."""
    return np.stack([image(number) for number in range(sum(COUNTS))])


@pytest.fixture(scope="module", params=[None, "universal"], ids=["raw", "compressed"])
def in_a_row(request, tmp_path_factory, stack):
    """Return recordings that follow one another; two frames are missing in the second one."""
    folder = tmp_path_factory.mktemp("row")
    ends = np.cumsum([0, *COUNTS])
    return [
        record(folder / f"part{part}.h5", range(ends[part], ends[part + 1]), lost_before=9, compression=request.param)
        for part in range(len(COUNTS))
    ]


@pytest.fixture(scope="module")
def by_turns(tmp_path_factory, stack):
    """Return recordings on two "disks", between which a script alternated."""
    folder = tmp_path_factory.mktemp("turns")
    (folder / "disk1").mkdir()
    (folder / "disk2").mkdir()
    return [record(folder / f"disk{part + 1}" / "run.h5", range(part, 9, 2)) for part in range(2)]


KEYS = [
    0,
    -1,
    8,
    slice(None),
    slice(5, 14),
    slice(3, 17, 3),
    slice(None, None, -2),
    slice(6, 7),
    slice(4, 4),
    (slice(None), 3, 4),
    (slice(2, 16), slice(3, 9), slice(1, 20, 2)),
    ([0, 7, 11, 2],),
]


class TestInARow:
    """One recording after the other."""

    @pytest.mark.parametrize("key", KEYS, ids=str)
    def test_reads_like_one_array(self, in_a_row, stack, key):
        """Every index gives what it gives of the frames in one array."""
        with mmspool.open(in_a_row) as run:
            np.testing.assert_array_equal(run[key], stack[key])

    def test_iterating(self, in_a_row, stack):
        """Frames come in order, across the files."""
        with mmspool.open(in_a_row) as run:
            np.testing.assert_array_equal(np.stack(list(run)), stack)

    def test_facts(self, in_a_row):
        """Counts and losses are those of all; a loss has its place in the whole, and sequence numbers go on."""
        with mmspool.open(in_a_row) as run:
            assert (run.shape, run.frames_lost, run.state) == ((18, *SHAPE), 2, "incomplete")
            assert [(loss.before_frame, loss.count) for loss in run.losses] == [(9, 2)]
            table = run.frame_table()
            assert table["sequence_number"].tolist() == [*range(9), *range(11, 20)]
            assert table["index"].tolist() == list(range(18))
            assert table["label"].tolist() == [f"frame {number}" for number in range(18)]

    def test_one_time_axis(self, in_a_row):
        """Time goes on from file to file, by the time at which each recording was started."""
        with mmspool.open(in_a_row) as run:
            times, arrivals = run.frame_table()["time"], run.frame_table()["start_time"]
            assert times[0] == 0
            assert (np.diff(times) > 0).all()
            assert (np.diff(arrivals) > 0).all()
            with mmspool.open(in_a_row[2]) as last:
                np.testing.assert_allclose(np.diff(times[-len(last) :]), np.diff(last.frame_table()["time"]), atol=1e-6)

    def test_copies_read_the_same(self, in_a_row, stack):
        """It can be pickled, and refreshed."""
        with mmspool.open(in_a_row) as run, pickle.loads(pickle.dumps(run)) as copied:
            np.testing.assert_array_equal(copied[5:9], stack[5:9])
            np.testing.assert_array_equal(run.refresh()[5:9], stack[5:9])

    def test_dask(self, in_a_row, stack):
        """A dask array over all files computes what one array does."""
        pytest.importorskip("dask.array")
        with mmspool.open(in_a_row) as run:
            np.testing.assert_array_equal(run.to_dask().max(axis=0).compute(), stack.max(axis=0))


@pytest.fixture
def planned(tmp_path):
    """Return a function that records a plan of which the second place stays empty and the last one comes twice."""

    def make(name, plan, columns=None):
        with Spool(tmp_path / name, buffer_bytes=8 << 20, plan=plan, columns=columns) as spool:
            spool.put(image(0))
            spool.record_loss(1, "camera")
            spool.put(image(2))
            spool.put(image(3), {"expected": 3})
            spool.put(image(4), {"expected": 3})
        return tmp_path / name

    return make


class TestPlans:
    """Recordings that have a plan each."""

    def test_of_one_shape(self, planned, tmp_path):
        """Equal plans become one with an axis for the recordings, in which each frame keeps its place."""
        plan, columns = {"z": 2, "channel": ["DAPI", "µ"]}, {"dose": float}
        paths = [planned(name, plan, columns) for name in ("a.h5", "b.h5", "c.h5")]
        joined = mmspool.join(tmp_path / "whole.h5", paths)
        with mmspool.open(joined) as run, mmspool.open(paths) as opened:
            aligned = run.aligned()
            assert aligned.axes == ("recording", "z", "channel")
            assert aligned.frames.tolist() == [[[at, -1], [at + 1, at + 2]] for at in (0, 4, 8)]
            assert aligned.unplanned.tolist() == [3, 7, 11]
            assert run.plan[5].tolist() == (1, 0, "µ")
            assert run.plan.tolist() == opened.plan.tolist()
            assert (aligned[2, 1, 0] == image(2)).all()
            assert np.isnan(run.frame_table()["dose"]).all()
        assert mmspool.verify(joined).damage == ()

    def test_of_several_shapes(self, planned):
        """Plans that differ become a list of events with the fields of all; an endless one has the rounds it had."""
        paths = [planned("a.h5", [{"z_um": 0.5}] * 4), planned("b.h5", {"trigger": None, "frame": 2})]
        with mmspool.open(paths) as run:
            assert run.aligned().axes == ("event",)
            assert run.aligned().frames.tolist()[:8] == [0, -1, 1, 2, 4, -1, 5, 6]
            assert run.plan[1].tolist() == (0, 0.5, -1, -1)
            assert run.plan["trigger"][4:8].tolist() == [0, 0, 1, 1]

    def test_one_without(self, planned, tmp_path):
        """A recording with a plan and one without are refused, since frames of the second would have no place."""
        with Spool(tmp_path / "b.h5", buffer_bytes=8 << 20) as spool:
            spool.put(image(0))
        with pytest.raises(
            RecordingError, match=r"b\.h5 and .*a\.h5 one has a plan: only recordings that all have one"
        ):
            mmspool.join(tmp_path / "whole.h5", [planned("a.h5", 4), tmp_path / "b.h5"])

    def test_interleaved(self, tmp_path):
        """Frames that alternate have no plan together, and claim no places of one."""
        paths = [tmp_path / "a.h5", tmp_path / "b.h5"]
        for path in paths:
            with Spool(path, buffer_bytes=8 << 20, plan=2) as spool:
                spool.put(image(0))
                spool.put(image(1))
        with mmspool.open(paths, interleave=True) as run:
            assert run.plan is None
            assert run.frame_table()["expected"].tolist() == [-1] * 4
            assert run.aligned().frames.tolist() == [0, 1, 2, 3]


class TestByTurns:
    """A recording that was striped over several files."""

    @pytest.mark.parametrize("key", KEYS[:9] + KEYS[9:11], ids=str)
    def test_reads_like_one_array(self, by_turns, stack, key):
        """Every index gives what it gives of the frames in one array."""
        whole = stack[:9]
        if isinstance(key, tuple) or not isinstance(key, int) or key < 9:
            with mmspool.open(by_turns, interleave=True) as run:
                np.testing.assert_array_equal(run[key], whole[key])

    def test_iterating(self, by_turns, stack):
        """Frames come in the order in which they were put."""
        with mmspool.open(by_turns, interleave=True) as run:
            np.testing.assert_array_equal(np.stack(list(run)), stack[:9])
            assert run.frame_table()["sequence_number"].tolist() == list(range(9))

    def test_files_that_cannot_alternate(self, in_a_row):
        """Recordings with losses, or of lengths that turns cannot give, are refused."""
        with pytest.raises(RecordingError, match=r"part0\.h5 has 7 frames and 0 lost ones, where 6 and none"):
            mmspool.open(in_a_row, interleave=True)


class TestFile:
    """A file in which every HDF5 program sees several recordings as one."""

    @pytest.mark.parametrize("interleave", [False, True])
    def test_plain_h5py(self, in_a_row, by_turns, stack, interleave, monkeypatch, tmp_path):
        """h5py reads frames and times, from whatever folder."""
        files = by_turns if interleave else in_a_row
        path = mmspool.join(files[0].parent / "../whole.h5", files, interleave=interleave, overwrite=True)
        path = path.resolve()
        monkeypatch.chdir(tmp_path)
        with h5py.File(path) as file:
            np.testing.assert_array_equal(file["data"][:], stack[: 9 if interleave else None])
            assert file["entry/data/time"].shape == file["data"].shape[:1]
            assert path.stat().st_size < 1_500_000

    def test_is_a_recording(self, in_a_row, stack, tmp_path):
        """It opens and verifies as any recording does, by the checksums of every frame."""
        path = mmspool.join(tmp_path / "whole.h5", in_a_row)
        with mmspool.open(path) as run:
            np.testing.assert_array_equal(run[2:12], stack[2:12])
            assert (run.frames_lost, run.is_joined) == (2, True)
        report = mmspool.verify(path)
        assert (report.damage, report.frames_checked) == ((), 18)

    def test_moves_with_its_parts(self, by_turns, stack, tmp_path):
        """Files in its own folder are found wherever the folder goes."""
        old, new = tmp_path / "old", tmp_path / "new"
        old.mkdir()
        parts = [record(old / f"{part}.h5", range(4 * part, 4 * part + 4)) for part in range(2)]
        mmspool.join(old / "whole.h5", parts)
        old.rename(new)
        with mmspool.open(new / "whole.h5") as run:
            np.testing.assert_array_equal(run[:], stack[:8])

    def test_a_part_is_missing(self, tmp_path):
        """A file that is gone is an error, never frames of zeros."""
        parts = [record(tmp_path / f"{part}.h5", range(3)) for part in range(2)]
        path = mmspool.join(tmp_path / "whole.h5", parts)
        parts[1].unlink()
        with pytest.raises(RecordingError, match=r"1\.h5: no such file"):
            mmspool.open(path)

    def test_a_part_has_changed(self, tmp_path):
        """A file that has other frames now is an error."""
        parts = [record(tmp_path / f"{part}.h5", range(3)) for part in range(2)]
        path = mmspool.join(tmp_path / "whole.h5", parts)
        record(parts[1], range(5))
        with pytest.raises(RecordingError, match="joins 6 frames, but its files have 8"):
            mmspool.open(path)

    def test_is_not_overwritten(self, in_a_row):
        """A file that exists stays as it is."""
        with pytest.raises(StorageError, match="exists"):
            mmspool.join(in_a_row[0], in_a_row[1:])

    def test_is_not_compressed(self, in_a_row, tmp_path):
        """Its parts are what can be compressed."""
        path = mmspool.join(tmp_path / "whole.h5", in_a_row)
        with pytest.raises(RecordingError, match="shows other files' frames"):
            mmspool.persistence.compress(path)


def test_what_does_not_fit_together(in_a_row, tmp_path):
    """Other shapes, nothing at all, a file that is still recorded, and one without frames are refused by name."""
    small = record(tmp_path / "small.h5", [1], shape=(8, 32))
    with pytest.raises(RecordingError, match=r"small\.h5 has frames of \(8, 32\) uint16, .*part0\.h5 of \(24, 32\)"):
        mmspool.open([in_a_row[0], small])
    with Spool(tmp_path / "plain.h5", buffer_bytes=8 << 20) as spool:
        spool.put(image(0))
    with pytest.raises(RecordingError, match=r"plain\.h5 has the columns \[\] of its own, .*part0\.h5 \['label'\]"):
        mmspool.open([in_a_row[0], spool.path])
    with pytest.raises(RecordingError, match="no recording was named"):
        mmspool.open([])
    whole = mmspool.join(tmp_path / "whole.h5", in_a_row)
    with pytest.raises(RecordingError, match=r"whole\.h5 shows other files' frames"):
        mmspool.open([whole, in_a_row[0]])
    with Spool(tmp_path / "open.h5", buffer_bytes=8 << 20) as spool:
        spool.put(image(0), {"label": "frame 0"})
        limit = time.monotonic() + 60
        while spool.stats.frames_written < 1:
            assert time.monotonic() < limit
            time.sleep(0.01)
        with pytest.raises(RecordingError, match=r"open\.h5 was not closed"):
            mmspool.open([in_a_row[0], spool.path])
