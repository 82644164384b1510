"""Simulated cameras that look like those of real device adapters: their properties, tags and refusals.

Names and values are from the adapters' sources and published property lists (docs/cameras.md); none was compared with
the hardware.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from ..core_adapter import Image
from .properties import PropertySpec

if TYPE_CHECKING:
    from .sequence import Entry

Tags = Mapping[str, str]

_SWITCHED_ON = datetime(2026, 1, 1, tzinfo=UTC)


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
    banks
        ``{selector: properties}``: properties that have a value of their own for each value of the selector.
    inert
        Properties that can be set without an error and show what they showed.
    continuous
        Properties that the adapter sets silently when a sequence without a count is started.
    waits_for_trigger
        Values of properties with which the driver does not return from a stop before the next trigger.
    stamp
        Writes into the pixels of a frame what the camera writes there.
    """

    library: str
    device: str
    properties: Mapping[str, PropertySpec]
    without: tuple[str, ...] = ("CCDTemperature", "CCDTemperature RO", "Offset", "ScanMode", "TriggerMode")
    tags: Callable[["Entry", Mapping[str, str]], Tags] = field(default=lambda _entry, _values: {})
    refused: frozenset[tuple[str, str]] = frozenset()
    dependent: Mapping[str, Mapping[str, Mapping[str, tuple[str, ...]]]] = field(default_factory=dict)
    banks: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    inert: frozenset[str] = frozenset()
    continuous: Mapping[str, str] = field(default_factory=dict)
    waits_for_trigger: frozenset[tuple[str, str]] = frozenset()
    stamp: Callable[[Image, "Entry", Mapping[str, str]], None] = field(default=lambda _image, _entry, _values: None)


def _choice(*values: str) -> PropertySpec:
    return PropertySpec(values[0], allowed=values, fixed_in_sequence=True)


def _number(value: float, low: float, high: float) -> PropertySpec:
    return PropertySpec(f"{value:.4f}", kind=float, limits=(low, high))


def _whole(value: int, low: int, high: int) -> PropertySpec:
    return PropertySpec(str(value), kind=int, limits=(low, high))


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


