"""mmspool's words for a camera's settings, after GenICam's SFNC, over the properties that its family has for them."""

import logging
import re
from collections.abc import Callable

from ..errors import CoreError, SettingError
from .families import Choice, Family, Number, OwnWords, Values, matching
from .properties import Properties
from .triggers import TriggerPlan

_log = logging.getLogger("mmspool")

_LIMITS = re.compile(r"M(?:in|ax): *([-+.\d]+)")

OTHER = "other"
"""What a choice reads as when the camera has values for which the vocabulary has no word."""


class Vocabulary:
    """Reads and sets the settings of a camera by their names in the vocabulary; see ``docs/cameras.md``.

    Parameters
    ----------
    label
        The camera's, for messages.
    properties
        The camera's properties.
    family
        The table that says which properties a setting consists of.
    """

    def __init__(self, label: str, properties: Properties, family: Family) -> None:
        self._label = label
        self._properties = properties
        self.family = family

    def choices(self, name: str) -> tuple[str, ...]:
        """Return the words, or the camera's own texts, that a setting can have on this camera; none if it lacks it."""
        self._select(name)
        feature = self.family.features.get(name)
        if isinstance(feature, Choice):
            return tuple(word for word in feature.words if self._values(feature, word) is not None)
        if feature is None or (found := self._first(feature.properties)) is None:
            return ()
        return self._properties.describe(found).allowed

    def has(self, name: str) -> bool:
        """Return whether the camera has a setting."""
        feature = self.family.features.get(name)
        if isinstance(feature, Choice):
            return any(self._values(feature, word) is not None for word in feature.words)
        return feature is not None and self._first(feature.properties) is not None

    def text(self, name: str) -> str | None:
        """Return the present word of a setting, `OTHER` if there is none for it; None if the camera lacks it."""
        self._select(name)
        feature = self.family.features.get(name)
        if isinstance(feature, OwnWords):
            found = self._first(feature.properties)
            return None if found is None else self._properties[found]
        if not isinstance(feature, Choice):
            return None
        words = self.choices(name)
        for word in words:
            values = self._values(feature, word) or {}
            if all(self._properties[each] in fitting for each, fitting in values.items()):
                return word
        return OTHER if words else None

    def set_text(self, name: str, value: str) -> None:
        """Set a setting to a word of the vocabulary, or of the camera's own where it has no words.

        Raises
        ------
        SettingError
            The camera lacks the setting or the word, or refused it although it lists it; the message has the state
            afterwards.
        CameraBusyError
            A sequence is running.
        """
        self._select(name)
        feature = self.family.features.get(name)
        if isinstance(feature, OwnWords) and (found := self._first(feature.properties)) is not None:
            self._assign({found: [_one_of(f"{name} = {value!r}", value, self._properties.describe(found).allowed)]})
            return
        words = self.choices(name) if isinstance(feature, Choice) else ()
        word = value.casefold()
        if not isinstance(feature, Choice) or word not in words:
            has = f"it has {', '.join(words)}" if words else "it has no such setting"
            raise SettingError(f"{self._label} ({self.family.name}) has no {name} {value!r}: {has}")
        self._assign(self._values(feature, word) or {})

    def number(self, name: str) -> float | None:
        """Return a setting in the vocabulary's unit; None where the camera lacks it or has no number for it."""
        self._select(name)
        feature, found = self._number(name)
        if feature is None or found is None or feature.write_only:
            return None
        return _converted(feature, self._properties[found], self._per_unit(feature))

    def limits(self, name: str) -> tuple[float, float] | None:
        """Return the least and the largest number that a setting takes; None where they are not known."""
        self._select(name)
        feature, found = self._number(name)
        if feature is None or found is None:
            return None
        ends = self._limit_texts(feature, found)
        converted = [_converted(feature, end, self._per_unit(feature)) for end in ends]
        known = sorted(end for end in converted if end is not None)
        return (known[0], known[1]) if len(known) == 2 else None

    def set_number(self, name: str, value: float) -> None:
        """Set a number in the vocabulary's unit.

        Raises
        ------
        SettingError
            The camera lacks the setting, cannot change it, or does not take the value.
        CameraBusyError
            A sequence is running.
        """
        self._select(name)
        feature, found = self._number(name)
        if feature is None or found is None:
            raise SettingError(
                f"{self._label} ({self.family.name}) has no {name} that can be set: camera.properties lists what it has"
            )
        if found in self.family.readings and not feature.write_only:
            raise SettingError(f"{name} cannot be set: {found} of {self._label} only shows what the camera does")
        if feature.inverse and not value > 0:
            raise SettingError(f"{name} = {value:g} is out of range: it must be more than 0")
        per_unit = self._per_unit(feature)
        raw = f"{per_unit / value if feature.inverse else value / per_unit:.9g}"
        if feature.write_only:
            self._properties.write(found, raw)
        else:
            self._properties[found] = raw

    def check_start(self, values: Values) -> None:
        """Log what to know of a camera that is about to be recorded; ``values`` are those of its properties.

        Raises
        ------
        SettingError
            Its frames would be recorded wrong.
        """
        self.family.check_start(values)
        for warning in self.family.warnings(values):
            _log.warning("%s: %s", self._label, warning)

    def check_bursts(self, triggers: TriggerPlan) -> None:
        """Refuse a number of frames for each trigger that is not the camera's, where the camera has such a setting.

        Raises
        ------
        SettingError
            Which number the camera has.
        """
        asked, burst = triggers.frames_per_trigger, self.number("trigger.burst_frames")
        matters = asked > 1 or triggers.triggers is not None
        if matters and burst is not None and burst != asked:
            raise SettingError(
                f"frames_per_trigger is {asked}, but {self._label} gives {burst:g} for each trigger: "
                f"give that number, or set camera.trigger.burst_frames = {asked}"
            )

    def clock_step_ns(self) -> Callable[[int], int] | None:
        """Return the steps of the camera's clock if lost frames show in it: in frames at equal intervals."""
        step = self.family.clock_step_ns
        return step if step is not None and self.text("trigger.mode") == "internal" else None

    def _select(self, name: str) -> None:
        """Choose what a setting's properties are about, for a camera that has one set of them for several outputs."""
        for prefix, (selector, value) in self.family.selectors.items():
            if name.startswith(prefix) and selector in self._properties and self._properties[selector] != value:
                self._properties[selector] = value

    def _number(self, name: str) -> tuple[Number | None, str | None]:
        feature = self.family.features.get(name)
        return (feature, self._first(feature.properties)) if isinstance(feature, Number) else (None, None)

    def _first(self, names: tuple[str, ...]) -> str | None:
        """Return the first property of these names or patterns that the camera has."""
        return next((found for name in names if (found := self._property(name)) is not None), None)

    def _property(self, name: str) -> str | None:
        if name in self._properties:
            return name
        return next(iter(matching(name, tuple(self._properties))), None) if "*" in name else None

    def _per_unit(self, feature: Number) -> float:
        if feature.unit_property not in self._properties:
            return feature.per_unit
        return feature.units.get(self._properties[feature.unit_property], feature.per_unit)

    def _limit_texts(self, feature: Number, found: str) -> tuple[str, ...]:
        if feature.limits_property in self._properties:
            return tuple(_LIMITS.findall(self._properties[feature.limits_property]))[:2]
        limits = self._properties.describe(found).limits
        return () if limits is None else (str(limits[0]), str(limits[1]))

    def _values(self, feature: Choice, word: str) -> dict[str, list[str]] | None:
        """Return the values that make a word, for each property, as this camera spells them; None if it lacks them."""
        found = {}
        for index, (pattern, wanted) in enumerate(feature.words[word]):
            name = self._property(pattern)
            if name is None:
                if index == 0:
                    return None
                continue
            values = matching(wanted, self._properties.describe(name).allowed)
            if not values:
                return None
            found[name] = values
        return found

    def _assign(self, wanted: dict[str, list[str]]) -> None:
        """Set properties to the first of their values, unless they have one of them."""
        for name, values in wanted.items():
            if self._properties[name] in values:
                continue
            try:
                self._properties[name] = values[0]
            except (CoreError, SettingError) as exc:
                state = ", ".join(f"{each} = {self._properties[each]!r}" for each in wanted)
                raise SettingError(
                    f"{self._label} does not take {name} = {values[0]!r}: {exc}; it has {state}"
                ) from exc


def _one_of(what: str, value: str, allowed: tuple[str, ...]) -> str:
    found = matching(value, allowed) if allowed else [value]
    if len(found) != 1:
        raise SettingError(f"{what} is not one of {', '.join(found or allowed)}")
    return found[0]


def _converted(feature: Number, text: str, per_unit: float) -> float | None:
    try:
        raw = float(text.split()[0])
    except (ValueError, IndexError):
        return None
    if not feature.inverse:
        return raw * per_unit
    return per_unit / raw if raw > 0 else None
