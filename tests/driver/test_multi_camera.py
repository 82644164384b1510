"""Micro-Manager's Multi Camera, the real one of its Utilities, recorded to a file for each camera."""

import mm_test_adapters
import numpy as np
import pymmcore
import pytest

import mmspool
from mmspool import Camera, CoreError, SettingError

LABELS = ("A", "Camera 2")
RING_BYTES = 16 * 10**6

pytestmark = pytest.mark.usefixtures("processes")


def combine(core):
    """Give a core two cameras, combined."""
    core.setDeviceAdapterSearchPaths([mm_test_adapters.device_adapter_path()])
    for label in LABELS:
        core.loadDevice(label, "DemoCamera", "DCam")
    core.loadDevice("Multi", "Utilities", "Multi Camera")
    core.initializeAllDevices()
    for place, label in enumerate(LABELS, 1):
        core.setProperty("Multi", f"Physical Camera {place}", label)
        for name, value in {"PixelType": "16bit", "OnCameraCCDXSize": 96, "OnCameraCCDYSize": 64}.items():
            core.setProperty(label, name, value)
    core.setCameraDevice("Multi")
    return core


class LossyCore(pymmcore.CMMCore):
    """A core from which frames of the second camera vanish."""

    def popNextImageMD(self, tags):  # noqa: N802 - the core's name
        """Return the next frame that does not vanish."""
        image = super().popNextImageMD(tags)
        told = [tags.GetSingleTag(name).GetValue() for name in ("Camera", "ImageNumber")]
        return self.popNextImageMD(tags) if told in ([LABELS[1], "7"], [LABELS[1], "8"]) else image


@pytest.fixture
def camera(request):
    """Return the combined camera at 2 ms."""
    camera = Camera(combine(getattr(request, "param", pymmcore.CMMCore)()))
    camera.exposure_ms = 2
    return camera


@pytest.fixture
def record(tmp_path):
    """Return a function that records to ``run.h5`` through small rings."""

    def run(camera, **options):
        return mmspool.record_cameras(tmp_path / "run.h5", camera, **({"buffer_bytes": RING_BYTES} | options))

    return run


def test_each_camera_has_a_file(camera, record, tmp_path):
    """All frames of both are there, numbered by their own counters, with the facts of their own camera."""
    result = record(camera, frames=100)
    assert result.complete
    assert sorted(path.name for path in tmp_path.glob("*.h5")) == ["run.h5", "run_A.h5", "run_Camera-2.h5"]
    with mmspool.open(result.path) as run:
        assert list(run) == ["A", "Camera-2"]
        assert [each.metadata["detector"]["camera"]["label"] for each in run.values()] == list(LABELS)
        for each in run.values():
            assert each.shape == (100, 64, 96)
            assert np.array_equal(each.frame_table()["image_number"], np.arange(100))
        assert np.array_equal(run.pairs(), np.column_stack([np.arange(100)] * 2))
    assert not camera.core.is_sequence_running()


def test_full_sensors_lose_nothing(camera, record):
    """Of two sensors of 2048x2048 at 100 frames/s all frames are in the files, in order."""
    for label in LABELS:
        for name, value in {"OnCameraCCDXSize": 2048, "OnCameraCCDYSize": 2048, "FastImage": 1}.items():
            camera.core.set_property(label, name, str(value))
    camera.exposure_ms = 10
    result = record(camera, frames=20, buffer_bytes=3 * RING_BYTES, core_buffer_mb=400)  # holds 2 x 20
    assert result.complete
    with mmspool.open(result.path) as run:
        for each in run.values():
            assert (each.shape, each.frames_lost) == ((20, 2048, 2048), 0)
            assert np.array_equal(each.frame_table()["image_number"], np.arange(20))


@pytest.mark.parametrize("camera", [LossyCore], indirect=True)
def test_losses_are_those_of_their_camera(camera, record):
    """A counter is watched for each camera: frames that one of them misses are in its ledger, and leave their place."""
    result = record(camera, frames=50)
    losses = {name: each.losses for name, each in result.results.items()}
    assert losses["A"] == ()
    assert [(loss.before_frame, loss.count, loss.stage) for loss in losses["Camera-2"]] == [(7, 2, "core")]
    with mmspool.open(result.path) as run:
        assert np.flatnonzero(run.pairs()[:, 1] < 0).tolist() == [7, 8]


def test_until_a_time(camera, record):
    """Ended by time, both are whole, and about as long."""
    result = record(camera, seconds=0.3)
    assert result.complete
    frames = [each.frames_written for each in result.results.values()]
    assert min(frames) > 0
    assert not camera.core.is_sequence_running()


@pytest.mark.parametrize(
    ("pixel_type", "error", "advice"),
    [
        ("32bitRGB", SettingError, "colours or floats.* choose such a PixelType for A, Camera 2, or give each a core"),
        ("32bit", SettingError, "colours or floats.* choose such a PixelType for A, Camera 2, or give each a core"),
        ("64bitRGB", CoreError, "8 bytes and 1 components.* choose another PixelType"),
    ],
)
def test_colour_is_refused(camera, record, tmp_path, pixel_type, error, advice):
    """A Multi Camera does not say that its pixels are colours: they are refused, before there is a file."""
    for label in LABELS:
        camera.core.set_property(label, "PixelType", pixel_type)
    with pytest.raises(error, match=advice):
        record(camera, frames=10)
    assert list(tmp_path.iterdir()) == []


def test_refused(camera, record, tmp_path):
    """One stack for both, another camera alone, and cameras of different sizes are refused, with what to do."""
    with pytest.raises(SettingError, match=r"mmspool\.record_cameras\(path, camera\)"):
        camera.record(tmp_path / "mixed.h5", frames=5)
    camera.core.set_property(LABELS[1], "OnCameraCCDXSize", "128")
    with pytest.raises(SettingError, match="Camera 2 has 128x64 16bit"):
        record(camera, frames=5)
    with pytest.raises(SettingError, match=r"record it with camera\.record"):
        record(Camera.mock(width=64, height=64), frames=5)
    assert list(tmp_path.iterdir()) == []
