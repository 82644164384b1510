"""Figures of each frame: brightness, spread, saturation and noise, of some frames or of all."""

import math
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
import numpy.typing as npt

from .calibration import Calibration
from .parallel import Opener, map_in_order
from .persistence import Recording
from .selection import ProgressCallback

_TASK_BYTES = 64 << 20
_NOISE_PIXELS = 1 << 18
_MAD_TO_SIGMA = 1.4826  # of a normal distribution


@dataclass(frozen=True, kw_only=True)
class FrameStatistics:
    """One value for each frame that was looked at, arrays of equal length.

    Attributes
    ----------
    frame
        Index in the file.
    time_s
        Its time, seconds.
    mean, std, low, high
        Mean, standard deviation, minimum and maximum of its pixels.
    saturated
        Fraction of its pixels at the value of a saturated one or above; NaN where that value is unknown.
    noise
        Standard deviation of a pixel from one frame to the next: the median absolute difference to the next frame, as
        that of a normal distribution, over the square root of 2. Movement in less than half of the image does not
        change it much. NaN where the next frame is missing.
    """

    frame: npt.NDArray[np.int64]
    time_s: npt.NDArray[np.float64]
    mean: npt.NDArray[np.float64]
    std: npt.NDArray[np.float64]
    low: npt.NDArray[np.float64]
    high: npt.NDArray[np.float64]
    saturated: npt.NDArray[np.float64]
    noise: npt.NDArray[np.float64]


def frame_statistics(
    recording: Recording,
    *,
    samples: int | None = 200,
    scheduler: str | None = None,
    progress: ProgressCallback | None = None,
) -> FrameStatistics:
    """Compute the figures of some frames, evenly spread over the recording, or of all.

    Parameters
    ----------
    recording
        The recording.
    samples
        How many frames to look at; None: all of them.
    scheduler
        Address of a dask scheduler whose workers see the file under the same path; None: threads of this process.
    progress
        Called with frames looked at and frames in all.
    """
    calibration = Calibration.of(recording)
    total = len(recording)
    count = total if samples is None else min(samples, total)
    chosen = np.unique(np.linspace(0, max(0, total - 1), count).round().astype(np.int64))
    frame_bytes = math.prod(recording.shape[1:]) * recording.dtype.itemsize
    step = max(1, _TASK_BYTES // (2 * frame_bytes))
    opener = recording.opener()
    tasks = [
        (opener, chosen[first : first + step].tolist(), total, calibration.saturation)
        for first in range(0, len(chosen), step)
    ]
    rows: list[list[float]] = []
    for part in map_in_order(_statistics_of, tasks, scheduler=scheduler):
        rows.extend(part)
        if progress is not None:
            progress(len(rows), len(chosen))
    names = [field.name for field in fields(FrameStatistics)][2:]
    columns = np.array(rows, np.float64).reshape(len(rows), len(names)).T
    return FrameStatistics(frame=chosen, time_s=calibration.times_s[chosen], **dict(zip(names, columns, strict=True)))


def _statistics_of(task: tuple[Opener, list[int], int, float | None]) -> list[list[float]]:
    opener, frames, total, saturation = task
    with opener() as recording:
        return [_row(recording, index, total, saturation) for index in frames]


def _row(recording: Recording, index: int, total: int, saturation: float | None) -> list[float]:
    image = recording[index]
    noise = _noise(image, recording[index + 1]) if index + 1 < total else math.nan
    return [
        float(image.mean(dtype=np.float64)),
        float(image.std(dtype=np.float64)),
        float(image.min()),
        float(image.max()),
        math.nan if saturation is None else float(np.count_nonzero(image >= saturation) / image.size),
        noise,
    ]


def _noise(image: npt.NDArray[Any], following: npt.NDArray[Any]) -> float:
    step = max(1, math.isqrt(image.size // _NOISE_PIXELS))
    difference = following[::step, ::step].astype(np.float64) - image[::step, ::step]
    return float(_MAD_TO_SIGMA * np.median(np.abs(difference - np.median(difference))) / math.sqrt(2))
