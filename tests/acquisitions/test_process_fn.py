"""``Acquisition(image_process_fn=spool.process_fn)``: pycromanager's own engine, recorded with one line added."""

import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pycromanager import Acquisition, multi_d_acquisition_events
from support.waiting import wait_until

import mmspool
from mmspool import FrameError, Spool

RING = {"buffer_bytes": 16 * 10**6}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Return where the acquisition is recorded."""
    return tmp_path / "run.h5"


def test_a_timelapse_is_recorded_whole(core, path):
    """A hardware sequence of 200 images is in the file, in order, with the time at which the core received each."""
    with Spool(path, **RING) as spool, Acquisition(image_process_fn=spool.process_fn) as acq:
        acq.acquire(multi_d_acquisition_events(num_time_points=200))
    assert spool.close().complete
    with mmspool.open(path) as run:
        table = run.frame_table()
        assert np.array_equal(table["image_number"], np.arange(200))
        assert (np.diff(table["host_timestamp"]) > 0).all()
        assert abs(table["host_timestamp"][-1] - time.time_ns()) < 60 * 10**9
        assert (table["camera_timestamp"] == -1).all()


def test_positions_channels_and_z_are_recorded(core, path):
    """Snapped images, which have few tags, are stored as well, in the order in which they were acquired."""
    events = multi_d_acquisition_events(
        num_time_points=2,
        z_start=0,
        z_end=2,
        z_step=1,
        channel_group="Channel",
        channels=["DAPI", "FITC"],
        xy_positions=[(0, 0), (5, 5)],
    )
    with Spool(path, **RING) as spool, Acquisition(image_process_fn=spool.process_fn) as acq:
        acq.acquire(spool.process_fn.expect(events))
    result = spool.close()
    assert (result.frames_written, result.state) == (24, "complete")
    with mmspool.open(path) as run:
        table, plan = run.frame_table(), run.plan
        assert table["expected"].tolist() == list(range(24))
        for column, axis in {"time_index": "time", "position": "position", "channel": "channel", "z": "z"}.items():
            assert table[column].tolist() == plan[column].tolist() == [event["axes"][axis] for event in events]
        assert table["z_um"].tolist() == [event["z"] for event in events]
        assert table["x_um"].tolist() == plan["x_um"].tolist() == [event["x"] for event in events]
        assert table["preset"].tolist() == [event["config_group"][1] for event in events]
        assert not run.aligned().missing.any()


def test_axes_are_columns_without_a_plan(core, path):
    """What the images say of themselves is in columns, also where nobody was told of the events."""
    events = multi_d_acquisition_events(num_time_points=3, z_start=0, z_end=1, z_step=1)
    with Spool(path, **RING) as spool, Acquisition(image_process_fn=spool.process_fn) as acq:
        acq.acquire(events)
    with mmspool.open(path) as run:
        assert run.plan is None
        assert run.frame_table()["z"].tolist() == [event["axes"]["z"] for event in events]
        assert run.frame_table()["time_index"].tolist() == [event["axes"]["time"] for event in events]


def test_spool_with_a_shape_has_its_own_columns(core, path, caplog):
    """A spool whose file was made before the first image takes the values that it has columns for."""
    shape = {"shape": (128, 128), "dtype": "<u2", "columns": {"time_index": int, "channel": "U8"}}
    with Spool(path, **shape, **RING) as spool, Acquisition(image_process_fn=spool.process_fn) as acq:
        acq.acquire(multi_d_acquisition_events(num_time_points=3, z_start=0, z_end=1, z_step=1))
    with mmspool.open(path) as run:
        assert list(run.columns) == ["time_index", "channel"]
        assert run.frame_table()["time_index"].tolist() == [0, 0, 1, 1, 2, 2]
    assert "z=0 of an event is not stored" in caplog.text


def test_axes_that_change_their_kind_lose_no_image(core, path, caplog):
    """An axis that has numbers and then names, and one that comes later, cost those values, never an image."""
    axes = [{"time": 0, "place": 1}, {"time": 1, "place": "left"}, {"time": 2, "place": 2, "more": 3}]
    with Spool(path, **RING) as spool, Acquisition(image_process_fn=spool.process_fn) as acq:
        for each in axes:
            acq.acquire({"axes": each})
            wait_until(lambda: spool.stats.frames_put > each["time"])  # noqa: B023 - called in this round
    assert spool.close().frames_written == 3
    with mmspool.open(path) as run:
        assert run.frame_table()["place"].tolist() == [1, -1, 2]


@pytest.mark.filterwarnings("ignore:Exception ignored in. <_io.FileIO:pytest.PytestUnraisableExceptionWarning")
def test_pycromanager_may_save_the_images_too(core, path, tmp_path):
    """`pass_on` stores the image and gives it back: NDTiff, image_saved_fn and the dataset work as without it."""
    saved: list[Any] = []

    def image_saved(axes, dataset):
        saved.append(axes)

    with (
        Spool(path, **RING) as spool,
        Acquisition(
            directory=str(tmp_path), name="tiff", image_process_fn=spool.process_fn.pass_on, image_saved_fn=image_saved
        ) as acq,
    ):
        acq.acquire(multi_d_acquisition_events(num_time_points=5))
    dataset = acq.get_dataset()
    with mmspool.open(path) as run:
        assert np.array_equal(run[:], [dataset.read_image(time=at) for at in range(5)])
    assert saved == [{"time": at} for at in range(5)]
    dataset.close()


def test_events_from_a_generator_are_expected_too(core, path):
    """Events that are made while the acquisition runs are taken down as they come."""

    def events():
        for at in range(4):
            yield {"axes": {"time": at}}

    with Spool(path, **RING) as spool, Acquisition(image_process_fn=spool.process_fn) as acq:
        acq.acquire(spool.process_fn.expect(events()))
    assert (spool.close().frames_written, spool.close().state) == (4, "complete")


class TestMissing:
    """Images that were asked for and never came."""

    def test_a_hook_that_fails_is_not_silent(self, core, path, capsys):
        """Pycromanager prints the hook's error and ends as if all were well: the ledger has what never came."""

        def hook(event):
            if event["axes"]["time"] == 3:
                raise ValueError("no light")
            return event

        events = [{"axes": {"time": at}, "min_start_time": 0.0} for at in range(6)]
        with (
            Spool(path, **RING) as spool,
            Acquisition(image_process_fn=spool.process_fn, pre_hardware_hook_fn=hook) as acq,
        ):
            for event in events:
                acq.acquire(spool.process_fn.expect(event))
        result = spool.close()
        assert "no light" in capsys.readouterr().err
        assert result.state == "incomplete"
        assert result.frames_written + result.frames_lost == 6

    def test_an_event_that_a_hook_cancels_is_located(self, core, path):
        """The image that was left out is missing before the frame of the next event."""

        def hook(event):
            return None if event["axes"]["time"] == 1 else event

        with (
            Spool(path, **RING) as spool,
            Acquisition(image_process_fn=spool.process_fn, pre_hardware_hook_fn=hook) as acq,
        ):
            for at in range(3):
                acq.acquire(spool.process_fn.expect({"axes": {"time": at}}))
        losses = [(loss.before_frame, loss.count, loss.stage) for loss in spool.close().losses]
        assert losses == [(1, 1, "unknown")]
        with mmspool.open(path) as run:
            assert run.frame_table()["expected"].tolist() == run.frame_table()["time_index"].tolist() == [0, 2]
            assert run.aligned().frames.tolist() == [0, -1, 1]

    def test_an_aborted_acquisition_is_incomplete(self, core, path):
        """What was planned after the abort never came, and the file says how much that is."""
        with Spool(path, **RING) as spool, Acquisition(image_process_fn=spool.process_fn) as acq:
            acq.acquire(spool.process_fn.expect(multi_d_acquisition_events(num_time_points=50, time_interval_s=0.1)))
            wait_until(lambda: spool.stats.frames_put >= 3)
            acq.abort()
        result = spool.close()
        assert result.state == "incomplete"
        assert result.frames_written >= 3
        assert result.frames_written + result.frames_lost == 50
        with mmspool.open(path) as run:
            came = run.frame_table()["time_index"].tolist()
            assert np.flatnonzero(~run.aligned().missing).tolist() == came
            assert len(run.plan) == 50

    def test_an_overflow_raises_and_is_counted(self, core, path):
        """The core's buffer is too small: pycromanager raises, and the rest of the sequence is in the ledger."""
        core.set_property("Camera", "OnCameraCCDXSize", "2048")
        core.set_property("Camera", "OnCameraCCDYSize", "2048")
        core.set_circular_buffer_memory_footprint(17)

        def stall(event):
            wait_until(core.is_buffer_overflowed)
            return event

        spool = Spool(path, buffer_bytes=64 * 10**6)
        with (
            pytest.raises(Exception, match="overflow"),
            spool,
            Acquisition(image_process_fn=spool.process_fn, post_camera_hook_fn=stall) as acq,
        ):
            acq.acquire(spool.process_fn.expect(multi_d_acquisition_events(num_time_points=100)))
        result = spool.close()
        assert result.state == "interrupted"
        assert result.frames_written + result.frames_lost == 100


