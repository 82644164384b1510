"""mmspool's words for a camera's settings, after GenICam's SFNC, over the properties that its family has for them."""

import logging
from typing import TYPE_CHECKING

from ..errors import CoreError, SettingError
from .families import Choice, Family, Number, OwnWords, matching
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


class _Group:
    """Settings that belong together; an unknown name is refused."""

    __slots__ = ("_vocabulary",)
    _vocabulary: Vocabulary

    def __init__(self, vocabulary: Vocabulary) -> None:
        object.__setattr__(self, "_vocabulary", vocabulary)

    if not TYPE_CHECKING:  # with it, mypy would take any name

        def __setattr__(self, name: str, value: object) -> None:
            if not hasattr(type(self), name):
                names = [each for each, member in vars(type(self)).items() if isinstance(member, property)]
                raise AttributeError(f"there is no {name!r} here; there is {', '.join(names)}")
            super().__setattr__(name, value)


class Trigger(_Group):
    """What starts an exposure; ``camera.trigger``."""

    __slots__ = ()

    @property
    def mode(self) -> str | None:
        """What an exposure waits for; None if the camera has no trigger.

        ``internal``: nothing. ``software``: a command. ``edge``: each edge starts one. ``level``: it lasts as long as
        the signal. ``start``: an edge starts the sequence. ``synchronous``: each edge ends one and starts the next.
        """
        return self._vocabulary.text("trigger.mode")

    @mode.setter
    def mode(self, value: str) -> None:
        self._vocabulary.set_text("trigger.mode", value)

    @property
    def modes(self) -> tuple[str, ...]:
        """The modes that this camera has."""
        return self._vocabulary.choices("trigger.mode")

    @property
    def activation(self) -> str | None:
        """``rising_edge`` or ``falling_edge``; None where the camera has no choice."""
        return self._vocabulary.text("trigger.activation")

    @activation.setter
    def activation(self, value: str) -> None:
        self._vocabulary.set_text("trigger.activation", value)

    @property
    def overlap(self) -> str | None:
        """Whether it exposes while it reads out: ``on`` or ``off``; None where the camera has no choice."""
        return self._vocabulary.text("trigger.overlap")

    @overlap.setter
    def overlap(self, value: str) -> None:
        self._vocabulary.set_text("trigger.overlap", value)

    @property
    def delay_us(self) -> float | None:
        """From the trigger to the exposure, us; None where it cannot be set."""
        return self._vocabulary.number("trigger.delay_us")

    @delay_us.setter
    def delay_us(self, value: float) -> None:
        self._vocabulary.set_number("trigger.delay_us", value)


class Readout(_Group):
    """How the sensor is read out; ``camera.readout``. Values are the camera's own texts, any case; see `choices`."""

    __slots__ = ()

    def choices(self, name: str) -> tuple[str, ...]:
        """Return what ``speed``, ``port``, ``shutter`` or ``direction`` can be on this camera."""
        return self._vocabulary.choices(f"readout.{name}")

    @property
    def port(self) -> str | None:
        """Read-out port, which decides about speeds and gains; None where the camera has one only."""
        return self._vocabulary.text("readout.port")

    @port.setter
    def port(self, value: str) -> None:
        self._vocabulary.set_text("readout.port", value)

    @property
    def speed(self) -> str | None:
        """Read-out rate or scan mode."""
        return self._vocabulary.text("readout.speed")

    @speed.setter
    def speed(self, value: str) -> None:
        self._vocabulary.set_text("readout.speed", value)

    @property
    def shutter(self) -> str | None:
        """Electronic shutter: ``rolling``, ``global`` or the camera's own text."""
        return self._vocabulary.text("readout.shutter")

    @shutter.setter
    def shutter(self, value: str) -> None:
        self._vocabulary.set_text("readout.shutter", value)

    @property
    def direction(self) -> str | None:
        """Order in which rows are read."""
        return self._vocabulary.text("readout.direction")

    @direction.setter
    def direction(self, value: str) -> None:
        self._vocabulary.set_text("readout.direction", value)
