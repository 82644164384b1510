"""`Camera` on a core of pymmcore-plus: recordings of unknown length, which its acquisitions do not have."""

import numpy as np
import pytest

import mmspool
from mmspool import Camera, EndReason


def test_a_camera_records_until_stopped(core, tmp_path, wait_until):
    """A recording of unknown length holds every frame that the camera made until `stop`, numbered without a gap."""
    recording = Camera(core).start_recording(tmp_path / "run.h5", buffer_bytes=16 * 10**6)
    wait_until(lambda: recording.stats.frames_received >= 50)
    recording.stop()
    result = recording.wait()
    assert result.end_reason is EndReason.STOPPED
    assert result.complete
    with mmspool.open(result.path) as run:
        assert np.array_equal(run.frame_table()["image_number"], np.arange(len(run)))
        assert run.shape[1:] == (128, 128)
    assert core.getRemainingImageCount() == 0


def test_an_overflow_is_in_the_ledger(core, tmp_path, wait_until):
    """Frames that the core's buffer could not take are counted, as with pycromanager's cores."""
    core.setProperty("Camera", "OnCameraCCDXSize", "2048")
    core.setProperty("Camera", "OnCameraCCDYSize", "2048")

    def keep_frames_in_the_core() -> bool:
        wait_until(core.isBufferOverflowed)
        return False

    result = Camera(core).record(
        tmp_path / "run.h5", frames=300, core_buffer_mb=16, buffer_bytes=64 * 10**6, until=keep_frames_in_the_core
    )
    assert result.end_reason is EndReason.OVERFLOW
    assert 0 < result.frames_written < 300
    assert result.frames_written + result.frames_lost == 300


def test_the_core_stays_in_use(core, tmp_path):
    """Closing the camera leaves the core and its devices as they were."""
    with Camera(core) as camera:
        camera.exposure_ms = 2
        camera.record(tmp_path / "run.h5", frames=5, buffer_bytes=16 * 10**6)
    assert core.getExposure() == pytest.approx(2, abs=0.1)
    assert core.snap().shape == (128, 128)
