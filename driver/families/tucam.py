"""Tucsen Dhyana, Aries and FL cameras: the adapter TUCam."""

from .family import Choice, Family, Number, OwnWords

TUCAM = Family(
    name="tucam",
    library="TUCam",
    features={
        "trigger.mode": Choice(
            words={
                "internal": (("Trigger Mode", "Off"),),
                "software": (("Trigger Mode", "Software"),),
                "edge": (("Trigger Mode", "Standard*"), ("Trigger Exposure Mode", "Timed")),
                "level": (("Trigger Mode", "Standard*"), ("Trigger Exposure Mode", "Width")),
                "synchronous": (("Trigger Mode", "Synchronization*"),),
                "global": (("Trigger Mode", "Global*"),),
            }
        ),
        "trigger.activation": Choice(
            words={
                "rising_edge": (("Trigger Edge Mode", "Rising*"),),
                "falling_edge": (("Trigger Edge Mode", "Falling*"),),
            }
        ),
        "trigger.delay_us": Number(properties=("Trigger Delay",)),
        "readout.speed": OwnWords(properties=("PixelClock", "Mode")),
        "readout.shutter": OwnWords(properties=("Shutter Mode", "Rollingshutter Status")),
        "readout.direction": OwnWords(properties=("Rollingshutter Direction",)),
        "gain": OwnWords(properties=("Gain",)),
        "sensor_temperature_c": Number(properties=("Temperature",)),
        "frame_rate_hz": Number(properties=("Frame Rate",)),
        "line_time_us": Number(properties=("Rollingshutter Line Time Delay",)),
    },
    order=("Mode", "Gain", "Trigger Mode", "Trigger Exposure Mode"),
)
