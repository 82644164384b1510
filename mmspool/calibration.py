"""What the pixels and frames of a recording are in seconds and micrometres, and how they were recorded."""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from .persistence import Recording

_TIME = "/entry/data/time"


@dataclass(frozen=True, kw_only=True)
class Calibration:
    """The scales of a recording; what is unknown is None.

    Attributes
    ----------
    name
        Of the recording: the file's name without its ending.
    start_time
        Date and time of the start, ISO 8601.
    times_s
        Time axis of the file, one value a frame, seconds.
    frame_interval_s
        Median interval of two frames.
    pixel_um
        Size of a pixel on the sample, ``(y, x)``, um.
    exposure_s
        Exposure of a frame.
    bit_depth
        Significant bits of a pixel; 0 when unknown.
    saturation
        The value of a saturated pixel.
    camera
        The camera's description, or its label.
    """

    name: str
    start_time: str
    times_s: npt.NDArray[np.float64]
    frame_interval_s: float | None
    pixel_um: tuple[float, float] | None
    exposure_s: float | None
    bit_depth: int
    saturation: float | None
    camera: str

    @classmethod
    def of(cls, recording: Recording) -> "Calibration":
        """Read what a recording says."""
        detector = recording.metadata["detector"]
        times = np.asarray(recording.file[_TIME][: len(recording)], np.float64)
        steps = np.diff(times)
        steps = steps[np.isfinite(steps)]
        interval = float(np.median(steps)) if len(steps) else math.nan
        pixel, bits = detector.get("sample_pixel_um"), int(detector.get("bit_depth", 0))
        return cls(
            name=recording.path.stem,
            start_time=recording.metadata["start_time"],
            times_s=times,
            frame_interval_s=interval if interval > 0 else None,
            pixel_um=(float(pixel[0]), float(pixel[1])) if pixel else None,
            exposure_s=detector.get("count_time_s"),
            bit_depth=bits,
            saturation=_saturation(recording.dtype, bits),
            camera=detector.get("description") or detector.get("camera", {}).get("label", ""),
        )


def _saturation(dtype: np.dtype[Any], bit_depth: int) -> float | None:
    if dtype.kind not in "iu":
        return None
    return float(2**bit_depth - 1 if bit_depth else np.iinfo(dtype).max)
