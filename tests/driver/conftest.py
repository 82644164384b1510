"""Cameras to record from, and what a recording from them must hold."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import mmspool
from mmspool import Camera, MockCore, SteppedClock, frame_index

SMALL = {"width": 96, "height": 64}
RING_BYTES = 16 * 10**6


class Read:
    """What a file holds, read once."""

    def __init__(self, path: Path) -> None:
        with mmspool.open(path) as recording:
            self.state, self.end_reason = recording.state, recording.end_reason
            self.stack, self.frames = recording[:], np.asarray(recording.frame_table())
            self.lost, self.losses = recording.frames_lost, recording.losses
            self.metadata = recording.metadata
        self.indices = [frame_index(frame) for frame in self.stack]

    def holds_first(self, count: int) -> bool:
        """Return whether the frames are the first ``count`` that the simulated camera made, in order."""
        return self.indices == list(range(count))


@pytest.fixture
def read() -> Callable[[Path], Read]:
    """Return a function that reads a whole file."""
    return Read


@pytest.fixture(params=["python", "java"])
def backend(request: pytest.FixtureRequest) -> str:
    """Name the backend that the simulated core looks like."""
    return request.param


@pytest.fixture
def mock() -> Iterator[Callable[..., Camera]]:
    """Return a function that makes a small simulated camera, whose time goes on as it is asked."""
    cameras = []

    def make(*, tick_s: float = 0.01, **options: Any) -> Camera:
        cameras.append(Camera.mock(**(SMALL | {"clock": SteppedClock(tick_s=tick_s)} | options)))
        return cameras[-1]

    yield make
    for camera in cameras:
        camera.close()


@pytest.fixture
def raw() -> Callable[[Camera], MockCore]:
    """Return a function that gives the simulated core below a camera."""
    return lambda camera: camera.core._core


@pytest.fixture
def record(processes: None, tmp_path: Path) -> Callable[..., Any]:
    """Return a function that records to ``run.h5`` through a small ring."""

    def run(camera: Camera, **options: Any) -> mmspool.RecordResult:
        return camera.record(tmp_path / "run.h5", **({"buffer_bytes": RING_BYTES} | options))

    return run


@pytest.fixture
def start(processes: None, tmp_path: Path) -> Callable[..., Any]:
    """Return a function that starts a recording to ``run.h5`` through a small ring."""

    def run(camera: Camera, **options: Any) -> mmspool.RunningRecording:
        return camera.start_recording(tmp_path / "run.h5", **({"buffer_bytes": RING_BYTES} | options))

    return run
