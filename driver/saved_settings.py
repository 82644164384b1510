"""A camera's settings as plain values: taken from a camera, kept in JSON or a recording, and set again."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import CoreError, RecordingError, SettingError
from ..persistence import Recording
from .properties import Properties
from .region import binning_number

if TYPE_CHECKING:
    from .settings import CameraSettings

_PASSES = 3  # a property may allow its value only after another one was set


@dataclass(frozen=True, kw_only=True, slots=True)
class SettingsReport:
    """What a camera made of settings that were set again.

    Attributes
    ----------
    changed
        Names that have another value now: the one asked for.
    refused
        Names and why: what the camera lacks, or did not take again, with the value in force.
    """

    changed: tuple[str, ...]
    refused: Mapping[str, str]

    @property
    def complete(self) -> bool:
        """Whether the camera has all settings as they were."""
        return not self.refused


def load_settings(path: Path) -> dict[str, Any]:
    """Read settings from a JSON file, as ``camera.settings()`` returns them, or from a recording.

    Raises
    ------
    SettingError
        The file is neither, or a recording without a camera's settings.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as exc:
        raise SettingError(f"{path} cannot be read: {exc.strerror}") from exc
    except UnicodeDecodeError:
        return _from_recording(path)
    try:
        settings = json.loads(text)
    except json.JSONDecodeError as exc:
        raise SettingError(
            f"{path} is neither JSON ({exc}) nor a recording: expected what camera.settings() has"
        ) from exc
    return checked_settings(settings)


def checked_settings(settings: Any) -> dict[str, Any]:
    """Return settings if they are what ``camera.settings()`` returns; SettingError otherwise."""
    known = {"library", "device", "exposure_ms", "binning", "roi", "properties"}
    if not isinstance(settings, dict) or not isinstance(settings.get("properties", {}), dict):
        raise SettingError(
            f"settings are a dict with a dict of properties, not {type(settings).__name__}: give what "
            "camera.settings() returned"
        )
    unknown = settings.keys() - known
    if unknown:
        raise SettingError(f"settings have {', '.join(sorted(unknown))}: expected {', '.join(sorted(known))}")
    return settings


def plain_settings(
    camera: "CameraSettings", values: Mapping[str, str], *, readings: tuple[str, ...] = ()
) -> dict[str, Any]:
    """Return a camera's settings as plain values, without ``readings``; ``values`` are those of its properties."""
    about, roi = camera.core.device_info(camera.label), camera.roi
    settable = [name for name in camera.properties.settable() if name not in ("Exposure", "Binning", *readings)]
    return {
        "library": about["library"],
        "device": about["name"],
        "exposure_ms": camera.exposure_ms,
        "binning": binning_number(values["Binning"]) if "Binning" in values else 1,
        "roi": [roi.x, roi.y, roi.width, roi.height],
        "properties": {name: values[name] for name in settable if name in values},
    }


def set_again(camera: "CameraSettings", settings: Mapping[str, Any], *, order: tuple[str, ...]) -> SettingsReport:
    """Set an idle camera as `plain_settings` found one, properties of ``order`` first, and report what came of it."""
    report = _set_properties(camera.properties, settings.get("properties", {}), order)
    changed, refused = list(report.changed), dict(report.refused)
    for name in ("binning", "roi", "exposure_ms"):
        if name not in settings:
            continue
        value = tuple(settings[name]) if name == "roi" else settings[name]
        try:
            before = getattr(camera, name)
            setattr(camera, name, value)
            if getattr(camera, name) != before:
                changed.append(name)
        except (CoreError, SettingError) as exc:
            refused[name] = str(exc)
    return SettingsReport(changed=tuple(changed), refused=refused)


def _set_properties(properties: Properties, values: Mapping[str, str], order: tuple[str, ...]) -> SettingsReport:
    """Set properties to values they had, those first that decide what others allow."""
    names = [*(name for name in order if name in values), *sorted(values.keys() - set(order))]
    changed: list[str] = []
    refused: dict[str, str] = {}
    for _ in range(_PASSES):
        refused = {}
        before = len(changed)
        for name in names:
            try:
                if properties[name] != values[name]:
                    properties[name] = values[name]
                    changed.append(name)
            except (CoreError, SettingError) as exc:
                refused[name] = str(exc)
        if not refused or len(changed) == before:
            break
    return SettingsReport(changed=tuple(dict.fromkeys(changed)), refused=refused)


def _from_recording(path: Path) -> dict[str, Any]:
    try:
        with Recording(path) as recording:
            detector = recording.metadata["detector"]
    except RecordingError as exc:
        raise SettingError(f"{path} has no settings: {exc}") from exc
    settings = detector.get("camera", {}).get("settings")
    if settings is None:
        raise SettingError(
            f"{path} has no settings of a camera: its frames came from elsewhere; name a recording of a camera"
        )
    return checked_settings(settings)
