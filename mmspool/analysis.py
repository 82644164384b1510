"""What is the same in all frames, and how they move: background and drift, on this machine's cores or on a cluster."""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from .calibration import Calibration
from .errors import SelectionError
from .parallel import Opener, map_in_order
from .persistence import Recording
from .selection import ProgressCallback

_TASK_BYTES = 64 << 20
_DRIFT_PIXELS = 512  # of a side; larger frames are binned, and the shift is found between their pixels


def background(
    recording: Recording,
    *,
    samples: int = 50,
    percentile: float = 50.0,
    scheduler: str | None = None,
    progress: ProgressCallback | None = None,
) -> npt.NDArray[np.float32]:
    """Return what each pixel shows when nothing passes it: the median of frames spread over the recording.

    Parameters
    ----------
    recording
        The recording; frames are gray.
    samples
        How many frames to take, evenly spread.
    percentile
        50 is the median; a lower one where a pixel is bright in more than half of the frames.
    scheduler
        Address of a dask scheduler whose workers see the file under the same path; None: threads of this process.
    progress
        Called with rows done and rows in all.

    Returns
    -------
    numpy.ndarray
        ``(Y, X)``, in counts. Memory is bounded: a task reads a band of rows of the frames.

    Raises
    ------
    SelectionError
        There are no frames, the frames are in colour, or a number is out of its range.
    """
    if not 0 <= percentile <= 100:
        raise SelectionError(f"percentile is {percentile}, but must be from 0 to 100")
    frames = _spread(recording, samples)
    _, height, width = recording.shape
    rows = max(1, _TASK_BYTES // (len(frames) * width * recording.itemsize))
    opener = recording.opener()
    tasks = [(opener, frames, first, min(height, first + rows), percentile) for first in range(0, height, rows)]
    whole = np.empty((height, width), np.float32)
    for (_, _, first, stop, _), band in zip(tasks, map_in_order(_band, tasks, scheduler=scheduler), strict=True):
        whole[first:stop] = band
        if progress is not None:
            progress(stop, height)
    return whole


@dataclass(frozen=True, kw_only=True)
class Drift:
    """How the image moved, arrays of equal length.

    Attributes
    ----------
    frame, time_s
        The frames that were looked at, and their times, seconds.
    y_px, x_px
        Where the image of the first of them is in each, pixels of the file, down and to the right.
    """

    frame: npt.NDArray[np.int64]
    time_s: npt.NDArray[np.float64]
    y_px: npt.NDArray[np.float64]
    x_px: npt.NDArray[np.float64]


def drift(
    recording: Recording,
    *,
    samples: int | None = 200,
    scheduler: str | None = None,
    progress: ProgressCallback | None = None,
) -> Drift:
    """Measure how the image drifts: the shift of each frame against the first, by the peak of their correlation.

    The peak is that of the phase correlation (Kuglin and Hines 1975), each frequency weighted by the root of its power
    so that noise counts less, and is found between pixels by a parabola. What does not move, such as dust on the
    sensor, pulls the shift to 0: subtract `background` where it is strong.

    Parameters
    ----------
    recording
        The recording; frames are gray.
    samples
        How many frames to look at, evenly spread; None: all of them.
    scheduler
        Address of a dask scheduler whose workers see the file under the same path; None: threads of this process.
    progress
        Called with frames looked at and frames in all.

    Raises
    ------
    SelectionError
        There are no frames, or the frames are in colour.
    """
    frames = _spread(recording, samples or len(recording))
    bins = math.ceil(max(recording.shape[1:]) / _DRIFT_PIXELS)
    step = max(1, _TASK_BYTES // (math.prod(recording.shape[1:]) * recording.itemsize))
    opener = recording.opener()
    tasks = [(opener, frames[0], frames[first : first + step], bins) for first in range(0, len(frames), step)]
    shifts: list[tuple[float, float]] = []
    for part in map_in_order(_shifts, tasks, scheduler=scheduler):
        shifts.extend(part)
        if progress is not None:
            progress(len(shifts), len(frames))
    y_px, x_px = np.array(shifts, np.float64).T
    chosen = np.array(frames, np.int64)
    return Drift(frame=chosen, time_s=Calibration.of(recording).times_s[chosen], y_px=y_px, x_px=x_px)


def _spread(recording: Recording, samples: int) -> list[int]:
    """Return the numbers of some frames, evenly spread."""
    if samples < 1:
        raise SelectionError(f"samples is {samples}, but must be 1 or more")
    if recording.ndim != 3 or not len(recording):
        raise SelectionError(f"{recording.path} has frames {recording.shape}; gray ones are needed")
    places = np.linspace(0, len(recording) - 1, min(samples, len(recording)))
    return [int(place) for place in np.unique(places.round())]


def _band(task: tuple[Opener, list[int], int, int, float]) -> npt.NDArray[Any]:
    opener, frames, first, stop, percentile = task
    with opener() as recording:
        stack = recording[frames, first:stop]
    return np.percentile(stack, percentile, axis=0).astype(np.float32)


def _shifts(task: tuple[Opener, int, list[int], int]) -> list[tuple[float, float]]:
    opener, reference, frames, bins = task
    with opener() as recording:
        first = _spectrum(recording[reference], bins)
        return [_shift(first, _spectrum(recording[index], bins), bins) for index in frames]


def _spectrum(frame: npt.NDArray[Any], bins: int) -> npt.NDArray[np.complex128]:
    """Return the Fourier transform of a frame, binned, without its mean, and faded out to its edges."""
    height, width = (size // bins for size in frame.shape)
    squares = frame[: height * bins, : width * bins].reshape(height, bins, width, bins)
    image = squares.mean(axis=(1, 3), dtype=np.float64)
    fade = np.outer(np.hanning(height + 2)[1:-1], np.hanning(width + 2)[1:-1])
    return np.fft.fft2((image - image.mean()) * fade)


def _shift(first: npt.NDArray[Any], second: npt.NDArray[Any], bins: int) -> tuple[float, float]:
    """Return by how many pixels of the file the second image is shifted, down and to the right."""
    product = second * first.conj()
    power = np.sqrt(np.abs(product))
    peaks = np.fft.ifft2(product / np.where(power > 0, power, 1)).real
    top = np.unravel_index(int(peaks.argmax()), peaks.shape)
    shift = []
    for axis, place in enumerate(top):
        size = peaks.shape[axis]
        line = np.take(peaks, top[1 - axis], axis=1 - axis)
        before, at, after = (float(line[(place + step) % size]) for step in (-1, 0, 1))
        bend = before - 2 * at + after
        between = 0.5 * (before - after) / bend if bend < 0 else 0.0
        whole = int(place) if place <= size // 2 else int(place) - size
        shift.append(bins * (whole + between))
    return shift[0], shift[1]
