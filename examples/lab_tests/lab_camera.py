"""A lab's own camera code, on top of mmspool: what happens in each trial of its experiment."""

from pathlib import Path

import numpy as np

import mmspool
from mmspool import Camera, MmspoolError, RecordResult

TRIGGER_TIMEOUT_S = 0.5
BUFFER_BYTES = 64 << 20  # our frames are small: a small ring is made at once


class TrialError(Exception):
    """A trial that cannot be used; what was recorded of it is kept."""


def alert(message: str) -> None:
    """Tell the lab; the real one would post to its chat."""
    print(f"ALERT {message}")


def run_trial(camera: Camera, path: Path, *, frames: int, exposure_ms: float) -> RecordResult:
    """Record one triggered trial; anything but a whole one is an alert and a `TrialError`."""
    camera.exposure_ms = exposure_ms
    try:
        result = camera.record(path, frames=frames, frame_timeout_s=TRIGGER_TIMEOUT_S, buffer_bytes=BUFFER_BYTES)
    except MmspoolError as exc:
        alert(f"{path.name}: {exc}")
        raise TrialError(f"{path.name} failed") from exc
    if not result.complete:
        alert(f"{path.name}: {result.frames_lost} frames lost, {result.end_reason}")
        raise TrialError(f"{path.name} has {result.frames_written} of {frames} frames")
    return result


def brightness(path: Path) -> np.ndarray:
    """Return the mean of each frame of a trial, one frame in memory at a time."""
    with mmspool.open(path) as run:
        return np.array([frame.mean() for frame in run])
