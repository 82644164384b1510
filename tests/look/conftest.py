"""Recordings to look at, and what the tests of looking share."""

import os
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import numpy as np
import pytest

import mmspool
from mmspool import Camera, DetectorInfo, Spool, SteppedClock

FRAMES, HEIGHT, WIDTH = 60, 48, 64
PIXEL_UM = (0.1625, 0.1625)


def frame(index: int, shape: tuple[int, int] = (HEIGHT, WIDTH)) -> np.ndarray[Any, Any]:
    """Return a frame that carries its index in every pixel, and is neither symmetric nor flat."""
    y, x = np.indices(shape)
    return (1000 * index + 7 * y + x).astype(np.uint16)


@pytest.fixture(scope="session")
def camera_file(processes: None, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a recording from the simulated camera, whose frames are 10 ms apart."""
    path = tmp_path_factory.mktemp("look") / "cells.h5"
    with Camera.mock(width=WIDTH, height=HEIGHT, seed=1, clock=SteppedClock(tick_s=0.01)) as camera:
        camera.record(path, frames=FRAMES, buffer_bytes=16_000_000, metadata={"sample": "HeLa"})
    return path


@pytest.fixture
def screenless(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let Qt draw into memory, and ndv draw without the icons that it fetches from a server."""
    monkeypatch.setenv("QT_QPA_PLATFORM", os.environ.get("QT_QPA_PLATFORM", "offscreen"))
    monkeypatch.setattr("superqt.iconify.svg_path", Mock(side_effect=OSError("no server in the tests")))


def record(
    path: Path,
    *,
    frames: int = 20,
    shape: tuple[int, int] = (HEIGHT, WIDTH),
    lost_before: tuple[int, ...] = (),
    **options: Any,
) -> Path:
    """Record numbered frames; three are lost before each of those named."""
    options.setdefault("info", DetectorInfo(sample_pixel_um=PIXEL_UM, count_time_s=0.01, bit_depth=16))
    with Spool(path, buffer_bytes=16_000_000, **options) as spool:
        for index in range(frames):
            if index in lost_before:
                spool.record_loss(3, "camera")
            spool.put(frame(index, shape))
    return path


def colour_frames(dtype: str, count: int = 20) -> np.ndarray[Any, Any]:
    """Return frames whose channels differ: red on the right, green over time, blue downwards."""
    highest = np.iinfo(dtype).max // (1 if dtype == "uint8" else 16)
    y, x = np.indices((HEIGHT, WIDTH))
    frames = np.empty((count, HEIGHT, WIDTH, 3), dtype)
    frames[..., 0] = highest * (x >= WIDTH // 2)
    frames[..., 1] = (np.arange(count) * highest // count)[:, None, None]
    frames[..., 2] = highest * y // HEIGHT
    return frames


@pytest.fixture(scope="session", params=["uint8", "uint16"])
def colour(
    request: pytest.FixtureRequest, processes: None, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, np.ndarray[Any, Any]]:
    """Return a recording of colour frames, and the frames; tests only read it."""
    frames = colour_frames(request.param)
    path = tmp_path_factory.mktemp("look") / f"{request.param}.h5"
    info = DetectorInfo(sample_pixel_um=PIXEL_UM, bit_depth=8 * frames.itemsize)
    with Spool(path, buffer_bytes=16_000_000, info=info) as spool:
        for image in frames:
            spool.put(image)
    return path, frames


@pytest.fixture(scope="session")
def source(processes: None, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a recording of 20 numbered frames, 3 of which are missing before the tenth; tests only read it."""
    return record(tmp_path_factory.mktemp("look") / "numbered.h5", lost_before=(10,))


@pytest.fixture(scope="session")
def expected() -> np.ndarray[Any, Any]:
    """Return its pixels."""
    return np.stack([frame(index) for index in range(20)])


def recorded(path: Path) -> int:
    """Return how many frames a file has that may not be there yet."""
    try:
        with mmspool.open(path) as run:
            return len(run)
    except mmspool.RecordingError:
        return 0
