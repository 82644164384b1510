"""A camera's settings: checked, set, read back, and never touched while a sequence runs."""

import logging
import math
import operator
import re
from collections.abc import Callable, Mapping
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any

from ..adapters import CoreAdapter, Image, ImageFormat, Roi
from ..errors import CameraBusyError, CoreError, SettingError
from ..persistence import DetectorInfo
from .families import family_of
from .properties import Properties
from .saved_settings import SettingsReport, checked_settings, set_properties
from .vocabulary import Readout, Trigger, Vocabulary

_log = logging.getLogger("mmspool")

_EXPOSURE_TOLERANCE = 0.1  # relative; sCMOS cameras round to whole line times, about 10 us
_LINE_TIME_MS = 0.05
_WHOLE_SENSOR = 0.9  # of its area: a larger region may have been rounded up to it
_FIELDS = ("core", "label", "properties")


class CameraSettings:
    """The settings of the core's camera. Every setter reads back what the camera made of the value.

    Cameras round exposures and regions: read the setting again to see the value in force; a rounded one is logged, one
    that was not taken is a `SettingError`.

    Parameters
    ----------
    core
        The core whose current camera this is.
    """

    def __init__(self, core: CoreAdapter) -> None:
        self.core = core
        self.label = core.camera_label()
        self.properties = Properties(core, self.label, self._before_set)
        self._sensor_size: tuple[int, int] | None = None
        self._vocabulary = Vocabulary(self.label, self.properties, family_of(core.device_info(self.label)["library"]))

    if not TYPE_CHECKING:  # with it, mypy would take any name

        def __setattr__(self, name: str, value: object) -> None:
            if not name.startswith("_") and name not in _FIELDS and not hasattr(type(self), name):
                names = [each for each in dir(type(self)) if not each.startswith("_")]
                nearest = get_close_matches(name.lower(), names, 1, cutoff=0.4)
                hint = f"did you mean {nearest[0]}? " if nearest else ""
                raise AttributeError(
                    f"{type(self).__name__} has no setting {name!r}: {hint}Device properties are in camera.properties"
                )
            super().__setattr__(name, value)

    @property
    def exposure_ms(self) -> float:
        """Exposure, ms."""
        return self.core.get_exposure_ms()

    @exposure_ms.setter
    def exposure_ms(self, value: float) -> None:
        asked = float(value)
        limits = self.properties.describe("Exposure").limits if "Exposure" in self.properties else None
        lower, upper = limits or (0.0, math.inf)
        if not max(0.0, lower) <= asked <= upper:
            raise SettingError(f"exposure_ms = {asked:g} is out of range: {self.label} takes {lower:g} to {upper:g} ms")
        self._require_idle("set the exposure")
        self.core.set_exposure_ms(asked)
        got = self.core.get_exposure_ms()
        if not math.isclose(asked, got, rel_tol=_EXPOSURE_TOLERANCE, abs_tol=_LINE_TIME_MS):
            raise SettingError(f"exposure_ms was set to {asked:g}, but {self.label} made it {got:g} ms")
        _note_rounding("exposure_ms", asked, got)

    @property
    def roi(self) -> Roi:
        """The region that is read out, pixels as they arrive (binned); takes ``(x, y, width, height)`` too."""
        return self.core.get_roi()

    @roi.setter
    def roi(self, value: Roi | tuple[int, int, int, int]) -> None:
        value = _as_roi(value)
        height, width = self.sensor_size()
        binning = self.binning
        height, width = height // binning, width // binning
        inside = value.x >= 0 and value.y >= 0 and value.x + value.width <= width and value.y + value.height <= height
        if value.width < 1 or value.height < 1 or not inside:
            raise SettingError(f"{value} does not lie in the {width} x {height} pixels that {self.label} reads out")
        self._require_idle("set the region")
        self.core.clear_roi()  # some cameras take a region relative to the present one
        whole = Roi(0, 0, width, height)
        if value != whole:
            try:
                self.core.set_roi(value)
            except CoreError as exc:
                exc.add_note(f"{self.label} now reads out the whole sensor")
                raise
        got = self.core.get_roi()
        if got == whole and value.width * value.height < _WHOLE_SENSOR * width * height:
            raise SettingError(f"{value} was not taken: {self.label} still reads out its {width} x {height} pixels")
        _note_rounding("roi", value, got)

    def clear_roi(self) -> None:
        """Read out the whole sensor."""
        self._require_idle("set the region")
        self.core.clear_roi()

    @property
    def binning(self) -> int:
        """Binning, the same in both directions; 1 where the camera has none. It changes the region."""
        return _binning(self.properties["Binning"]) if "Binning" in self.properties else 1

    @binning.setter
    def binning(self, value: int) -> None:
        allowed = self._choices("Binning")
        texts = [text for text in allowed if _binning(text) == value] or ([] if allowed else [str(value)])
        if not texts:
            raise SettingError(f"binning = {value} is not allowed: {self.label} takes {', '.join(allowed)}")
        self.properties["Binning"] = texts[0]

    @property
    def pixel_type(self) -> str:
        """Micro-Manager's ``PixelType``, such as ``16bit``; it decides the frames' dtype."""
        return self.properties["PixelType"]

    @pixel_type.setter
    def pixel_type(self, value: str) -> None:
        self._choices("PixelType")
        self.properties["PixelType"] = value

    @property
    def bit_depth(self) -> int:
        """Significant bits of a pixel."""
        return self.core.image_format().bit_depth

    @bit_depth.setter
    def bit_depth(self, value: int) -> None:
        self._choices("BitDepth")
        self.properties["BitDepth"] = str(value)
        if self.bit_depth != value:
            raise SettingError(f"bit_depth was set to {value}, but {self.label} delivers {self.bit_depth} bits")

    @property
    def family(self) -> str:
        """Name of the table that translates this camera's properties, such as ``pvcam``; ``generic`` for others."""
        return self._vocabulary.family.name

    @property
    def trigger(self) -> Trigger:
        """What starts an exposure: ``camera.trigger.mode = "edge"``."""
        return Trigger(self._vocabulary)

    @property
    def readout(self) -> Readout:
        """How the sensor is read out: ``camera.readout.speed``."""
        return Readout(self._vocabulary)

    @property
    def gain(self) -> str | None:
        """Gain, sensitivity or dynamic range, in the camera's own words; None where it has none."""
        return self._vocabulary.text("gain")

    @gain.setter
    def gain(self, value: str | float) -> None:
        self._vocabulary.set_text("gain", str(value))

    @property
    def sensor_temperature_c(self) -> float | None:
        """Temperature of the sensor, degrees Celsius; None where the camera does not tell it."""
        return self._vocabulary.number("sensor_temperature_c")

    @property
    def temperature_setpoint_c(self) -> float | None:
        """Temperature that the cooling aims at, degrees Celsius; None where the camera has none."""
        return self._vocabulary.number("temperature_setpoint_c")

    @temperature_setpoint_c.setter
    def temperature_setpoint_c(self, value: float) -> None:
        self._vocabulary.set_number("temperature_setpoint_c", value)

    @property
    def frame_rate_hz(self) -> float | None:
        """Frames a second, as the camera has it; None where it does not tell it."""
        return self._vocabulary.number("frame_rate_hz")

    @frame_rate_hz.setter
    def frame_rate_hz(self, value: float) -> None:
        self._vocabulary.set_number("frame_rate_hz", value)

    @property
    def frame_rate_limits_hz(self) -> tuple[float, float] | None:
        """Least and largest `frame_rate_hz`; None where the camera does not tell them."""
        return self._vocabulary.limits("frame_rate_hz")

    @property
    def line_time_us(self) -> float | None:
        """Time to read one row, us; None where the camera does not tell it."""
        return self._vocabulary.number("line_time_us")

    @property
    def image_format(self) -> ImageFormat:
        """Height, width, dtype and bit depth of the next frame."""
        return self.core.image_format()

    def sensor_size(self) -> tuple[int, int]:
        """Return ``(height, width)`` of the whole sensor, unbinned pixels.

        The first call clears the region for a moment to find out, and so does the first one after a property was set.

        Raises
        ------
        CameraBusyError
            A sequence is running.
        """
        if self._sensor_size is None:
            self._require_idle("find out the size of the sensor")
            before = self.core.get_roi()
            self.core.clear_roi()
            full = self.core.get_roi()
            if before != full:
                self.core.set_roi(before)
            self._sensor_size = full.height * self.binning, full.width * self.binning
        return self._sensor_size

    @property
    def pixel_size_um(self) -> float:
        """Size of a pixel on the sample, um, as Micro-Manager is calibrated; 0.0 when it is not."""
        return self.core.pixel_size_um()

    def snap(self) -> Image:
        """Expose once and return the frame, ``(Y, X)``, owned by the caller.

        Raises
        ------
        CameraBusyError
            A sequence is running.
        CoreError
            The camera failed.
        """
        self._require_idle("snap an image")
        return self.core.snap()

    def settings(self) -> dict[str, Any]:
        """Return all settings as plain values, for JSON and `apply_settings`; each recording has them too."""
        return self._settings(self._read_properties())

    def apply_settings(self, settings: Mapping[str, Any]) -> SettingsReport:
        """Set the camera as it was when `settings` returned these; with some of them, only those.

        Returns
        -------
        SettingsReport
            What was changed, and what this camera lacks or did not take, with the value in force. Nothing is raised for
            that, and the rest is set all the same.

        Raises
        ------
        SettingError
            ``settings`` has not the form that `settings` returns.
        CameraBusyError
            A sequence is running.
        """
        settings = checked_settings(dict(settings))
        self._require_idle("change the settings")
        report = set_properties(self.properties, settings.get("properties", {}), self._vocabulary.family.order)
        changed, refused = list(report.changed), dict(report.refused)
        for name in ("binning", "roi", "exposure_ms"):
            if name not in settings:
                continue
            value = tuple(settings[name]) if name == "roi" else settings[name]
            try:
                before = getattr(self, name)
                setattr(self, name, value)
                if getattr(self, name) != before:
                    changed.append(name)
            except (CoreError, SettingError) as exc:
                refused[name] = str(exc)
        return SettingsReport(changed=tuple(changed), refused=refused)

    def _settings(self, properties: Mapping[str, str]) -> dict[str, Any]:
        about, roi = self.core.device_info(self.label), self.roi
        settable = [name for name in self.properties.settable() if name not in ("Exposure", "Binning")]
        return {
            "library": about["library"],
            "device": about["name"],
            "exposure_ms": self.exposure_ms,
            "binning": _binning(properties["Binning"]) if "Binning" in properties else 1,
            "roi": [roi.x, roi.y, roi.width, roi.height],
            "properties": {name: properties[name] for name in settable if name in properties},
        }

    def _read_properties(self) -> dict[str, str]:
        return {name: self._read(name) for name in self.properties}

    def _check_start(self, properties: Mapping[str, str]) -> None:
        """Refuse settings with which this family's frames would be recorded wrong, and log what to know of others."""
        family = self._vocabulary.family
        family.check_start(properties)
        for warning in family.warnings(properties):
            _log.warning("%s: %s", self.label, warning)

    def _clock_step_ns(self) -> Callable[[int], int] | None:
        """Return the steps of the camera's clock if lost frames show in it: in frames at equal intervals."""
        step = self._vocabulary.family.clock_step_ns
        return step if step is not None and self.trigger.mode == "internal" else None

    def detector_info(self) -> DetectorInfo:
        """Return what is known of the camera, for the file."""
        return self._detector_info(self._read_properties())

    def _detector_info(self, properties: Mapping[str, str]) -> DetectorInfo:
        about, roi, size = self.core.device_info(self.label), self.roi, self.pixel_size_um
        settings = self._settings(properties)
        return DetectorInfo(
            description=f"{about['description']} ({about['library']}/{about['name']})",
            serial_number=properties.get("CameraID", ""),
            count_time_s=settings["exposure_ms"] / 1e3,
            sample_pixel_um=(size, size) if size else None,
            bit_depth=self.bit_depth,
            gain=properties.get("Gain", ""),
            acquisition_mode=properties.get("TriggerMode", ""),
            roi_origin=(roi.y, roi.x),
            camera={
                "label": self.label,
                "core": self.core.version(),
                "backend": self.core.backend,
                "binning": settings["binning"],
                "family": self.family,
                "losses_before_core": self._vocabulary.family.losses_seen,
                "roi": {"x": roi.x, "y": roi.y, "width": roi.width, "height": roi.height},
                "properties": dict(properties),
                "settings": settings,
            },
        )

    def _read(self, name: str) -> str:
        try:
            return self.properties[name]
        except CoreError as exc:  # one property that cannot be read is no reason not to record
            _log.warning("%s of %s cannot be read: %s", name, self.label, exc)
            return ""

    def _choices(self, name: str) -> tuple[str, ...]:
        if name not in self.properties:
            raise SettingError(f"{self.label} has no property {name}: it cannot be set on this camera")
        return self.properties.describe(name).allowed

    def _before_set(self, name: str) -> None:
        self._require_idle(f"set {name}")
        self._sensor_size = None

    def _require_idle(self, action: str) -> None:
        """Refuse what would end a running sequence, on some camera or other, without a word."""
        if self.core.is_sequence_running():
            raise CameraBusyError(
                f"cannot {action} of {self.label} while a sequence is running, because that would end it: "
                "stop the sequence first, with stop_sequence() or on the command line with --stop-running"
            )


def _as_roi(value: Roi | tuple[int, int, int, int]) -> Roi:
    if isinstance(value, Roi):
        return value
    try:
        x, y, width, height = map(operator.index, value)
    except (TypeError, ValueError) as exc:
        raise SettingError(
            f"roi is Roi(x, y, width, height) or a tuple of those four whole numbers, not {value!r}"
        ) from exc
    return Roi(x, y, width, height)


def _binning(text: str) -> int:
    match: re.Match[str] | None = re.match(r"(\d+)", text)
    if match is None:
        raise SettingError(f"the camera's binning {text!r} does not begin with a number")
    return int(match[1])


def _note_rounding(name: str, asked: Any, got: Any) -> None:
    if asked != got:
        _log.info("%s: asked for %s, the camera uses %s", name, asked, got)
