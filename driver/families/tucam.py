"""Tucsen Dhyana, Aries and FL cameras: the adapter TUCam."""

from .family import Choice, Family, Feature, Number, OwnWords

_OUTPUT: dict[str, Feature] = {
    "source": Choice(
        words={
            "exposure_start": (("Output Trigger Kind", "Exposure Start"),),
            "all_rows": (("Output Trigger Kind", "Global Exposure"),),
            "readout_end": (("Output Trigger Kind", "Readout End"),),
            "trigger_ready": (("Output Trigger Kind", "Trigger Ready"),),
            "low": (("Output Trigger Kind", "Low"),),
            "high": (("Output Trigger Kind", "High"),),
        }
    ),
    "polarity": Choice(
        words={
            "positive": (("Output Trigger Edge Mode", "Rising"),),
            "negative": (("Output Trigger Edge Mode", "Falling"),),
        }
    ),
    "delay_us": Number(properties=("Output Trigger Delay",)),
    "width_us": Number(properties=("Output Trigger Width",)),
}

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
        "trigger.overlap": Choice(
            words={
                "on": (("Trigger Mode", "Standard(Overlap)"),),
                "off": (("Trigger Mode", "Standard(Non-Overlap)"),),
            }
        ),
        "trigger.delay_us": Number(properties=("Trigger Delay",)),
        "trigger.burst_frames": Number(properties=("Trigger Frames",)),
        **{f"output{port}.{name}": feature for port in (1, 2, 3) for name, feature in _OUTPUT.items()},
        "light_sheet.mode": Choice(
            words={
                "on": (("Rollingshutter Status", "*Line*"),),
                "by_width": (("Rollingshutter Status", "*Slit*"),),
                "off": (("Rollingshutter Status", "Off*"),),
            }
        ),
        "light_sheet.line_interval_us": Number(properties=("Rollingshutter Rolling Speed",)),
        "light_sheet.line_delay": Number(properties=("Rollingshutter Line Time Delay",)),
        "light_sheet.exposed_lines": Number(properties=("Rollingshutter Slit Height",)),
        "readout.speed": OwnWords(properties=("PixelClock", "Mode")),
        "readout.shutter": OwnWords(properties=("Shutter Mode",)),
        "readout.direction": OwnWords(properties=("Rollingshutter Readout Direction",)),
        "gain": OwnWords(properties=("Gain",)),
        "sensor_temperature_c": Number(properties=("Temperature",)),
        "temperature_setpoint_c": Number(properties=("Temperature",), write_only=True),
        "frame_rate_hz": Number(properties=("Frame Rate",)),
        "line_time_us": Number(properties=("Rollingshutter Rolling Speed",)),  # a text such as 7.20 us/row
    },
    selectors={f"output{port}.": ("Output Trigger Port", str(port)) for port in (1, 2, 3)},
    readings=("Rollingshutter Rolling Speed", "Temperature"),  # Temperature sets the set point and reads the sensor
    order=("Mode", "Gain", "Trigger Mode", "Trigger Exposure Mode"),
)
