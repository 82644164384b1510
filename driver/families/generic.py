"""A camera of which nothing is known: what properties are usually called."""

from .family import Choice, Family, Number, OwnWords

GENERIC = Family(
    name="generic",
    library="*",
    features={
        "trigger.mode": Choice(
            words={
                "internal": (("TriggerMode", "Internal*"),),
                "software": (("TriggerMode", "Software*"),),
                "edge": (("TriggerMode", "External*"),),
                "level": (("TriggerMode", "*Level*"),),
            }
        ),
        "readout.speed": OwnWords(properties=("ScanMode", "ReadoutRate", "PixelRate", "ReadoutMode")),
        "gain": OwnWords(properties=("Gain",)),
        "sensor_temperature_c": Number(properties=("CCDTemperature RO", "CCDTemperature", "SensorTemperature")),
        "frame_rate_hz": Number(properties=("FrameRate", "Frame Rate", "Fps")),
    },
)
