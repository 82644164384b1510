"""Several cameras at the same time: a file each, and a master file that shows them all."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import h5py
import numpy as np
import pytest

import mmspool
from mmspool import CameraSet, EndReason, Faults, RecordingError, SettingError, StorageError, frame_index
from mmspool.adapters import demo

HOME = Path(mmspool.__file__).parents[1]
RING_BYTES = 16 * 10**6

pytestmark = pytest.mark.usefixtures("processes")


@pytest.fixture
def record(tmp_path):
    """Return a function that records cameras to ``run.h5`` through small rings."""

    def run(cameras, **options):
        return mmspool.record_cameras(tmp_path / "run.h5", cameras, **({"buffer_bytes": RING_BYTES} | options))

    return run


def indices(recording):
    """Return the indices of a recording's frames."""
    return [frame_index(frame) for frame in recording]


class TestRecord:
    """`record_cameras`."""

    def test_each_camera_has_its_own_frames(self, mock, record, backend):
        """Cameras of different sizes are recorded side by side, each to its own file, none of their frames mixed."""
        cameras = {"left": mock(backend=backend), "right": mock(width=64, height=48)}
        result = record(cameras, frames=100)
        assert result.complete
        with mmspool.open(result.path) as run:
            assert list(run) == ["left", "right"]
            assert [each.shape for each in run.values()] == [(100, 64, 96), (100, 48, 64)]
            assert all(indices(each) == list(range(100)) for each in run.values())
            assert np.array_equal(run.pairs(), np.column_stack([np.arange(100)] * 2))

    def test_leader_starts_last(self, mock, record, raw):
        """The cameras that follow are armed before the leader starts; by default that is the first one."""
        started = []
        cameras = {name: mock() for name in ("a", "b", "c")}
        for name, camera in cameras.items():
            start = raw(camera).start_sequence_acquisition
            raw(camera).start_sequence_acquisition = lambda *args, name=name, start=start: (
                started.append(name),
                start(*args),
            )
        with mmspool.open(record(cameras, frames=5).path) as run:
            assert (started, run.leader) == (["b", "c", "a"], "a")
        started.clear()
        with mmspool.open(record(cameras, frames=5, leader="b", overwrite=True).path) as run:
            assert (started, run.leader) == (["a", "c", "b"], "b")

    def test_losses_leave_a_place(self, mock, record):
        """By trigger, a frame that one camera lost has no partner, and all others keep theirs."""
        faults = Faults(dropped_in_camera=frozenset({10, 11, 30}))
        cameras = {"left": mock(), "right": mock(camera_counter=True, faults=faults)}
        result = record(cameras, frames=50)
        assert not result.complete
        with mmspool.open(result.path) as run:
            pairs = run.pairs()
            for left, right in pairs:
                if right >= 0 and left >= 0:
                    assert frame_index(run["left"][left]) == frame_index(run["right"][right])
            assert list(np.flatnonzero(pairs[:47, 1] < 0)) == [10, 11, 30]

    def test_one_ends_early(self, mock, record):
        """When a camera stops by itself the others are stopped too, and each file says why it ended."""
        cameras = {"left": mock(faults=Faults(end_after=20)), "right": mock(tick_s=0.0001)}
        result = record(cameras, frames=10**6)
        ends = {name: each.end_reason for name, each in result.results.items()}
        assert ends == {"left": EndReason.CAMERA_STOPPED, "right": EndReason.STOPPED}

    def test_one_does_not_start(self, mock, record, tmp_path):
        """The others are stopped, and the error is raised."""
        cameras = {"left": mock(faults=Faults(errors={"start_sequence_acquisition": {1: "no light"}})), "right": mock()}
        with pytest.raises(mmspool.CoreError, match="no light"):
            record(cameras, frames=10**6)
        assert not cameras["right"].core.is_sequence_running()
        with mmspool.open(tmp_path / "run_right.h5") as right:
            assert right.end_reason == "stopped by the user"

    @pytest.mark.parametrize(
        ("names", "options", "error", "message"),
        [
            ([], {}, SettingError, "was given no camera"),
            (["a", "b"], {"leader": "c"}, SettingError, "expected one of the cameras, a, b"),
            (["a/b"], {}, StorageError, "no name for a camera"),
        ],
    )
    def test_refused(self, mock, record, tmp_path, names, options, error, message):
        """What makes no sense is refused before anything is made or started."""
        with pytest.raises(error, match=message):
            record({name: mock() for name in names}, frames=3, **options)
        assert list(tmp_path.iterdir()) == []

    def test_same_core_twice(self, mock, record):
        """One core runs one sequence: it cannot stand for two cameras."""
        camera = mock()
        with pytest.raises(SettingError, match="share a core"):
            record({"a": camera, "b": mmspool.Camera(camera.core)}, frames=3)

    @pytest.mark.parametrize("name", ["run.h5", "run_right.h5"])
    def test_file_that_exists(self, mock, record, tmp_path, name):
        """An existing file of any of them is left alone, and no camera is started."""
        (tmp_path / name).write_text("precious")
        cameras = {"left": mock(), "right": mock()}
        with pytest.raises(StorageError, match="the file exists"):
            record(cameras, frames=3)
        assert [path.name for path in tmp_path.iterdir()] == [name]

    def test_real_cores(self, record):
        """Two of Micro-Manager's own cores in one process are recorded at the same time, each complete."""
        with (
            mmspool.Camera(demo(width=256, height=256, buffer_mb=64)) as left,
            mmspool.Camera(demo(width=128, height=512, buffer_mb=64)) as right,
        ):
            left.exposure_ms = right.exposure_ms = 5
            result = record({"left": left, "right": right}, frames=50)
        assert result.complete
        with mmspool.open(result.path) as run:
            assert [each.shape for each in run.values()] == [(50, 256, 256), (50, 512, 128)]
            pairs = run.pairs("time", tolerance_s=10)
            assert pairs.shape == (50, 2)
            assert np.all(pairs[:, 0] == np.arange(50))

    def test_real_cores_at_full_size(self, record):
        """Of two cameras of 2048x2048 at 100 frames/s, each with a core of its own, all frames are in the files."""
        with mmspool.Camera(demo(buffer_mb=200)) as left, mmspool.Camera(demo(buffer_mb=200)) as right:  # holds 20
            for camera in (left, right):
                camera.properties["FastImage"] = "1"
                camera.exposure_ms = 10
            result = record({"left": left, "right": right}, frames=20, buffer_bytes=48 * 10**6)
        assert result.complete
        with mmspool.open(result.path) as run:
            for each in run.values():
                assert (each.shape, each.frames_lost) == ((20, 2048, 2048), 0)
                assert np.array_equal(each.frame_table()["image_number"], np.arange(20))


