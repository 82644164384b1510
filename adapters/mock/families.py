"""Simulated cameras that look like those of real device adapters: their properties, tags and refusals.

Names and values are from the adapters' sources and published property lists (docs/cameras.md); none was compared with
the hardware.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from .properties import PropertySpec

if TYPE_CHECKING:
    from .sequence import Entry

Tags = Mapping[str, str]


@dataclass(frozen=True, kw_only=True, slots=True)
class MockFamily:
    """What a camera of one device adapter has beyond, or instead of, the simulated camera's own.

    Parameters
    ----------
    library, device
        Micro-Manager's names of the adapter's library and the device.
    properties
        Its properties; those of the simulated camera that it lacks are `without`.
    without
        Properties that the simulated camera has and this one has not.
    tags
        The tags of its own that a frame carries.
    refused
        Values that its lists have and that it refuses all the same.
    dependent
        ``{property: {value: {other: its list then}}}``: lists that depend on another property's value.
    """

    library: str
    device: str
    properties: Mapping[str, PropertySpec]
    without: tuple[str, ...] = ("CCDTemperature", "CCDTemperature RO", "Offset", "ScanMode", "TriggerMode")
    tags: Callable[["Entry", Mapping[str, str]], Tags] = field(default=lambda _entry, _values: {})
    refused: frozenset[tuple[str, str]] = frozenset()
    dependent: Mapping[str, Mapping[str, Mapping[str, tuple[str, ...]]]] = field(default_factory=dict)


def _choice(*values: str) -> PropertySpec:
    return PropertySpec(values[0], allowed=values, fixed_in_sequence=True)


def _number(value: float, low: float, high: float) -> PropertySpec:
    return PropertySpec(f"{value:.4f}", kind=float, limits=(low, high))


def _read_only(value: str) -> PropertySpec:
    return PropertySpec(value, read_only=True)


def _andor_tags(entry: "Entry", _values: Mapping[str, str]) -> Tags:
    # Six digits, as a C++ stream prints them, from the camera's clock; the counter is the adapter's own.
    text = f"{entry.elapsed_s * 1e3:.6g} [{entry.elapsed_s:.6g} seconds]"
    return {"Camera-ImageNumber": str(entry.image_number), "Camera-ElapsedTime-ms": text}


def _pvcam_tags(entry: "Entry", values: Mapping[str, str]) -> Tags:
    tags = {"PVCAM-FrameNr": str(entry.camera_frame_number), "PVCAM-TimeStampBOF": str(round(entry.elapsed_s * 1e4))}
    if values["MetadataEnabled"] != "Yes":
        return tags
    # Version 3 of the metadata, which the Kinetix sends, is in picoseconds.
    unit, scale = ("Ps", 1e12) if values["ChipName"].startswith("TMP-Kinetix") else ("Ns", 1e9)
    return tags | {
        "PVCAM-FMD-FrameNr": str(entry.camera_frame_number),
        f"PVCAM-FMD-TimestampBof{unit}": str(round(entry.elapsed_s * scale)),
    }


_PVCAM_SPEEDS = {
    "Sensitivity": ("100MHz 12bit", "100MHz 16bit"),
    "Speed": ("200MHz 8bit",),
    "Dynamic Range": ("83MHz 16bit",),
    "Sub-Electron": ("5MHz 16bit",),
}

FAMILIES: dict[str, MockFamily] = {
    "andor_sdk3": MockFamily(
        library="AndorSDK3",
        device="Andor sCMOS Camera",
        properties={
            "TriggerMode": _choice(
                "Internal (Recommended for fast acquisitions)",
                "Software (Recommended for Live Mode)",
                "External",
                "External Start",
                "External Exposure",
            ),
            "Overlap": _choice("On", "Off"),
            "PixelReadoutRate": _choice("560 MHz - fastest readout", "200 MHz - lowest noise"),
            "ElectronicShutteringMode": _choice("Rolling", "Global"),
            "Sensitivity/DynamicRange": _choice(
                "12-bit (high well capacity)", "12-bit (low noise)", "16-bit (low noise & high well capacity)"
            ),
            "SensorTemperature": _read_only("-0.30"),
            "TemperatureControl": _choice("0.00", "5.00"),
            "FrameRate": _number(100, 0.01, 100),
            "RowReadTime": _read_only("9.6e-06"),
            "CameraModel": _read_only("ZYLA-4.2P-CL10"),
        },
        tags=_andor_tags,
    ),
    "hamamatsu": MockFamily(
        library="HamamatsuHam",
        device="HamamatsuHam_DCAM",
        properties={
            "TRIGGER SOURCE": _choice("INTERNAL", "EXTERNAL", "SOFTWARE", "MASTER PULSE"),
            "TRIGGER ACTIVE": _choice("EDGE", "LEVEL", "SYNCREADOUT"),
            "TriggerPolarity": _choice("NEGATIVE", "POSITIVE"),
            "TRIGGER DELAY": _number(0, 0, 10),
            "ScanMode": _choice("2", "1"),
            "SENSOR MODE": _choice("AREA", "PROGRESSIVE", "SPLIT VIEW"),
            "READOUT DIRECTION": _choice("FORWARD", "BACKWARD", "DIVERGE"),
            "INTERNAL LINE INTERVAL": _number(0.0097, 0.0097, 100),
            "MASTER PULSE INTERVAL": _number(0.01, 0.00001, 10),
        },
        without=("CCDTemperature", "CCDTemperature RO", "Offset", "TriggerMode"),
    ),
    "pco": MockFamily(
        library="PCO_Camera",
        device="pco_camera",
        properties={
            "Triggermode": _choice("Internal", "Software", "External", "External Exp. Ctrl."),
            "Acquiremode": _choice("Internal", "External", "Sequence Trigger"),
            "PixelRate": _choice("fast scan", "slow scan"),
            "Cooling Set Point": _number(5, -30, 20),
            "Line Time [us]": _number(9.65, 9.65, 1000),
            "Fps": _number(100, 0.1, 100),
            "Timestampmode": _choice("No stamp", "Binary", "Binary + ASCII"),
        },
    ),
    "pvcam": MockFamily(
        library="PVCAM",
        device="Camera-1",
        properties={
            "Port": _choice(*_PVCAM_SPEEDS),
            "ReadoutRate": _choice(*_PVCAM_SPEEDS["Sensitivity"]),
            "Gain": _choice("1-Full well", "2-Balanced", "3-Sensitivity"),
            "TriggerMode": _choice(
                "Internal Trigger", "Edge Trigger", "Trigger first", "Level Trigger", "Software Trigger Edge"
            ),
            "ExposeOutMode": _choice("First Row", "Any Row", "Rolling Shutter"),
            "ScanDirection": _choice("Down", "Up"),
            "CCDTemperature": _read_only("-25.00"),
            "CCDTemperatureSetPoint": _number(-25, -25, 0),
            "ActualInterval-ms": _read_only("12.0000"),
            "ScanLineTime": _read_only("7063"),
            "ChipName": _read_only("TMP-Kinetix"),
            "MetadataEnabled": _choice("No", "Yes"),
            "CircularBufferEnabled": _choice("ON", "OFF"),
            "DiskStreamingEnabled": _choice("No", "Yes"),
        },
        tags=_pvcam_tags,
        refused=frozenset({("TriggerMode", "Software Trigger Edge")}),
        dependent={"Port": {port: {"ReadoutRate": speeds} for port, speeds in _PVCAM_SPEEDS.items()}},
    ),
    "tucam": MockFamily(
        library="TUCam",
        device="TUCam",
        properties={
            "Trigger Mode": _choice("Off", "Standard", "Synchronization", "Global", "Software"),
            "Trigger Exposure Mode": _choice("Timed", "Width"),
            "Trigger Edge Mode": _choice("Rising", "Falling"),
            "Trigger Delay": _number(0, 0, 1_000_000),
            "Mode": _choice("High Dynamic", "High Speed", "High Sensitivity", "Global Reset"),
            "Gain": _choice("High Dynamic", "High Gain", "Low Gain"),
            "Temperature": _number(-10, -50, 50),
            "Frame Rate": _number(50, 0.1, 100),
        },
    ),
}
"""The families that can be simulated, by the names that the driver has for them."""
