"""The parts of a case: ways that are measured side by side, and figures made of what they recorded."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .frames import stack_of

Record = dict[str, Any]
"""What one way measured in one round: numbers, and lists of numbers for the plots."""


@dataclass(frozen=True, kw_only=True)
class Setting:
    """Where and how large a measurement is.

    Parameters
    ----------
    folder
        Empty, on the disk to measure; deleted afterwards.
    shared
        For frames, which all measurements of a run have in common.
    quick
        Small sizes are enough: whether it works, rather than how fast it is.
    long
        Sizes that take minutes and tens of gigabytes.
    ready
        To be called when everything is prepared; returns when the machine is in the state that all start from.
    """

    folder: Path
    shared: Path
    quick: bool
    long: bool = False
    ready: Callable[[], None] = lambda: None

    def stack(self, shape: tuple[int, int], dtype: Any) -> Any:
        """Return frames ``(T, Y, X)``, different ones, more than the processor's caches hold."""
        return stack_of(self.shared, shape, dtype, quick=self.quick)


@dataclass(frozen=True, kw_only=True)
class Target:
    """What a figure's median should be.

    Parameters
    ----------
    at_least, at_most
        One of the two.
    """

    at_least: float | None = None
    at_most: float | None = None

    def met(self, value: float) -> bool:
        """Return whether ``value`` is what it should be."""
        if self.at_least is not None:
            return value >= self.at_least
        return self.at_most is not None and value <= self.at_most

    def __str__(self) -> str:
        return f">= {self.at_least:,g}" if self.at_least is not None else f"<= {self.at_most:,g}"


@dataclass(frozen=True, kw_only=True)
class Figure:
    """A number of one round.

    Parameters
    ----------
    name, unit
        For the table.
    of
        Makes it from the round's records, which are named by their ways; KeyError where one is missing.
    target
        What it should be, if there is a target.
    """

    name: str
    unit: str
    of: Callable[[Mapping[str, Record]], float]
    target: Target | None = None


Way = Callable[[Setting], Record]


@dataclass(frozen=True, kw_only=True)
class Case:
    """Something to measure.

    Parameters
    ----------
    name, about
        For the command line and the table; what is measured, for the page.
    ways
        What is measured, in turn in each round, each in a process of its own.
    disk_bytes
        The most that a way puts on the disk.
    figures
        What is told of it, and what it should be.
    columns
        Names and units of values of the records that are told of every way, side by side.
    """

    name: str
    about: str
    ways: Mapping[str, Way]
    disk_bytes: Callable[[Setting], int]
    figures: tuple[Figure, ...] = ()
    columns: Mapping[str, str] | None = None


def column(way: str, key: str, unit: str, *, name: str = "", target: Target | None = None) -> Figure:
    """Return the figure that is one value of one way's record."""
    return Figure(name=name or f"{way}: {key}", unit=unit, of=lambda records: float(records[way][key]), target=target)


def ratio(way: str, other: str, key: str, *, name: str = "", target: Target | None = None) -> Figure:
    """Return the figure that compares one value of two ways."""
    return Figure(
        name=name or f"{way} / {other}",
        unit="",
        of=lambda records: float(records[way][key] / records[other][key]),
        target=target,
    )
