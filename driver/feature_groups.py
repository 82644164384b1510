"""Settings that belong together, as attributes: ``camera.trigger``, ``camera.readout``."""

from typing import TYPE_CHECKING

from .vocabulary import Vocabulary


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
