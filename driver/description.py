"""What a recording's file says of its camera."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

from ..persistence import DetectorInfo
from .families import Family
from .saved_settings import plain_settings

if TYPE_CHECKING:
    from .settings import CameraSettings


def describe(camera: "CameraSettings", values: Mapping[str, str], family: Family) -> DetectorInfo:
    """Return what is known of a camera, for the file.

    Parameters
    ----------
    camera
        The camera.
    values
        Its properties, as `Properties.read_all` returned them.
    family
        The table of its family.
    """
    about, roi, size = camera.core.device_info(camera.label), camera.roi, camera.pixel_size_um
    settings = plain_settings(camera, values, readings=family.readings)
    return DetectorInfo(
        description=f"{about['description']} ({about['library']}/{about['name']})",
        serial_number=values.get("CameraID", ""),
        count_time_s=settings["exposure_ms"] / 1e3,
        sample_pixel_um=(size, size) if size else None,
        bit_depth=camera.bit_depth,
        gain=values.get("Gain", ""),
        acquisition_mode=values.get("TriggerMode", ""),
        roi_origin=(roi.y, roi.x),
        camera={
            "label": camera.label,
            "core": camera.core.version(),
            "backend": camera.core.backend,
            "binning": settings["binning"],
            "family": family.name,
            "losses_before_core": family.losses_seen,
            "time_stamp": family.time_stamp(values)._asdict(),
            "roi": {"x": roi.x, "y": roi.y, "width": roi.width, "height": roi.height},
            "properties": dict(values),
            "settings": settings,
        },
    )
