"""A Multi Camera in a Java Micro-Manager: its cameras' frames, through shared memory and over the bridge."""

from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
from support.java_server import JavaServer

import mmspool
from mmspool import Camera, CoreError, SettingError, frame_index
from mmspool.adapters import FramePath, connect

# pyjavaz leaves its socket to the garbage collector.
pytestmark = [
    pytest.mark.usefixtures("processes"),
    pytest.mark.filterwarnings(r"ignore:Unclosed socket <zmq.Socket\(zmq.REQ\):ResourceWarning"),
]

OF_SECOND = 1 << 56
RING_BYTES = 16 * 10**6


@pytest.fixture(params=[True, False], ids=["shared memory", "bridge"])
def camera(serve: Callable[..., JavaServer], request: pytest.FixtureRequest) -> Iterator[Camera]:
    """Yield the Multi Camera of a server of this test's own: two cameras of 96x64 pixels."""
    with closing(connect(serve().port, frame_pump=request.param)) as adapter:
        adapter._core.set_sensor(96, 64)
        adapter._core.combine("A,Camera 2")
        adapter.set_exposure_ms(2.0)
        yield Camera(adapter)


def test_each_camera_has_a_file(camera: Camera, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    """Each file has all frames of its camera and none of the other's, and a loss of one is in its own ledger alone."""
    camera.core._core.script("skip", 2 * 30 + 1)  # the second camera's frame 30
    result = mmspool.record_cameras(tmp_path / "run.h5", camera, frames=100, buffer_bytes=RING_BYTES)
    pumped = camera.core.frame_path == FramePath("java-pump")
    assert pumped == ("shared memory" in request.node.name)
    with mmspool.open(result.path) as run:
        assert list(run) == ["A", "Camera-2"]
        assert [frame_index(frame) for frame in run["A"]] == list(range(100))
        came = [number for number in range(100) if number != 30]
        assert [frame_index(frame) - OF_SECOND for frame in run["Camera-2"]] == came
        assert run["A"].frames_lost == 0
        assert [(loss.before_frame, loss.count) for loss in run["Camera-2"].losses] == [(30, 1)]
        assert np.flatnonzero(run.pairs()[:, 1] < 0).tolist() == [30]
    assert not camera.core.is_sequence_running()


@pytest.mark.parametrize(
    ("pixel_type", "error", "advice"),
    [
        ("32bitRGB", SettingError, "choose such a PixelType for A, Camera 2, or give each a core of its own"),
        ("32bit", SettingError, "choose such a PixelType for A, Camera 2, or give each a core of its own"),
        ("64bitRGB", CoreError, "8 bytes and 1 components, .* choose another PixelType"),
    ],
)
def test_colours_and_floats_are_refused(
    camera: Camera, tmp_path: Path, pixel_type: str, error: type[Exception], advice: str
) -> None:
    """They are refused before there is a file, with what can be done instead."""
    camera.core.set_property("A", "PixelType", pixel_type)
    with pytest.raises(error, match=advice):
        mmspool.record_cameras(tmp_path / "run.h5", camera, frames=10)
    assert list(tmp_path.iterdir()) == []


def test_other_sizes_are_refused(camera: Camera, tmp_path: Path) -> None:
    """Cameras of different sizes are named with their sizes, and with what can be done instead."""
    camera.core._core.set_region_of("Camera 2", 48, 64)
    with pytest.raises(SettingError, match=r"A has 96x64 16bit, Camera 2 has 48x64 16bit.*or each a core of its own"):
        mmspool.record_cameras(tmp_path / "run.h5", camera, frames=10)
    assert list(tmp_path.iterdir()) == []
