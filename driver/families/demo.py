"""Micro-Manager's simulated DemoCamera, which has no trigger."""

from .family import Choice, Family, Number, OwnWords

DEMO = Family(
    name="demo",
    library="DemoCamera",
    features={
        "trigger.mode": Choice(words={"internal": ()}),
        "readout.speed": OwnWords(properties=("ScanMode",)),
        "gain": OwnWords(properties=("Gain",)),
        "sensor_temperature_c": Number(properties=("CCDTemperature RO", "CCDTemperature")),
        "temperature_setpoint_c": Number(properties=("CCDTemperature",)),
    },
    losses_seen="this camera loses no frames before the core",
)
