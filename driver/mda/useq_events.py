"""What useq events and pymmcore-plus metadata say about frames, read without importing either package."""

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from ...adapters import frame_metadata
from ...errors import FrameError
from ...persistence import DetectorInfo

_DIGITS = re.compile(r"\d+")
_FLOAT_FORMAT = "Mono32"
"""GRAY32: Micro-Manager's 32-bit pixels are floats, which pymmcore hands over as uint32."""


@dataclass(frozen=True, kw_only=True, slots=True)
class RunFormat:
    """What each frame of a run will look like, known before the first one.

    Attributes
    ----------
    shape, dtype
        ``(Y, X)`` or, in colour, ``(Y, X, 3)``, and dtype of a frame of each camera.
    cameras
        Label of each camera, in the order of the events' ``cam`` index.
    info
        What the file says about the detector.
    """

    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    cameras: tuple[str, ...]
    info: DetectorInfo


def run_format(summary: Mapping[str, Any] | None) -> RunFormat:
    """Read the format of the frames from the summary metadata of ``engine.setup_sequence``.

    Raises
    ------
    FrameError
        The summary describes no camera.
    """
    images = (summary or {}).get("image_infos") or ()
    if not summary or not images:
        raise FrameError(
            "the engine's setup_sequence returned no image_infos, so the shape of the frames is unknown; "
            "expected the summary metadata of pymmcore_plus.metadata.summary_metadata: set a camera device"
        )
    image = images[0]
    dtype = np.dtype(np.float32 if image["pixel_format"] == _FLOAT_FORMAT else image["dtype"])
    return RunFormat(
        shape=tuple(map(int, image["plane_shape"])),
        dtype=dtype,
        cameras=_camera_labels(summary, image),
        info=_detector_info(summary, image),
    )


def planned_frames(event: Any) -> int:
    """Return how many frames an event asks of each camera: 0 for autofocus and custom actions."""
    action = getattr(event, "action", None)
    if getattr(action, "type", "acquire_image") != "acquire_image":
        return 0
    return len(getattr(event, "events", None) or (event,))


def planned_in_sequence(sequence: Any) -> int | None:
    """Return how many frames a sequence asks of each camera; None for a generator, whose length is unknown."""
    if type(sequence).__name__ == "GeneratorMDASequence":
        return None
    return sum(map(planned_frames, sequence))


def camera_index(event: Any) -> int:
    """Return which of the run's cameras took the frame of this event."""
    return int(event_index(event).get("cam", 0))


def stored_metadata(meta: Mapping[str, Any] | None) -> dict[str, int]:
    """Return what the file keeps of a frame's metadata; snapped frames have no camera tags."""
    return frame_metadata((meta or {}).get("camera_metadata") or {})


def event_index(event: Any) -> dict[str, int]:
    """Return the event's index on each axis, by the name of the axis."""
    return {str(axis): index for axis, index in getattr(event, "index", {}).items()}


def _camera_labels(summary: Mapping[str, Any], image: Mapping[str, Any]) -> tuple[str, ...]:
    label, count = str(image["camera_label"]), int(image.get("num_camera_adapter_channels", 1))
    if count == 1:
        return (label,)
    properties = _properties(summary, label)
    return tuple(properties.get(f"Physical Camera {number}") or f"{label}-{number}" for number in range(1, count + 1))


def _properties(summary: Mapping[str, Any], label: str) -> dict[str, str]:
    device = _device(summary, label)
    return {entry["name"]: str(entry["value"]) for entry in device.get("properties", ())}


def _device(summary: Mapping[str, Any], label: str) -> Mapping[str, Any]:
    return next((device for device in summary.get("devices", ()) if device["label"] == label), {})


def _detector_info(summary: Mapping[str, Any], image: Mapping[str, Any]) -> DetectorInfo:
    label = str(image["camera_label"])
    device, properties, system = _device(summary, label), _properties(summary, label), summary.get("system_info", {})
    size = float(image.get("pixel_size_um") or 0.0)
    left, top, *_ = image.get("roi") or (0, 0)
    bits = _DIGITS.search(image["pixel_format"])
    return DetectorInfo(
        description=f"{device.get('description', '')} ({device.get('library', '')}/{device.get('name', '')})",
        serial_number=properties.get("CameraID", ""),
        count_time_s=_number(properties.get("Exposure")) / 1e3,
        sample_pixel_um=(size, size) if size else None,
        bit_depth=int(bits[0]) if bits else 0,
        gain=properties.get("Gain", ""),
        acquisition_mode=properties.get("TriggerMode", ""),
        roi_origin=(int(top), int(left)),
        camera={"label": label, "core": system.get("mmcore_version", ""), "properties": properties},
    )


def _number(text: str | None) -> float:
    try:
        return float(text) if text is not None else math.nan
    except ValueError:
        return math.nan
