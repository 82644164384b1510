"""mmspool's words for a camera's settings, after GenICam's SFNC, over the properties that its family has for them."""

import logging
from collections.abc import Callable

from ..errors import CoreError, SettingError
from .families import Choice, Family, Number, OwnWords, Values, matching
from .properties import Properties

_log = logging.getLogger("mmspool")

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
        feature = self.family.features.get(name)
        if isinstance(feature, Choice):
            return tuple(word for word in feature.words if self._assignments(feature, word) is not None)
        if feature is None or (found := self._find(feature)) is None:
            return ()
        return self._properties.describe(found).allowed

    def text(self, name: str) -> str | None:
        """Return the present word of a setting, `OTHER` if there is none for it; None if the camera lacks it."""
        feature = self.family.features.get(name)
        if isinstance(feature, OwnWords):
            found = self._find(feature)
            return None if found is None else self._properties[found]
        if not isinstance(feature, Choice):
            return None
        words = self.choices(name)
        for word in words:
            assignments = self._assignments(feature, word) or {}
            if all(self._properties[each] == value for each, value in assignments.items()):
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
        feature = self.family.features.get(name)
        if isinstance(feature, OwnWords) and (found := self._find(feature)) is not None:
            self._assign({found: _one_of(f"{name} = {value!r}", value, self._properties.describe(found).allowed)})
            return
        words = self.choices(name) if isinstance(feature, Choice) else ()
        word = value.casefold()
        if not isinstance(feature, Choice) or word not in words:
            has = f"it has {', '.join(words)}" if words else f"cameras of the family {self.family.name} have none"
            raise SettingError(f"{self._label} has no {name} {value!r}: {has}")
        self._assign(self._assignments(feature, word) or {})

    def number(self, name: str) -> float | None:
        """Return a setting in the vocabulary's unit; None where the camera lacks it or has no number for it."""
        feature = self.family.features.get(name)
        found = self._find(feature) if isinstance(feature, Number) else None
        if not isinstance(feature, Number) or found is None:
            return None
        return _converted(feature, self._properties[found])

    def limits(self, name: str) -> tuple[float, float] | None:
        """Return the least and the largest number that a setting takes; None where they are not known."""
        feature = self.family.features.get(name)
        found = self._find(feature) if isinstance(feature, Number) else None
        if not isinstance(feature, Number) or found is None:
            return None
        described = self._properties.describe(found).limits
        ends = [_converted(feature, str(end)) for end in described or ()]
        known = sorted(end for end in ends if end is not None)
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
        feature = self.family.features.get(name)
        found = self._find(feature) if isinstance(feature, Number) else None
        if not isinstance(feature, Number) or found is None:
            raise SettingError(f"{self._label} has no {name} that can be set")
        if feature.inverse and not value > 0:
            raise SettingError(f"{name} = {value:g} is out of range: it must be more than 0")
        raw = feature.per_unit / value if feature.inverse else value / feature.per_unit
        self._properties[found] = f"{raw:.9g}"

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

    def clock_step_ns(self) -> Callable[[int], int] | None:
        """Return the steps of the camera's clock if lost frames show in it: in frames at equal intervals."""
        step = self.family.clock_step_ns
        return step if step is not None and self.text("trigger.mode") == "internal" else None

    def _find(self, feature: OwnWords | Number | Choice) -> str | None:
        if isinstance(feature, Choice):
            return None
        return next((name for name in feature.properties if name in self._properties), None)

    def _assignments(self, feature: Choice, word: str) -> dict[str, str] | None:
        """Return the properties' values for a word, as this camera spells them; None if it does not have the word."""
        found = {}
        for index, (name, pattern) in enumerate(feature.words[word]):
            if name not in self._properties:
                if index == 0:
                    return None
                continue
            values = matching(pattern, self._properties.describe(name).allowed)
            if not values:
                return None
            found[name] = values[0]
        return found

    def _assign(self, values: dict[str, str]) -> None:
        for name, value in values.items():
            if self._properties[name] == value:
                continue
            try:
                self._properties[name] = value
            except (CoreError, SettingError) as exc:
                state = ", ".join(f"{each} = {self._properties[each]!r}" for each in values)
                raise SettingError(f"{self._label} does not take {name} = {value!r}: {exc}; it has {state}") from exc


def _one_of(what: str, value: str, allowed: tuple[str, ...]) -> str:
    found = matching(value, allowed) if allowed else [value]
    if len(found) != 1:
        raise SettingError(f"{what} is not one of {', '.join(found or allowed)}")
    return found[0]


def _converted(feature: Number, text: str) -> float | None:
    try:
        raw = float(text.split()[0])
    except (ValueError, IndexError):
        return None
    if not feature.inverse:
        return raw * feature.per_unit
    return feature.per_unit / raw if raw > 0 else None
