"""The parts of a case: ways that are measured side by side, and figures made of what they recorded."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

Record = dict[str, float]
"""What one way measured in one round."""


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
        """Tell whether ``value`` is what it should be."""
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
        Makes it from the round's records, which are named by their ways.
    target
        What it should be, if there is a target.
    """

    name: str
    unit: str
    of: Callable[[Mapping[str, Record]], float]
    target: Target | None = None


@dataclass(frozen=True, kw_only=True)
class Case:
    """Something to measure.

    Parameters
    ----------
    name
        For the command line and the table.
    ways
        What is measured, in turn in each round, each in a process of its own. Called with an empty folder and whether
        small sizes are enough.
    disk_bytes
        The most that a way puts on the disk, given whether small sizes are enough.
    figures
        What is told of it.
    """

    name: str
    ways: Mapping[str, Callable[[Path, bool], Record]]
    disk_bytes: Callable[[bool], int]
    figures: tuple[Figure, ...]


def column(way: str, key: str, unit: str, *, name: str = "", target: Target | None = None) -> Figure:
    """Return the figure that is one value of one way's record."""
    return Figure(name=name or f"{way}: {key}", unit=unit, of=lambda records: records[way][key], target=target)
