"""A camera's settings: checked, set, read back, and never touched while a sequence runs."""

import math
from collections.abc import Mapping
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any

from ..adapters import CoreAdapter, Image, ImageFormat, Roi
from ..errors import CameraBusyError, SettingError
from ..persistence import DetectorInfo
from .description import describe
from .families import family_of
from .feature_groups import LightSheet, Output, Readout, Trigger, number, outputs_of
from .properties import Properties
from .region import as_roi, binning_number, note_rounding, set_region
from .saved_settings import SettingsReport, checked_settings, plain_settings, set_again
from .vocabulary import Vocabulary

_EXPOSURE_TOLERANCE = 0.1  # relative; sCMOS cameras round to whole line times, about 10 us
_LINE_TIME_MS = 0.05
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

    _prefix = ""  # of the names of its own settings in the vocabulary

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
        try:
            asked = float(value)
        except (TypeError, ValueError) as exc:
            raise SettingError(f"exposure_ms is a number of ms, not {value!r}") from exc
        limits = self.properties.describe("Exposure").limits if "Exposure" in self.properties else None
        lower, upper = limits or (0.0, math.inf)
        if not max(0.0, lower) <= asked <= upper:
            raise SettingError(f"exposure_ms = {asked:g} is out of range: {self.label} takes {lower:g} to {upper:g} ms")
        self._require_idle("set the exposure")
        self.core.set_exposure_ms(asked)
        got = self.core.get_exposure_ms()
        if not math.isclose(asked, got, rel_tol=_EXPOSURE_TOLERANCE, abs_tol=_LINE_TIME_MS):
            raise SettingError(
                f"exposure_ms was set to {asked:g}, but {self.label} made it {got:g} ms: ask for that, or change what "
                "limits it, such as the region or the readout rate"
            )
        note_rounding("exposure_ms", asked, got)

    @property
    def roi(self) -> Roi:
        """The region that is read out, pixels as they arrive (binned); takes ``(x, y, width, height)`` too."""
        return self.core.get_roi()

    @roi.setter
    def roi(self, value: Roi | tuple[int, int, int, int]) -> None:
        asked, (height, width), binning = as_roi(value), self.sensor_size(), self.binning
        self._require_idle("set the region")
        note_rounding("roi", asked, set_region(self.core, self.label, asked, (height // binning, width // binning)))

    def clear_roi(self) -> None:
        """Read out the whole sensor."""
        self._require_idle("set the region")
        self.core.clear_roi()

    @property
    def binning(self) -> int:
        """Binning, the same in both directions; 1 where the camera has none. It changes the region."""
        return binning_number(self.properties["Binning"]) if "Binning" in self.properties else 1

    @binning.setter
    def binning(self, value: int) -> None:
        allowed = self._choices("Binning")
        texts = [text for text in allowed if binning_number(text) == value] or ([] if allowed else [str(value)])
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
            raise SettingError(
                f"bit_depth was set to {value}, but {self.label} delivers {self.bit_depth} bits: set pixel_type first, "
                "which may decide that"
            )

    @property
    def family(self) -> str:
        """Name of the table that translates this camera's properties, such as ``pvcam``; ``generic`` for others."""
        return self._vocabulary.family.name

    @property
    def trigger(self) -> Trigger:
        """What starts an exposure: ``camera.trigger.mode = "edge"``."""
        return Trigger(self._vocabulary, "trigger.")

    @property
    def readout(self) -> Readout:
        """How the sensor is read out: ``camera.readout.speed``."""
        return Readout(self._vocabulary, "readout.")

    @property
    def outputs(self) -> dict[int, Output]:
        """The output lines by their numbers: ``camera.outputs[1].source = "all_rows"``; empty where it has none."""
        return outputs_of(self._vocabulary)

    @property
    def light_sheet(self) -> LightSheet:
        """Line-by-line exposure for light sheets: ``camera.light_sheet.mode = "on"``."""
        return LightSheet(self._vocabulary, "light_sheet.")

    @property
    def gain(self) -> str | None:
        """Gain, sensitivity or dynamic range, in the camera's own words; None where it has none."""
        return self._vocabulary.text("gain")

    @gain.setter
    def gain(self, value: str | float) -> None:
        self._vocabulary.set_text("gain", str(value))

    @property
    def sensor_temperature_c(self) -> float | None:
        """Temperature of the sensor, degrees Celsius; None where the camera does not report it."""
        return self._vocabulary.number("sensor_temperature_c")

    temperature_setpoint_c = number()
    """Temperature that the cooling aims at, degrees Celsius; None where the camera has none."""

    frame_rate_hz = number()
    """Frames a second, as the camera reports it; None where it does not report it."""

    @property
    def frame_rate_limits_hz(self) -> tuple[float, float] | None:
        """Least and largest `frame_rate_hz`; None where the camera does not report them."""
        return self._vocabulary.limits("frame_rate_hz")

    @property
    def line_time_us(self) -> float | None:
        """Time to read one row, us; None where the camera does not report it."""
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
        return plain_settings(self, self.properties.read_all(), readings=self._vocabulary.family.readings)

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
        checked = checked_settings(dict(settings))
        self._require_idle("change the settings")
        return set_again(self, checked, order=self._vocabulary.family.order)

    def detector_info(self) -> DetectorInfo:
        """Return what is known of the camera, for the file."""
        return self._detector_info(self.properties.read_all())

    def _detector_info(self, values: Mapping[str, str]) -> DetectorInfo:
        return describe(self, values, self._vocabulary.family)

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
