"""What napari calls to open a recording; named in napari.yaml, so that it needs no napari to be installed."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from .calibration import Calibration
from .errors import RecordingError
from .persistence import CameraSet, Recording
from .persistence import open as open_recording

LayerData = tuple[Any, dict[str, Any], str]

_HDF5_SIGNATURE = b"\x89HDF\r\n\x1a\n"
_GREY_AXES = 3
_COLOURS = ("red", "green", "blue")
_LOW, _HIGH = 0.5, 99.8  # percentiles of the first frame shown as black and white


def get_reader(path: str | Sequence[str]) -> Callable[[str | Sequence[str]], list[LayerData]] | None:
    """Return what reads these files, or None where one of them is not a recording."""
    paths = [path] if isinstance(path, str) else list(path)
    return read if paths and all(_is_recording(Path(each)) for each in paths) else None


def read(path: str | Sequence[str]) -> list[LayerData]:
    """Return lazy image layers for each recording, with its scale in seconds and um, and what is known of it.

    Of a master file, those of all its cameras. One layer each; three of colours with 16 bits, which napari has no way
    to show as one.
    """
    paths = [path] if isinstance(path, str) else list(path)
    return [layer for each in paths for recording in _recordings(each) for layer in _layers(recording)]


def _recordings(path: str) -> list[Recording]:
    opened = open_recording(path)
    return list(opened.values()) if isinstance(opened, CameraSet) else [opened]


def _layers(recording: Recording) -> list[LayerData]:
    """Frames are read as they are shown; the layers keep the recording open."""
    calibration = Calibration.of(recording)
    pixel = calibration.pixel_um
    interval = calibration.frame_interval_s
    options: dict[str, Any] = {
        "name": calibration.name,
        "scale": (interval or 1.0, *(pixel or (1.0, 1.0))),
        "axis_labels": ("time", "y", "x"),
        "units": ("s" if interval else "pixel", *(("um", "um") if pixel else ("pixel", "pixel"))),
        "metadata": {"mmspool": recording.metadata, "state": recording.state, "frames_lost": recording.frames_lost},
        "rgb": recording.ndim > _GREY_AXES and recording.itemsize == 1,
    }
    if len(recording):
        low, high = (float(value) for value in np.percentile(recording[0], [_LOW, _HIGH]))
        options["contrast_limits"] = (low, max(high, low + 1))
    if recording.ndim == _GREY_AXES or options["rgb"]:
        return [(recording, options, "image")]
    channels = recording.to_dask()
    return [
        (
            channels[..., place],
            options | {"name": f"{options['name']} {colour}", "colormap": colour, "blending": "additive"},
            "image",
        )
        for place, colour in enumerate(_COLOURS)
    ]


def _is_recording(path: Path) -> bool:
    try:
        with path.open("rb") as file:
            if file.read(len(_HDF5_SIGNATURE)) != _HDF5_SIGNATURE:
                return False
        open_recording(path).close()
    except (OSError, RecordingError):
        return False
    return True
