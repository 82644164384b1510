"""Settings that belong together, as attributes: ``camera.trigger``, ``.readout``, ``.outputs``, ``.light_sheet``."""

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
    def burst_frames(self) -> float | None:
        """Frames for each trigger, in modes that take several; None where the camera has no such setting."""
        return self._vocabulary.number("trigger.burst_frames")

    @burst_frames.setter
    def burst_frames(self, value: int) -> None:
        self._vocabulary.set_number("trigger.burst_frames", value)

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


class Output(_Group):
    """One of the camera's output lines; ``camera.outputs[1]``."""

    __slots__ = ("_prefix",)
    _prefix: str

    def __init__(self, vocabulary: Vocabulary, number: int) -> None:
        super().__init__(vocabulary)
        object.__setattr__(self, "_prefix", f"output{number}")

    @property
    def source(self) -> str | None:
        """What the line shows; see `sources`.

        ``exposure``: that any row exposes. ``all_rows``: that all rows do, the time for a light that must reach every
        row alike. ``first_row``, ``last_row``: that this one does. ``exposure_start``, ``readout_end``: a pulse then.
        ``trigger_ready``: that a trigger would be taken. ``low``, ``high``, ``off``: nothing.
        """
        return self._vocabulary.text(f"{self._prefix}.source")

    @source.setter
    def source(self, value: str) -> None:
        self._vocabulary.set_text(f"{self._prefix}.source", value)

    @property
    def sources(self) -> tuple[str, ...]:
        """The sources that this line has."""
        return self._vocabulary.choices(f"{self._prefix}.source")

    @property
    def polarity(self) -> str | None:
        """``positive`` or ``negative``; None where the camera has no choice."""
        return self._vocabulary.text(f"{self._prefix}.polarity")

    @polarity.setter
    def polarity(self, value: str) -> None:
        self._vocabulary.set_text(f"{self._prefix}.polarity", value)

    @property
    def delay_us(self) -> float | None:
        """From the event to the pulse, us; None where it cannot be set."""
        return self._vocabulary.number(f"{self._prefix}.delay_us")

    @delay_us.setter
    def delay_us(self, value: float) -> None:
        self._vocabulary.set_number(f"{self._prefix}.delay_us", value)

    @property
    def width_us(self) -> float | None:
        """Length of a pulse, us; None where it cannot be set."""
        return self._vocabulary.number(f"{self._prefix}.width_us")

    @width_us.setter
    def width_us(self, value: float) -> None:
        self._vocabulary.set_number(f"{self._prefix}.width_us", value)


class LightSheet(_Group):
    """Lines exposed one after the other in step with a scanned light sheet; ``camera.light_sheet``."""

    __slots__ = ()

    @property
    def mode(self) -> str | None:
        """``off``, ``on``, or ``by_width`` where `exposed_lines` decides about the speed; None without such a mode."""
        return self._vocabulary.text("light_sheet.mode")

    @mode.setter
    def mode(self, value: str) -> None:
        self._vocabulary.set_text("light_sheet.mode", value)

    @property
    def line_interval_us(self) -> float | None:
        """From one line's start to the next one's, us."""
        return self._vocabulary.number("light_sheet.line_interval_us")

    @line_interval_us.setter
    def line_interval_us(self, value: float) -> None:
        self._vocabulary.set_number("light_sheet.line_interval_us", value)

    @property
    def line_delay(self) -> float | None:
        """By how many line times the next line starts later, where the camera counts so."""
        return self._vocabulary.number("light_sheet.line_delay")

    @line_delay.setter
    def line_delay(self, value: float) -> None:
        self._vocabulary.set_number("light_sheet.line_delay", value)

    @property
    def exposed_lines(self) -> float | None:
        """How many lines expose at the same time; None where that is the exposure divided by the line interval."""
        return self._vocabulary.number("light_sheet.exposed_lines")

    @exposed_lines.setter
    def exposed_lines(self, value: float) -> None:
        self._vocabulary.set_number("light_sheet.exposed_lines", value)


_MOST_OUTPUTS = 8


def outputs_of(vocabulary: Vocabulary) -> dict[int, Output]:
    """Return the camera's output lines by their numbers."""
    numbers = range(1, _MOST_OUTPUTS + 1)
    return {number: Output(vocabulary, number) for number in numbers if vocabulary.has(f"output{number}.source")}
