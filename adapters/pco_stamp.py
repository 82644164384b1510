"""The stamp that PCO cameras write into a frame's first pixels: their own frame counter and time."""

from datetime import UTC, datetime, timedelta
from typing import NamedTuple

from .core_adapter import Image

STAMP_PIXELS = 16
"""Pixels of row 0 that are no image: 14 with the stamp, and two that are reserved."""

_FIELDS = 14
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class PcoStamp(NamedTuple):
    """What the stamp says."""

    frame_number: int
    """Frames since the camera was armed, from 1."""
    time_ns: int
    """End of the exposure by the camera's clock, ns since 1970, as if that clock were in UTC; steps of 1 us."""


def read_pco_stamp(pixels: Image) -> PcoStamp | None:
    """Read the stamp of a frame that was taken with ``Timestampmode`` "Binary" or "Binary + ASCII".

    Each pixel holds two digits, binary coded: four of the frame's number, two of the year, then month, day, hour,
    minute, second, and three of the microseconds (pco.edge 3.1 manual, p. 34).

    Parameters
    ----------
    pixels
        A frame ``(Y, X)`` whose region begins at the sensor's first row.

    Returns
    -------
    PcoStamp or None
        None where the pixels hold no stamp.
    """
    if pixels.shape[1] < STAMP_PIXELS:
        return None
    numbers = []
    for value in pixels[0, :_FIELDS].tolist():
        tens, ones = divmod(value, 16)
        if tens > 9 or ones > 9:
            return None
        numbers.append(10 * tens + ones)
    *count, century, year, month, day, hour, minute, second, us_4, us_2, us_0 = numbers
    try:
        whole = datetime(100 * century + year, month, day, hour, minute, second, tzinfo=UTC)
    except ValueError:
        return None
    microseconds = 10_000 * us_4 + 100 * us_2 + us_0
    time_ns = (whole - _EPOCH) // timedelta(microseconds=1) * 1000 + microseconds * 1000
    number = 0
    for digits in count:
        number = 100 * number + digits
    return PcoStamp(number, time_ns)
