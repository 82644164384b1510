"""Recordings from Micro-Manager's own core, which has threads and a clock of its own."""

import numpy as np
import pytest

import mmspool
from mmspool import Camera, EndReason, Roi
from mmspool.adapters import sequence_tester


@pytest.fixture
def demo():
    """Return the DemoCamera at its fastest."""
    with Camera.demo(width=512, height=512, buffer_mb=256) as camera:
        camera.properties["FastImage"] = 1
        camera.exposure_ms = 1
        yield camera


def test_demo_camera_loses_nothing(demo, record, read):
    """300 frames of 512x512 at about 1,000 a second, numbered without a gap."""
    result = record(demo, frames=300, buffer_bytes=64 * 10**6)
    file = read(result.path)
    assert (result.end_reason, result.state, result.frames_written, result.frames_lost) == (
        EndReason.COMPLETED,
        "complete",
        300,
        0,
    )
    assert np.array_equal(file.frames["image_number"], np.arange(300))
    assert file.stack.shape == (300, 512, 512)
    assert file.stack.dtype == np.uint16
    assert np.all(np.diff(file.frames["camera_timestamp"]) >= 0)
    assert file.metadata["detector"]["description"] == "Demo camera (DemoCamera/DCam)"


@pytest.mark.usefixtures("processes")
def test_sequence_tester_flat_out_loses_nothing(tmp_path, read):
    """5,000 frames of 64x64 as fast as the core can take them."""
    with Camera(sequence_tester(width=64, height=64, buffer_mb=64)) as camera:
        result = camera.record(tmp_path / "run.h5", frames=5000, buffer_bytes=32 * 10**6)
        frames = read(result.path).frames
    assert (result.end_reason, result.state, result.frames_written, result.frames_lost) == (
        EndReason.COMPLETED,
        "complete",
        5000,
        0,
    )
    assert np.array_equal(frames["image_number"], np.arange(5000))
    assert np.array_equal(frames["sequence_number"], np.arange(5000))


@pytest.mark.usefixtures("processes")
def test_overflow_is_told_and_nothing_is_lost_unnoticed(tmp_path, read):
    """A buffer of 256 frames, filled flat out: what is in the file and what is not add up."""
    with Camera(sequence_tester(width=64, height=64, buffer_mb=1)) as camera:
        asked = 10**7
        result = camera.record(tmp_path / "run.h5", frames=asked, buffer_bytes=16 * 10**6)
        file = read(result.path)
        assert result.end_reason is EndReason.OVERFLOW
        assert result.state == file.state == "interrupted"
        assert result.frames_written + result.frames_lost == asked
        assert [gap.stage for gap in file.losses] == ["core"]
        assert np.array_equal(file.frames["image_number"], np.arange(result.frames_written))
        again = camera.record(tmp_path / "again.h5", frames=20, buffer_bytes=16 * 10**6)
        assert again.complete


def test_takes_a_core_of_pycromanagers(demo, record, read):
    """What ``pycromanager.Core()`` returned; it goes on after the camera was closed."""
    core = demo.core._core
    with Camera(core) as camera:
        camera.roi = Roi(0, 0, 64, 32)
        assert camera.sensor_size() == (512, 512)
        result = record(camera, frames=10)
        assert read(result.path).stack.shape == (10, 32, 64)
    assert core.get_camera_device() == "Camera"


def test_until_stopped(demo, start, read, wait_until):
    """Stopped in the middle, every frame that the camera had made is in the file."""
    demo.roi = Roi(0, 0, 128, 128)
    recording = start(demo)
    wait_until(lambda: recording.stats.frames_received >= 20)
    recording.stop()
    result = recording.wait()
    assert (result.end_reason, result.state) == (EndReason.STOPPED, "complete")
    assert np.array_equal(read(result.path).frames["image_number"], np.arange(result.frames_written))
    assert demo.core.remaining() == 0


@pytest.mark.usefixtures("processes")
def test_short_sequences_keep_their_last_frame(demo, tmp_path):
    """The end of a sequence falls anywhere between two questions to the core."""
    demo.roi = Roi(0, 0, 64, 32)
    for frames in (1, 2, 3):
        result = demo.record(tmp_path / "run.h5", frames=frames, buffer_bytes=16 * 10**6, overwrite=True)
        assert result.complete
        with mmspool.open(result.path) as recording:
            assert list(recording.frame_table()["image_number"]) == list(range(frames))
