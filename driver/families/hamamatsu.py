"""Hamamatsu ORCA cameras: the adapter HamamatsuHam."""

from .family import Choice, Family, Number, OwnWords

HAMAMATSU = Family(
    name="hamamatsu",
    library="HamamatsuHam",
    features={
        "trigger.mode": Choice(
            words={
                "internal": (("TRIGGER SOURCE", "INTERNAL"),),
                "software": (("TRIGGER SOURCE", "SOFTWARE"), ("TRIGGER ACTIVE", "EDGE")),
                "edge": (("TRIGGER SOURCE", "EXTERNAL"), ("TRIGGER ACTIVE", "EDGE")),
                "level": (("TRIGGER SOURCE", "EXTERNAL"), ("TRIGGER ACTIVE", "LEVEL")),
                "synchronous": (("TRIGGER SOURCE", "EXTERNAL"), ("TRIGGER ACTIVE", "SYNCREADOUT")),
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
        "readout.speed": OwnWords(properties=("ScanMode",)),
        "readout.shutter": OwnWords(properties=("SENSOR MODE",)),
        "readout.direction": OwnWords(properties=("READOUT DIRECTION",)),
        "gain": OwnWords(properties=("CONVERSION FACTOR COEFF",)),
        "sensor_temperature_c": Number(properties=("SENSOR TEMPERATURE", "CCDTemperature")),
        "frame_rate_hz": Number(properties=("MASTER PULSE INTERVAL",), inverse=True),
        "line_time_us": Number(properties=("INTERNAL LINE INTERVAL",), per_unit=1e3),
    },
    order=("SENSOR MODE", "ScanMode", "TRIGGER SOURCE", "TRIGGER ACTIVE"),
)
