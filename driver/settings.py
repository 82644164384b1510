"""A camera's settings: checked, set, read back, and never touched while a sequence runs."""

import logging
import math
import operator
import re
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any

from ..adapters import CoreAdapter, Image, ImageFormat, Roi
from ..errors import CameraBusyError, CoreError, SettingError
from ..persistence import DetectorInfo
from .properties import Properties

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

    def detector_info(self) -> DetectorInfo:
        """Return what is known of the camera, for the file."""
        about, roi, size = self.core.device_info(self.label), self.roi, self.pixel_size_um
        properties = {name: self._read(name) for name in self.properties}
        return DetectorInfo(
            description=f"{about['description']} ({about['library']}/{about['name']})",
            serial_number=properties.get("CameraID", ""),
            count_time_s=self.exposure_ms / 1e3,
            sample_pixel_um=(size, size) if size else None,
            bit_depth=self.bit_depth,
            gain=properties.get("Gain", ""),
            acquisition_mode=properties.get("TriggerMode", ""),
            roi_origin=(roi.y, roi.x),
            camera={
                "label": self.label,
                "core": self.core.version(),
                "backend": self.core.backend,
                "binning": self.binning,
                "roi": {"x": roi.x, "y": roi.y, "width": roi.width, "height": roi.height},
                "properties": properties,
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
                "stop the sequence first"
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