def _write_pco_stamp(image: Image, entry: "Entry", mode: str) -> None:
    """Write what `read_pco_stamp` reads into the first 14 pixels, if ``Timestampmode`` is a binary one."""
    if not mode.startswith("Binary"):
        return
    time = _SWITCHED_ON + timedelta(seconds=entry.elapsed_s)
    digits = f"{entry.camera_frame_number:08}{time:%Y%m%d%H%M%S%f}"
    numbers = [int(digits[at : at + 2], 16) for at in range(0, len(digits), 2)]
    image[0, : len(numbers)] = numbers[: image.shape[1]]


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
            "FrameRateLimits": _read_only("Min: 0.016  Max: 100.5  Max Sustain: 52.3"),
            "ExternalTriggerDelay": _number(0, 0, 10),
            **{
                f"AuxOut{number} (TTL I/O)": _choice("FireRow1", "FireRowN", "FireAll", "FireAny")
                for number in (1, 2, 3)
            },
            "LightScanPlus-SensorReadoutMode": _choice(
                "Bottom Up Sequential", "Centre Out Simultaneous", "Top Down Sequential"
            ),
            "LightScanPlus-ScanSpeedControlEnable": _choice("Off", "On"),
            "LightScanPlus-LineScanSpeed [lines/sec]": _number(104_166, 20, 104_166),
            "LightScanPlus-ExposedPixelHeight": _whole(1024, 1, 2048),
            "RowReadTime": _read_only("9.6e-06"),
            "CameraModel": _read_only("ZYLA-4.2P-CL10"),
        },
        tags=_andor_tags,
        continuous={"TriggerMode": "Software (Recommended for Live Mode)"},
    ),
    "hamamatsu": MockFamily(
        library="HamamatsuHam",
        device="HamamatsuHam_DCAM",
        properties={
            "TRIGGER SOURCE": _choice("INTERNAL", "EXTERNAL", "SOFTWARE", "MASTER PULSE"),
            "TRIGGER ACTIVE": _choice("EDGE", "LEVEL", "SYNCREADOUT"),
            "Trigger": _choice("NORMAL", "START"),
            "TriggerPolarity": _choice("NEGATIVE", "POSITIVE"),
            "TRIGGER DELAY": _number(0, 0, 10),
            "ScanMode": _choice("2", "1"),
            "SENSOR MODE": _choice("AREA", "PROGRESSIVE", "SPLIT VIEW"),
            "READOUT DIRECTION": _choice("FORWARD", "BACKWARD", "DIVERGE"),
            "INTERNAL LINE INTERVAL": _number(0.0097, 0.0097, 100),
            "MASTER PULSE INTERVAL": _number(0.01, 0.00001, 10),
            "SENSOR TEMPERATURE": _read_only("-10.5"),
            "SENSOR TEMPERATURE TARGET": _number(-10, -20, 20),
            **{
                f"OUTPUT TRIGGER {name}[{index}]": spec
                for index in (0, 1, 2)
                for name, spec in {
                    "KIND": _choice("LOW", "EXPOSURE", "PROGRAMABLE", "TRIGGER READY", "HIGH", "ANYROW EXPOSURE"),
                    "SOURCE": _choice("READOUT END", "VSYNC", "HSYNC", "TRIGGER"),
                    "POLARITY": _choice("NEGATIVE", "POSITIVE"),
                    "DELAY": _number(0, 0, 10),
                    "PERIOD": _number(0.001, 0.000001, 10),
                }.items()
            },
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
            "Line Time [us]": _read_only("9.65"),
            "Fps": _number(100, 0.1, 100),
            "Timestampmode": _choice("No stamp", "Binary", "Binary + ASCII"),
            "Acquire Sequence Number Images": _whole(1, 0, 10_000),
            "Signal 3 (Status Busy) Status": _choice("on", "off"),
            "Signal 4 (Status Expos) Status": _choice("on", "off"),
            "Signal 4 (Status Expos) Timing": _choice(
                "Show time of 'First Line'",
                "Show common time of 'All Lines'",
                "Show time of 'Last Line'",
                "Show overall time of 'All Lines'",
            ),
            "Line Scanning Mode": _choice("Off", "On"),
            "Line Scanning Mode Timebase": _choice("us", "ns", "ms"),
            "Line Scanning Mode Line Time": _whole(10, 1, 100_000),
            "Line Scanning Mode Delay Lines": _whole(0, 0, 2048),
            "Line Scanning Mode Exposure Lines": _whole(100, 1, 2048),
        },
        waits_for_trigger=frozenset({("Triggermode", "External"), ("Triggermode", "External Exp. Ctrl.")}),
        stamp=lambda image, entry, values: _write_pco_stamp(image, entry, values["Timestampmode"]),
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
            "ExposeOutMode": _choice("First Row", "All Rows", "Any Row", "Rolling Shutter", "Line Output"),
            "ScanMode": _choice("Auto", "Line Delay", "Scan Width"),
            "ScanDirection": _choice("Down", "Up"),
            "ScanLineDelay": _whole(1, 0, 65535),
            "ScanWidth": _whole(10, 1, 3200),
            "CCDTemperature": _read_only("-25.00"),
            "CCDTemperatureSetPoint": _number(-25, -25, 0),
            "ActualInterval-ms": PropertySpec("12.0000", kind=float),  # it can be set, to no effect
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
            "Trigger Mode": _choice(
                "Off", "Standard(Overlap)", "Standard(Non-Overlap)", "Synchronization", "Global", "Software"
            ),
            "Trigger Exposure Mode": _choice("Timed", "Width"),
            "Trigger Edge Mode": _choice("Rising", "Falling"),
            "Trigger Delay": _number(0, 0, 1_000_000),
            "Mode": _choice("High Dynamic", "High Speed", "High Sensitivity", "Global Reset"),
            "Gain": _choice("High Dynamic", "High Gain", "Low Gain"),
            "Temperature": _number(-10, -50, 50),
            "Frame Rate": _number(50, 0.1, 100),
            "Trigger Frames": _whole(1, 1, 65535),
            "Output Trigger Port": _choice("1", "2", "3"),
            "Output Trigger Kind": _choice(
                "Exposure Start", "Readout End", "Global Exposure", "Trigger Ready", "Low", "High"
            ),
            "Output Trigger Edge Mode": _choice("Rising", "Falling"),
            "Output Trigger Delay": _whole(0, 0, 10_000_000),
            "Output Trigger Width": _whole(1, 1, 10_000_000),
            "Rollingshutter Status": _choice("Off", "Line Time Delay", "Slit Height"),
            "Rollingshutter Readout Direction": _choice("Down", "Up", "Down Up Cycle"),
            "Rollingshutter Line Time Delay": _whole(1, 1, 1000),
            "Rollingshutter Slit Height": _whole(1, 1, 2048),
            "Rollingshutter Rolling Speed": PropertySpec("7.20 us/row"),
        },
        banks={
            "Output Trigger Port": (
                "Output Trigger Kind",
                "Output Trigger Edge Mode",
                "Output Trigger Delay",
                "Output Trigger Width",
            )
        },
        inert=frozenset({"Temperature", "Rollingshutter Rolling Speed"}),
    ),
}
"""The families that can be simulated, by the names that the driver has for them."""
