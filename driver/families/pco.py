"""PCO edge and panda cameras: the adapter PCO_Camera, which exists on Windows alone."""

from .family import Choice, Family, Number, OwnWords, Values


def _warnings(values: Values) -> list[str]:
    warnings = []
    mode = values.get("Triggermode", "")
    if mode.startswith("External") or values.get("Acquiremode", "Internal") not in ("Internal", ""):
        warnings.append(
            f"Triggermode is {mode!r}: while the camera waits for a trigger its driver cannot be stopped; if triggers "
            "fail to come, stopping the recording hangs until one comes"
        )
    if mode.startswith("Software"):
        warnings.append("Triggermode is 'Software', which this camera takes for internal triggers in a sequence")
    if values.get("Timestampmode", "No stamp").startswith("Binary"):
        warnings.append(
            "Timestampmode writes a stamp into the first pixels of each frame: they are no image "
            "(pixel_stamp='pco' reads it)"
        )
    return warnings


PCO = Family(
    name="pco",
    library="PCO_*",
    features={
        "trigger.mode": Choice(
            words={
                "internal": (("Triggermode", "Internal"), ("Acquiremode", "Internal")),
                "software": (("Triggermode", "Software"), ("Acquiremode", "Internal")),
                "edge": (("Triggermode", "External"), ("Acquiremode", "Internal")),
                "level": (("Triggermode", "External Exp. Ctrl."), ("Acquiremode", "Internal")),
                "start": (("Triggermode", "Internal"), ("Acquiremode", "Sequence Trigger")),
            }
        ),
        "readout.speed": OwnWords(properties=("PixelRate",)),
        "trigger.burst_frames": Number(properties=("Acquire Sequence Number Images",)),
        # Signals 1 and 2 are inputs; the text in brackets is the camera's own.
        "output3.source": Choice(
            words={"busy": (("Signal 3 (*) Status", "on"),), "off": (("Signal 3 (*) Status", "off"),)}
        ),
        "output4.source": Choice(
            words={
                "exposure": (("Signal 4 (*) Status", "on"), ("Signal 4 (*) Timing", "*overall*")),
                "first_row": (("Signal 4 (*) Status", "on"), ("Signal 4 (*) Timing", "*First Line*")),
                "last_row": (("Signal 4 (*) Status", "on"), ("Signal 4 (*) Timing", "*Last Line*")),
                "all_rows": (("Signal 4 (*) Status", "on"), ("Signal 4 (*) Timing", "*common*")),
                "off": (("Signal 4 (*) Status", "off"),),
            }
        ),
        "light_sheet.mode": Choice(
            words={"on": (("Line Scanning Mode", "On"),), "off": (("Line Scanning Mode", "Off"),)}
        ),
        "light_sheet.line_interval_us": Number(
            properties=("Line Scanning Mode Line Time",),
            unit_property="Line Scanning Mode Timebase",
            units={"ns": 1e-3, "us": 1.0, "ms": 1e3},
        ),
        "light_sheet.exposed_lines": Number(properties=("Line Scanning Mode Exposure Lines",)),
        "gain": OwnWords(properties=("Conversion factor*100",)),
        "temperature_setpoint_c": Number(properties=("Cooling Set Point",)),
        "frame_rate_hz": Number(properties=("Fps",)),
        "line_time_us": Number(properties=("Line Time [us]",)),
    },
    order=("PixelRate", "Acquiremode", "Triggermode", "Line Scanning Mode", "Line Scanning Mode Timebase"),
    losses_seen=(
        "losses before the core cannot be seen, unless Timestampmode stamps the camera's counter into the pixels "
        "(pixel_stamp='pco' reads it)"
    ),
    warnings=_warnings,
)
