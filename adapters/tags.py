"""Reading counters and times from the tags that come with each frame.

Tags are text on the Python backend and text or numbers on the Java backend. Hardware counters come only from some
device adapters; whatever a frame does not carry, or carries in a form that is no number, reads as -1: a frame is worth
keeping without it.
"""

from collections.abc import Mapping
from typing import Any, Literal, NamedTuple

MISSING = -1
"""What a counter or time reads as when the frame does not carry it."""

_PVCAM_COUNTER = "PVCAM-FrameNr"
# Start of the exposure; version 3 of the camera's metadata, as of the Kinetix, is in picoseconds.
_PVCAM_START = {"PVCAM-FMD-TimestampBofNs": (1, 1), "PVCAM-FMD-TimestampBofPs": (1, 1000)}
# Andor's prefix is the camera's name in old adapters and uninitialised memory in newer ones. Its other tag,
# "-ImageNumber", is no counter of the camera: the adapter counts the frames that it has taken.
_ANDOR_TIME = "-ElapsedTime-ms"
_SOFTWARE_TIME = "ElapsedTime-ms"
_NS_PER_MS = 1_000_000


class Counters(NamedTuple):
    """The numbers of one frame; -1 means "not reported"."""

    image_number: int
    camera_frame_number: int
    camera_timestamp_ns: int


def read_counters(tags: Mapping[str, Any]) -> Counters:
    """Read a frame's counters and time stamp from its tags.

    Parameters
    ----------
    tags
        The tags of a tagged image, of either backend.

    Returns
    -------
    Counters
        ``ImageNumber``; the camera's own counter (``PVCAM-FrameNr``); and the time stamp in ns from the source that
        `timestamp_source` names.
    """
    frame_number, time_ns, source = MISSING, MISSING, "none"
    for key in tags:
        if key == _PVCAM_COUNTER:
            frame_number = _whole(tags[key])
        elif key.endswith(_ANDOR_TIME):
            time_ns, source = _scaled(tags[key], _NS_PER_MS), "camera"
        elif key in _PVCAM_START:
            time_ns, source = _scaled(tags[key], *_PVCAM_START[key]), "camera"
        elif key == _SOFTWARE_TIME and source == "none":
            time_ns = _scaled(tags[key], _NS_PER_MS)
    return Counters(_whole(tags.get("ImageNumber")), frame_number, time_ns)


def frame_metadata(tags: Mapping[str, Any]) -> dict[str, int]:
    """Return what a recording keeps of a frame's tags, for ``spool.put(image, frame_metadata(tags))``.

    Parameters
    ----------
    tags
        The tags of a tagged image or the metadata of pycromanager's image processing function, of either backend.

    Returns
    -------
    dict
        ``image_number``, ``camera_frame_number`` and ``camera_timestamp`` (ns); -1 where the tags do not say.
    """
    counters = read_counters(tags)
    return {
        "image_number": counters.image_number,
        "camera_frame_number": counters.camera_frame_number,
        "camera_timestamp": counters.camera_timestamp_ns,
    }


def timestamp_source(tags: Mapping[str, Any]) -> Literal["camera", "host", "none"]:
    """Return whose clock a frame's time stamp comes from.

    Returns
    -------
    str
        ``"camera"``: the camera's own clock. ``"host"``: ``ElapsedTime-ms``, which the device adapter or the core takes
        from the computer's clock when the frame arrives, so it has jitter. ``"none"``: there is no time stamp.
    """
    if any(key in _PVCAM_START or key.endswith(_ANDOR_TIME) for key in tags):
        return "camera"
    return "host" if _SOFTWARE_TIME in tags else "none"


def _whole(value: object) -> int:
    if value is None:
        return MISSING
    try:
        return int(str(value))
    except ValueError:
        return _scaled(value, 1)


def _scaled(value: object, factor: int, divisor: int = 1) -> int:
    # Andor writes "12.3 [0.0123 seconds]".
    words = str(value).split(None, 1)
    try:
        if words[0].isdecimal():  # exact, where a float has no digits left for ns
            return int(words[0]) * factor // divisor
        return round(float(words[0]) * factor / divisor)
    except (IndexError, ValueError, OverflowError):
        return MISSING