class TestErrors:
    """What goes wrong in the spool ends the acquisition."""

    def test_an_image_that_does_not_fit_ends_the_acquisition(self, core, path):
        """Pycromanager aborts and raises at its end; the frames before are in the file."""

        def hook(event):
            if event["axes"]["time"] == 2:
                core.set_roi(0, 0, 64, 64)
            return event

        spool = Spool(path, **RING)

        def script():
            with spool, Acquisition(image_process_fn=spool.process_fn, pre_hardware_hook_fn=hook) as acq:
                for at in range(4):
                    acq.acquire(spool.process_fn.expect({"axes": {"time": at}}))

        with pytest.raises(Exception, match="64x64"):
            script()
        result = spool.close()
        assert (result.state, result.frames_written) == ("interrupted", 2)

    def test_a_second_camera_is_refused(self, path):
        """A file holds one camera: an image of another one is an error, and is not stored."""
        with Spool(path, **RING) as spool:
            spool.process_fn(np.ones((8, 8), np.uint16), {"Camera": "A", "Axes": {"time": 0}})
            with pytest.raises(FrameError, match="an image of B arrived in the recording of A"):
                spool.process_fn(np.ones((8, 8), np.uint16), {"Camera": "B", "Axes": {"time": 0}})
        assert spool.close().frames_written == 1

    def test_gaps_are_found_without_a_plan(self, path):
        """Without a plan, a jump of the core's image number is a loss in the core, and a restart a new sequence."""
        with Spool(path, **RING) as spool:
            for number in (0, 1, 4, 0, 1):
                spool.process_fn(np.ones((8, 8), np.uint16), {"Camera": "A", "ImageNumber": str(number)})
        assert [(loss.before_frame, loss.count, loss.stage) for loss in spool.close().losses] == [(2, 2, "core")]
