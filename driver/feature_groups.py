"""Settings that belong together, as attributes: ``camera.trigger``, ``.readout``, ``.outputs``, ``.light_sheet``."""

import inspect
from collections.abc import Callable
from typing import TYPE_CHECKING, Generic, Protocol, Self, TypeVar, overload

from .vocabulary import Vocabulary

Value = TypeVar("Value", str, float)


class _Named(Protocol):
    """What has settings as attributes: `prefix` and an attribute's name make the setting's name in the vocabulary."""

    _vocabulary: Vocabulary
    _prefix: str


class Setting(Generic[Value]):
    """An attribute that is a setting of the camera; None where the camera lacks it.

    Parameters
    ----------
    read, write
        Read and set it by its name in the vocabulary.
    """

    def __init__(
        self, read: Callable[[Vocabulary, str], Value | None], write: Callable[[Vocabulary, str, Value], None]
    ) -> None:
        self._read: Callable[[Vocabulary, str], Value | None] = read
        self._write: Callable[[Vocabulary, str, Value], None] = write

    def __set_name__(self, owner: type, name: str) -> None:
        self._name = name

    @overload
    def __get__(self, group: None, owner: type) -> Self: ...
    @overload
    def __get__(self, group: _Named, owner: type) -> Value | None: ...
    def __get__(self, group: _Named | None, owner: type) -> Self | Value | None:
        return self if group is None else self._read(group._vocabulary, group._prefix + self._name)

    def __set__(self, group: _Named, value: Value) -> None:
        self._write(group._vocabulary, group._prefix + self._name, value)


def words() -> Setting[str]:
    """Return a setting of words."""
    return Setting(Vocabulary.text, Vocabulary.set_text)


def number() -> Setting[float]:
    """Return a setting that is a number with a unit."""
    return Setting(Vocabulary.number, Vocabulary.set_number)


class _Group:
    """Settings that belong together, whose names in the vocabulary begin alike; an unknown name is refused."""

    __slots__ = ("_prefix", "_vocabulary")

    def __init__(self, vocabulary: Vocabulary, prefix: str) -> None:
        self._vocabulary = vocabulary
        self._prefix = prefix

    if not TYPE_CHECKING:  # with it, mypy would take any name

        def __setattr__(self, name: str, value: object) -> None:
            if not hasattr(type(self), name):
                names = [each for each, member in vars(type(self)).items() if inspect.isdatadescriptor(member)]
                raise AttributeError(f"there is no {name!r} here; there is {', '.join(names)}")
            super().__setattr__(name, value)


class Trigger(_Group):
    """What starts an exposure; ``camera.trigger``."""

    __slots__ = ()

    mode = words()
    """What an exposure waits for; None if the camera has no trigger.

    ``internal``: nothing. ``software``: a command. ``edge``: each edge starts one. ``level``: it lasts as long as the
    signal. ``start``: an edge starts the sequence. ``synchronous``: each edge ends one and starts the next.
    """

    @property
    def modes(self) -> tuple[str, ...]:
        """The modes that this camera has."""
        return self._vocabulary.choices("trigger.mode")

    activation = words()
    """``rising_edge`` or ``falling_edge``; None where the camera has no choice."""

    overlap = words()
    """Whether it exposes while it reads out: ``on`` or ``off``; None where the camera has no choice."""

    burst_frames = number()
    """Frames for each trigger, in modes that take several; None where the camera has no such setting."""

    delay_us = number()
    """From the trigger to the exposure, us; None where it cannot be set."""


class Readout(_Group):
    """How the sensor is read out; ``camera.readout``. Values are the camera's own texts, any case; see `choices`."""

    __slots__ = ()

    def choices(self, name: str) -> tuple[str, ...]:
        """Return what ``speed``, ``port``, ``shutter`` or ``direction`` can be on this camera."""
        return self._vocabulary.choices(f"readout.{name}")

    port = words()
    """Read-out port, which decides about speeds and gains; None where the camera has one only."""

    speed = words()
    """Read-out rate or scan mode."""

    shutter = words()
    """Electronic shutter: ``rolling``, ``global`` or the camera's own text."""

    direction = words()
    """Order in which rows are read."""


class Output(_Group):
    """One of the camera's output lines; ``camera.outputs[1]``."""

    __slots__ = ()

    source = words()
    """What the line shows; see `sources`.

    ``exposure``: that any row exposes. ``all_rows``: that all rows do, the time for a light that must reach every row
    alike. ``first_row``, ``last_row``: that this one does. ``exposure_start``, ``readout_end``: a pulse then.
    ``trigger_ready``: that a trigger would be taken. ``low``, ``high``, ``off``: nothing.
    """

    @property
    def sources(self) -> tuple[str, ...]:
        """The sources that this line has."""
        return self._vocabulary.choices(f"{self._prefix}source")

    polarity = words()
    """``positive`` or ``negative``; None where the camera has no choice."""

    delay_us = number()
    """From the event to the pulse, us; None where it cannot be set."""

    width_us = number()
    """Length of a pulse, us; None where it cannot be set."""


class LightSheet(_Group):
    """Lines exposed one after the other in step with a scanned light sheet; ``camera.light_sheet``."""

    __slots__ = ()

    mode = words()
    """``off``, ``on``, or ``by_width`` where `exposed_lines` decides about the speed; None without such a mode."""

    line_interval_us = number()
    """From one line's start to the next one's, us."""

    line_delay = number()
    """By how many line times the next line starts later, where the camera counts so."""

    exposed_lines = number()
    """How many lines expose at the same time; None where that is the exposure divided by the line interval."""


_MOST_OUTPUTS = 8


def outputs_of(vocabulary: Vocabulary) -> dict[int, Output]:
    """Return the camera's output lines by their numbers."""
    prefixes = {number: f"output{number}." for number in range(1, _MOST_OUTPUTS + 1)}
    return {number: Output(vocabulary, each) for number, each in prefixes.items() if vocabulary.has(f"{each}source")}