class TestMaster:
    """The master file."""

    def test_any_reader_sees_all_cameras(self, mock, record):
        """It is NeXus with a link to each camera's entry, and says which one to show first."""
        result = record({"left": mock(), "right": mock()}, frames=5)
        with h5py.File(result.path) as file:
            assert (file.attrs["NX_class"], file.attrs["default"]) == ("NXroot", "left")
            for name in ("left", "right"):
                assert file[name].attrs["NX_class"] == "NXentry"
                assert file[name]["data"][file[name]["data"].attrs["signal"]].shape == (5, 64, 96)

    def test_can_be_moved(self, mock, record, tmp_path):
        """The links are relative: moved together, the files still belong together; without one, the error names it."""
        record({"left": mock(), "right": mock()}, frames=5)
        moved = tmp_path / "elsewhere"
        moved.mkdir()
        for file in tmp_path.glob("*.h5"):
            shutil.move(file, moved)
        with mmspool.open(moved / "run.h5") as run:
            assert len(run["right"]) == 5
        (moved / "run_right.h5").unlink()
        with pytest.raises(RecordingError, match=r"run_right\.h5"):
            mmspool.open(moved / "run.h5")

    def test_other_files_are_refused(self, mock, record, tmp_path):
        """A camera's own file and a text are no master files."""
        result = record({"left": mock()}, frames=5)
        (tmp_path / "text.h5").write_text("no")
        with pytest.raises(RecordingError, match=r"open it with mmspool\.open"):
            CameraSet(result.results["left"].path)
        with pytest.raises(RecordingError, match="cannot be opened"):
            CameraSet(tmp_path / "text.h5")

    def test_killed(self, tmp_path):
        """After a kill in the middle the master opens, and each camera's frames are there, in order."""
        script = """
import sys
import mmspool
from mmspool import Camera, MockCore

class Core(MockCore):
    def pop_next_tagged_image(self):
        image = super().pop_next_tagged_image()
        if self.calls["pop_next_tagged_image"] == 200:
            print("under way", flush=True)
        return image

left, right = Camera(Core(width=64, height=64)), Camera(Core(width=96, height=32))
left.exposure_ms = right.exposure_ms = 1
mmspool.record_cameras(sys.argv[1], {"left": left, "right": right}, buffer_bytes=16 * 10**6)
"""
        checkout = {"PYTHONPATH": str(HOME)} if (HOME / "pyproject.toml").exists() else {}
        process = subprocess.Popen(
            [sys.executable, "-c", script, str(tmp_path / "run.h5")],
            stdout=subprocess.PIPE,
            text=True,
            env=os.environ | checkout,
        )
        with process:
            assert [process.stdout.readline() for _camera in range(2)] == ["under way\n"] * 2
            process.kill()
        deadline_states = {"interrupted", "recording"}
        with mmspool.open(tmp_path / "run.h5") as run:
            assert {each.state for each in run.values()} <= deadline_states
            assert all(indices(each) == list(range(len(each))) for each in run.values())
            assert len(run.pairs()) > 0
