"""The camera's clock beside the host's: offset and drift, from frames that arrive late but never early."""

import math
from dataclasses import astuple, dataclass, fields
from itertools import pairwise
from typing import Any, Self

import numpy as np
import numpy.typing as npt

_LEAST_FRAMES = 8
_MOST_POINTS = 4096  # whose lower hull is looked for; of more frames, the earliest of each piece counts


@dataclass(frozen=True, kw_only=True, slots=True)
class CameraClock:
    """How the camera's clock runs beside the host's monotonic clock.

    A frame's arrival is its time by the camera, plus the offset and the drift, plus a delay of its own that is never
    negative. The line below all arrivals that is nearest to them has the shortest delay in the offset, and is not
    moved by frames that waited in a buffer.

    Attributes
    ----------
    offset_s
        Seconds since the recording's start at which the camera's clock was 0, the shortest delay included.
    drift_ppm
        By how much the camera's clock is slow, parts in a million; negative where it is fast. It is known to about the
        median residual divided by the recording's duration: of a recording of seconds it says little.
    residual_median_s, residual_95_s, residual_max_s
        Delays of the arrivals beyond that line, seconds.
    frames
        Frames that it was fitted to.
    """

    offset_s: float
    drift_ppm: float
    residual_median_s: float
    residual_95_s: float
    residual_max_s: float
    frames: float

    def to_host_s(self, camera_timestamp: npt.ArrayLike) -> npt.NDArray[np.float64]:
        """Return times by the camera, ns, as seconds since the recording's start, without the arrivals' jitter."""
        camera_s = np.asarray(camera_timestamp, np.float64) / 1e9
        return self.offset_s + camera_s * (1 + self.drift_ppm * 1e-6)

    def to_array(self) -> npt.NDArray[np.float64]:
        """Return the values in the order of `NAMES`, as the file has them."""
        return np.array(astuple(self), np.float64)

    @classmethod
    def from_array(cls, values: npt.NDArray[Any]) -> Self | None:
        """Return what a file has; None where it has nothing."""
        if values.shape != (len(NAMES),) or not np.all(np.isfinite(values)):
            return None
        return cls(**dict(zip(NAMES, map(float, values), strict=True)))


NAMES = tuple(each.name for each in fields(CameraClock))
"""What a file's ``camera/clock`` holds, in this order."""


def fit_clock(camera_ns: npt.NDArray[np.int64], arrival_s: npt.NDArray[np.float64]) -> CameraClock | None:
    """Fit the camera's clock to the host's.

    Parameters
    ----------
    camera_ns
        ``(T,)``, time stamps by the camera; negative where a frame has none.
    arrival_s
        ``(T,)``, when the frames arrived by the host's monotonic clock.

    Returns
    -------
    CameraClock or None
        None where there are too few time stamps, or they do not go on.
    """
    known = (camera_ns >= 0) & np.isfinite(arrival_s)
    origin_ns = int(camera_ns[known][0]) if known.any() else 0
    camera_s, arrival_s = (camera_ns[known] - origin_ns) / 1e9, arrival_s[known]
    if len(camera_s) < _LEAST_FRAMES or not np.ptp(camera_s) > 0:
        return None
    delay_s = arrival_s - camera_s
    slope, base_s = _lower_line(camera_s, delay_s)
    residuals_s = delay_s - (base_s + slope * camera_s)
    median_s, most_s = np.quantile(residuals_s, (0.5, 0.95))
    return CameraClock(
        offset_s=base_s - origin_ns / 1e9 * (1 + slope),
        drift_ppm=slope * 1e6,
        residual_median_s=float(median_s),
        residual_95_s=float(most_s),
        residual_max_s=float(residuals_s.max()),
        frames=float(len(camera_s)),
    )


def _lower_line(x: npt.NDArray[np.float64], y: npt.NDArray[np.float64]) -> tuple[float, float]:
    """Return slope and intercept of the line that lies below all points and is nearest to them on average.

    Of all such lines it is the one through the edge of the lower convex hull above whose middle the points have
    their mean (the linear programme of Moon, Skelly and Towsley, INFOCOM 1999).
    """
    middle = float(x.mean())
    size = math.ceil(len(x) / _MOST_POINTS)
    earliest = [start + int(y[start : start + size].argmin()) for start in range(0, len(x), size)]
    order = sorted(earliest, key=lambda index: (x[index], y[index]))
    hull: list[tuple[float, float]] = []
    for index in order:
        point = float(x[index]), float(y[index])
        while len(hull) > 1 and _turns_right(hull[-2], hull[-1], point):
            hull.pop()
        if hull and hull[-1][0] == point[0]:
            continue  # the same time: the earlier arrival came first
        hull.append(point)
    for (x0, y0), (x1, y1) in pairwise(hull):
        if x1 >= middle:
            slope = (y1 - y0) / (x1 - x0)
            return slope, y0 - slope * x0
    return 0.0, float(y.min())


def _turns_right(a: tuple[float, float], b: tuple[float, float], c: tuple[float, float]) -> bool:
    """Return whether ``b`` lies on or above the line from ``a`` to ``c``."""
    return (b[0] - a[0]) * (c[1] - a[1]) <= (b[1] - a[1]) * (c[0] - a[0])
