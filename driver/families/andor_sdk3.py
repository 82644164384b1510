"""Andor Zyla, Neo, Sona, Marana and ZL41 Wave: the adapter AndorSDK3."""

from .family import Choice, Family, Number, OwnWords, TimeStamp


def clock_step_ns(stamp_ns: int) -> int:
    """Return the steps of a time that the adapter prints in ms with six digits, as a C++ stream does by default."""
    digits_before_point = len(str(stamp_ns // 1_000_000))
    step_ns: int = 10**digits_before_point
    return step_ns


def _output(number: int) -> Choice:
    name = f"AuxOut{number} (TTL I/O)"
    return Choice(
        words={
            "exposure": ((name, "FireAny"),),
            "first_row": ((name, "FireRow1"),),
            "last_row": ((name, "FireRowN"),),
            "all_rows": ((name, "FireAll"),),
        }
    )


ANDOR_SDK3 = Family(
    name="andor_sdk3",
    library="AndorSDK3",
    features={
        "trigger.mode": Choice(
            words={
                "internal": (("TriggerMode", "Internal*"),),
                "software": (("TriggerMode", "Software*"),),
                "edge": (("TriggerMode", "External"),),
                "level": (("TriggerMode", "External Exposure"),),
                "start": (("TriggerMode", "External Start"),),
            }
        ),
        "trigger.overlap": Choice(words={"on": (("Overlap", "On"),), "off": (("Overlap", "Off"),)}),
        "trigger.delay_us": Number(properties=("ExternalTriggerDelay",), per_unit=1e6),
        **{f"output{number}.source": _output(number) for number in (1, 2, 3)},
        "light_sheet.mode": Choice(
            words={
                "on": (("LightScanPlus-ScanSpeedControlEnable", "On"),),
                "off": (("LightScanPlus-ScanSpeedControlEnable", "Off"),),
            }
        ),
        "light_sheet.line_interval_us": Number(
            properties=("LightScanPlus-LineScanSpeed [lines/sec]",), per_unit=1e6, inverse=True
        ),
        "light_sheet.exposed_lines": Number(properties=("LightScanPlus-ExposedPixelHeight",)),
        "readout.speed": OwnWords(properties=("PixelReadoutRate",)),
        "readout.shutter": Choice(
            words={
                "rolling": (("ElectronicShutteringMode", "Rolling*"),),
                "global": (("ElectronicShutteringMode", "Global*"),),
            }
        ),
        "readout.direction": OwnWords(properties=("LightScanPlus-SensorReadoutMode",)),
        "gain": OwnWords(properties=("Sensitivity/DynamicRange",)),
        "sensor_temperature_c": Number(properties=("SensorTemperature",)),
        "temperature_setpoint_c": Number(properties=("TemperatureControl",)),
        "frame_rate_hz": Number(properties=("FrameRate",), limits_property="FrameRateLimits"),
        "line_time_us": Number(properties=("RowReadTime",), per_unit=1e6),
    },
    order=(
        "PixelReadoutRate",
        "ElectronicShutteringMode",
        "Sensitivity/DynamicRange",
        "TriggerMode",
        "LightScanPlus-ScanSpeedControlEnable",
    ),
    # ImageNumber with a prefix is counted by the adapter after each frame was taken: it never jumps.
    losses_seen=(
        "losses before the core show in the camera's clock alone, and only while its steps are shorter than a frame: "
        "1 ms from 100 s, 10 ms from 1,000 s, 100 ms from 10,000 s on"
    ),
    time_stamp=lambda _values: TimeStamp("camera", "not documented; since the sequence's first frame"),
    clock_step_ns=clock_step_ns,
)
