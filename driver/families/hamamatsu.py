"""Hamamatsu ORCA cameras: the adapter HamamatsuHam."""

from .family import Choice, Family, Feature, Number, OwnWords

# DCAM's trigger mode, which the adapter calls Trigger; not every camera has it, or its START.
_EACH_FRAME = ("Trigger", "NORMAL")


def _output(index: int) -> dict[str, Feature]:
    """Return the settings of an output, which the camera counts from 0."""
    kind, source = f"OUTPUT TRIGGER KIND[{index}]", f"OUTPUT TRIGGER SOURCE[{index}]"
    polarity = f"OUTPUT TRIGGER POLARITY[{index}]"
    name = f"output{index + 1}"
    return {
        f"{name}.source": Choice(
            words={
                "exposure": ((kind, "ANYROW EXPOSURE"),),
                "all_rows": ((kind, "GLOBAL EXPOSURE|EXPOSURE"),),
                "readout_end": ((kind, "PROGRAM*ABLE"), (source, "READOUT END")),
                "vsync": ((kind, "PROGRAM*ABLE"), (source, "VSYNC")),
                "trigger_ready": ((kind, "TRIGGER READY"),),
                "low": ((kind, "LOW"),),
                "high": ((kind, "HIGH"),),
            }
        ),
        f"{name}.polarity": Choice(
            words={"positive": ((polarity, "POSITIVE"),), "negative": ((polarity, "NEGATIVE"),)}
        ),
        f"{name}.delay_us": Number(properties=(f"OUTPUT TRIGGER DELAY[{index}]",), per_unit=1e6),
        f"{name}.width_us": Number(properties=(f"OUTPUT TRIGGER PERIOD[{index}]",), per_unit=1e6),
    }


HAMAMATSU = Family(
    name="hamamatsu",
    library="HamamatsuHam",
    features={
        "trigger.mode": Choice(
            words={
                "internal": (("TRIGGER SOURCE", "INTERNAL"),),
                "software": (("TRIGGER SOURCE", "SOFTWARE"), ("TRIGGER ACTIVE", "EDGE"), _EACH_FRAME),
                "edge": (("TRIGGER SOURCE", "EXTERNAL"), ("TRIGGER ACTIVE", "EDGE"), _EACH_FRAME),
                "level": (("TRIGGER SOURCE", "EXTERNAL"), ("TRIGGER ACTIVE", "LEVEL"), _EACH_FRAME),
                "synchronous": (("TRIGGER SOURCE", "EXTERNAL"), ("TRIGGER ACTIVE", "SYNCREADOUT"), _EACH_FRAME),
                "start": (("Trigger", "START"), ("TRIGGER SOURCE", "EXTERNAL"), ("TRIGGER ACTIVE", "EDGE")),
                "master_pulse": (("TRIGGER SOURCE", "MASTER PULSE"),),
            }
        ),
        "trigger.activation": Choice(
            words={
                "rising_edge": (("TriggerPolarity", "POSITIVE"),),
                "falling_edge": (("TriggerPolarity", "NEGATIVE"),),
            }
        ),
        "trigger.delay_us": Number(properties=("TRIGGER DELAY",), per_unit=1e6),
        **_output(0),
        **_output(1),
        **_output(2),
        "light_sheet.mode": Choice(
            words={"on": (("SENSOR MODE", "PROGRESSIVE"),), "off": (("SENSOR MODE", "AREA"),)},
        ),
        "light_sheet.line_interval_us": Number(properties=("INTERNAL LINE INTERVAL",), per_unit=1e3),
        "readout.speed": OwnWords(properties=("ScanMode",)),
        "readout.shutter": OwnWords(properties=("SENSOR MODE",)),
        "readout.direction": OwnWords(properties=("READOUT DIRECTION",)),
        "gain": OwnWords(properties=("CONVERSION FACTOR COEFF",)),
        "sensor_temperature_c": Number(properties=("SENSOR TEMPERATURE", "CCDTemperature")),
        "temperature_setpoint_c": Number(properties=("SENSOR TEMPERATURE TARGET",)),
        "frame_rate_hz": Number(properties=("MASTER PULSE INTERVAL",), inverse=True),
        "line_time_us": Number(properties=("INTERNAL LINE INTERVAL",), per_unit=1e3),
    },
    order=("SENSOR MODE", "ScanMode", "Trigger", "TRIGGER SOURCE", "TRIGGER ACTIVE"),
)
