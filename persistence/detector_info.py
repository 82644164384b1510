"""The facts about a recording that are known before its first frame."""

import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Any

import numpy as np


@dataclass(frozen=True, kw_only=True)
class DetectorInfo:
    """What is known of the detector; everything may be left out.

    Parameters
    ----------
    description, serial_number
        Of the camera.
    count_time_s, frame_time_s, readout_time_s
        Exposure, interval of frames, read-out time, seconds; NaN when unknown.
    sensor_pixel_um
        Pitch of the sensor's pixels ``(y, x)``, um.
    sample_pixel_um
        Size of a recorded pixel on the sample ``(y, x)``, um.
    bit_depth
        Significant bits of a pixel; 0 when unknown.
    gain, acquisition_mode
        In the camera's own words.
    roi_origin
        ``(y, x)`` of the region's first pixel on the sensor.
    camera
        What NeXus has no word for (binning, read-out mode, every property by name); anything JSON can hold.
    """

    description: str = ""
    serial_number: str = ""
    count_time_s: float = math.nan
    frame_time_s: float = math.nan
    readout_time_s: float = math.nan
    sensor_pixel_um: tuple[float, float] | None = None
    sample_pixel_um: tuple[float, float] | None = None
    bit_depth: int = 0
    gain: str = ""
    acquisition_mode: str = ""
    roi_origin: tuple[int, int] = (0, 0)
    camera: Mapping[str, Any] = field(default_factory=dict)

    def to_json(self) -> str:
        """Return the facts that are known, as JSON."""
        unset = DetectorInfo()
        known = {
            f.name: value
            for f in fields(self)
            if (value := asdict(self)[f.name]) != getattr(unset, f.name)
            and not (isinstance(value, float) and math.isnan(value))
        }
        return to_json(known)


def to_json(value: Any) -> str:
    """Return JSON in ASCII; NumPy scalars and arrays become numbers and lists.

    Raises
    ------
    TypeError
        Something in it that JSON cannot hold; the message names its type.
    """
    return json.dumps(value, default=_plain)


def _plain(value: Any) -> Any:
    if isinstance(value, np.generic | np.ndarray):
        return value.tolist()
    raise TypeError(
        f"{value!r} of type {type(value).__name__} cannot be stored: "
        "metadata takes what JSON can hold (text, numbers, lists, dicts) and NumPy numbers"
    )
