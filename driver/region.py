"""The region that a camera reads out, and its binning."""

import logging
import operator
import re
from typing import Any

from ..adapters import CoreAdapter, Roi
from ..errors import CoreError, SettingError

_log = logging.getLogger("mmspool")

_WHOLE_SENSOR = 0.9  # of its area: a larger region may have been rounded up to it


def as_roi(value: Roi | tuple[int, int, int, int]) -> Roi:
    """Return a region given as such or as ``(x, y, width, height)``; SettingError for anything else."""
    if isinstance(value, Roi):
        return value
    try:
        x, y, width, height = map(operator.index, value)
    except (TypeError, ValueError) as exc:
        raise SettingError(
            f"roi is Roi(x, y, width, height) or a tuple of those four whole numbers, not {value!r}"
        ) from exc
    return Roi(x, y, width, height)


def set_region(core: CoreAdapter, label: str, roi: Roi, shape: tuple[int, int]) -> Roi:
    """Set the region of an idle camera whose whole sensor has ``shape`` ``(Y, X)``, binned; return the one in force.

    Raises
    ------
    SettingError
        It does not lie on the sensor, and the camera keeps its region; or the camera ignored it.
    CoreError
        The camera refused it, and reads out the whole sensor now.
    """
    height, width = shape
    inside = roi.x >= 0 and roi.y >= 0 and roi.x + roi.width <= width and roi.y + roi.height <= height
    if roi.width < 1 or roi.height < 1 or not inside:
        raise SettingError(
            f"{roi} does not lie in the {width} x {height} pixels that {label} reads out: choose x and y from 0 on, "
            f"x + width up to {width}, y + height up to {height}"
        )
    core.clear_roi()  # some cameras take a region relative to the present one
    whole = Roi(0, 0, width, height)
    if roi != whole:
        try:
            core.set_roi(roi)
        except CoreError as exc:
            exc.add_note(f"{label} now reads out the whole sensor")
            raise
    got = core.get_roi()
    if got == whole and roi.width * roi.height < _WHOLE_SENSOR * width * height:
        raise SettingError(
            f"{roi} was not taken: {label} still reads out its {width} x {height} pixels. Many cameras take "
            "multiples of 8 or 16 only, some no region at all"
        )
    return got


def binning_number(text: str) -> int:
    """Return the number of a camera's text such as ``2x2``."""
    match: re.Match[str] | None = re.match(r"(\d+)", text)
    if match is None:
        raise SettingError(
            f"the camera's binning {text!r} does not begin with a number: use camera.properties['Binning']"
        )
    return int(match[1])


def note_rounding(name: str, asked: Any, got: Any) -> None:
    """Log that a camera made something else of a value."""
    if asked != got:
        _log.info("%s: asked for %s, the camera uses %s", name, asked, got)
