"""What a table of a camera family consists of: the words of mmspool's vocabulary, and the properties behind them."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Literal, NamedTuple

Assignments = tuple[tuple[str, str], ...]
"""Property names and the values to set, in this order; a value is a pattern such as ``Internal*``, see `matching`."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Choice:
    """A setting of a few words, each of which stands for values of one or more properties.

    Parameters
    ----------
    words
        For each word of the vocabulary the properties that make it. A property that a camera does not have is left
        out, but not the first one.
    """

    words: Mapping[str, Assignments]


@dataclass(frozen=True, kw_only=True, slots=True)
class OwnWords:
    """A setting whose values are the camera's own texts.

    Parameters
    ----------
    properties
        Names that the property may have, patterns too; the first one that the camera has counts.
    """

    properties: tuple[str, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class Number:
    """A number with a unit.

    Parameters
    ----------
    properties
        Names that the property may have, patterns too; the first one that the camera has counts.
    per_unit
        What the property's value is multiplied with to get the vocabulary's unit, such as 1e6 from seconds to us.
    inverse
        Whether the property has a time where the vocabulary has a rate, or the reverse: value = per_unit / property.
    unit_property, units
        A property that has the unit of the first one, and ``per_unit`` for each of its values.
    limits_property
        A property with the limits as text, such as ``Min: 0.5  Max: 100``.
    write_only
        Whether the property shows something else than what was set, which therefore cannot be read back.
    """

    properties: tuple[str, ...]
    per_unit: float = 1.0
    inverse: bool = False
    unit_property: str = ""
    units: Mapping[str, float] = field(default_factory=dict)
    limits_property: str = ""
    write_only: bool = False


Feature = Choice | OwnWords | Number

Values = Mapping[str, str]
"""The present values of a camera's properties, by name."""


class TimeStamp(NamedTuple):
    """Whose clock a frame's ``camera_timestamp`` comes from, and which moment it is."""

    clock: Literal["camera", "host"]
    moment: str


HOST_TIME = TimeStamp("host", "arrival in the device adapter or the core")
"""What ``ElapsedTime-ms`` is, which Micro-Manager takes from the computer's clock."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Family:
    """The cameras of one device adapter.

    Parameters
    ----------
    name
        Short, such as ``pvcam``.
    library
        Micro-Manager's name of the device adapter's library; a pattern, in any case.
    features
        The settings by their names in the vocabulary, such as ``trigger.mode``.
    selectors
        For the settings whose names begin so, such as ``output2.``, a property and the value that it must have before
        they are read or set.
    readings
        Properties that can be set in name only: they show what the camera does, and are no settings to keep.
    order
        Properties that change what others allow, in the order in which to set them.
    losses_seen
        What can be known of frames that were lost before the core saw them; stored with each recording.
    time_stamp
        Given the present values, what the frames' time stamps are.
    clock_step_ns
        Given a time stamp in ns, the steps of the camera's clock there, ns; for a camera whose frames carry its time,
        but no counter.
    check_start
        Given the present values, refuses what would be recorded wrong (`SettingError`).
    warnings
        Given the present values, what a user should know before a recording starts.
    """

    name: str
    library: str
    features: Mapping[str, Feature]
    selectors: Mapping[str, tuple[str, str]] = field(default_factory=dict)
    readings: tuple[str, ...] = ()
    order: tuple[str, ...] = ()
    losses_seen: str = "losses before the core cannot be seen: the frames carry no counter of the camera"
    time_stamp: Callable[[Values], TimeStamp] = field(default=lambda _values: HOST_TIME)
    clock_step_ns: Callable[[int], int] | None = None
    check_start: Callable[[Values], None] = field(default=lambda _values: None)
    warnings: Callable[[Values], list[str]] = field(default=lambda _values: [])


def matching(pattern: str, values: tuple[str, ...]) -> list[str]:
    """Return the values that a pattern stands for, in any case.

    Parameters
    ----------
    pattern
        A text, or one with ``*`` for anything; several with ``|`` between them are tried in turn.
    values
        What there is; one that equals the pattern is returned alone.
    """
    equal = [value for value in values if value.casefold() == pattern.casefold()]
    if equal:
        return equal
    for each in pattern.casefold().split("|"):
        # Brackets are part of names such as "OUTPUT TRIGGER KIND[0]", not sets of characters.
        glob = each.replace("[", "[[]")
        found = [value for value in values if value.casefold() == each] or [
            value for value in values if fnmatchcase(value.casefold(), glob)
        ]
        if found:
            return found
    return []
