"""Teledyne Photometrics Prime, Kinetix and Retiga: the adapter PVCAM."""

from ...errors import SettingError
from .family import HOST_TIME, Choice, Family, Number, OwnWords, TimeStamp, Values


def _check_start(values: Values) -> None:
    if values.get("DiskStreamingEnabled", "No") == "Yes":
        raise SettingError(
            "DiskStreamingEnabled is 'Yes', with which the camera's driver hands on only some of its frames: "
            "set it to No"
        )


def _warnings(values: Values) -> list[str]:
    if values.get("CircularBufferEnabled", "ON").upper() == "OFF":
        return ["CircularBufferEnabled is OFF: frames that are lost before the core cannot be seen"]
    if values.get("MetadataEnabled", "Yes") != "Yes":
        return ["MetadataEnabled is No: time stamps are those of the computer; with Yes they are the camera's"]
    return []


def _time_stamp(values: Values) -> TimeStamp:
    return TimeStamp("camera", "start of the exposure") if values.get("MetadataEnabled") == "Yes" else HOST_TIME


PVCAM = Family(
    name="pvcam",
    library="PVCAM",
    features={
        "trigger.mode": Choice(
            words={
                "internal": (("TriggerMode", "Internal*"),),
                "software": (("TriggerMode", "Software*"),),
                "edge": (("TriggerMode", "Edge*"),),
                "level": (("TriggerMode", "Level*"),),
                "start": (("TriggerMode", "Trigger?first*"),),
            }
        ),
        "output1.source": Choice(
            words={
                "exposure": (("ExposeOutMode", "Any Row*"),),
                "first_row": (("ExposeOutMode", "First Row*"),),
                "all_rows": (("ExposeOutMode", "All Rows*"),),
                "rolling_shutter": (("ExposeOutMode", "Rolling Shutter*"),),
                "line_output": (("ExposeOutMode", "Line Output*"),),
            }
        ),
        "light_sheet.mode": Choice(
            words={
                "on": (("ScanMode", "*Line Delay*"),),
                "by_width": (("ScanMode", "*Scan Width*"),),
                "off": (("ScanMode", "Auto*"),),
            }
        ),
        "light_sheet.line_interval_us": Number(properties=("ScanLineTime",), per_unit=1e-3),
        "light_sheet.line_delay": Number(properties=("ScanLineDelay",)),
        "light_sheet.exposed_lines": Number(properties=("ScanWidth",)),
        "readout.port": OwnWords(properties=("Port",)),
        "readout.speed": OwnWords(properties=("ReadoutRate",)),
        "readout.direction": OwnWords(properties=("ScanDirection",)),
        "gain": OwnWords(properties=("Gain",)),
        "sensor_temperature_c": Number(properties=("CCDTemperature",)),
        "temperature_setpoint_c": Number(properties=("CCDTemperatureSetPoint",)),
        "frame_rate_hz": Number(properties=("ActualInterval-ms",), per_unit=1e3, inverse=True),
        "line_time_us": Number(properties=("ScanLineTime",), per_unit=1e-3),
    },
    # Each decides the next one's list.
    order=("Port", "ReadoutRate", "Gain", "TriggerMode", "ExposeOutMode", "ScanMode"),
    readings=("ActualInterval-ms",),
    losses_seen="PVCAM-FrameNr counts the frames of the driver: a gap is a loss before the core",
    time_stamp=_time_stamp,
    check_start=_check_start,
    warnings=_warnings,
)
