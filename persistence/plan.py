"""The plan of a recording: what should come, place by place, before the first frame."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from .columns import EXPECTED, Column, StoredColumn, check_field_name, stored

Axes = Mapping[str, int | Sequence[Any] | None]
PlanLike = int | Axes | Sequence[Mapping[str, Any]]
"""A number of frames; axes with their lengths or labels, the slowest first; or a mapping for each frame."""

EXPECTED_COLUMN = StoredColumn(EXPECTED, np.dtype("<i8"), -1)
MAX_AXES = 16
_UNPLANNED = -1
_FILLS = {"f": np.nan, "i": -1, "b": False, "U": ""}


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Plan:
    """One row a place, in the order in which frames should come.

    Attributes
    ----------
    rows
        ``(places,)``, a structured array; texts are UTF-8.
    axes, shape
        Names and lengths of its axes, of which the last one is the fastest.
    repeats
        Whether the rows are one round of an endless plan, whose first axis, of length 1 then, counts the rounds.
    grows
        Whether more places may follow than were known at the start; nothing but their number is known of them.
    """

    rows: npt.NDArray[Any]
    axes: tuple[str, ...]
    shape: tuple[int, ...]
    repeats: bool = False
    grows: bool = False

    @classmethod
    def of(cls, given: "PlanLike | Plan", *, grows: bool = False) -> "Plan":
        """Return the plan that was given in one of its forms; a list of events may grow.

        Raises
        ------
        ValueError, TypeError
            It is no plan; the message says what one is.
        """
        if isinstance(given, Plan):
            return given
        if isinstance(given, bool) or not (hasattr(given, "__index__") or isinstance(given, Mapping | Sequence)):
            raise TypeError(f"plan is {given!r}; expected a number of frames, axes, or a list of a mapping a frame")
        if isinstance(given, Mapping):
            return cls._of_axes(given)
        if isinstance(given, Sequence):
            return cls._of_events(given, grows=grows)
        return cls._of_axes({"frame": int(given)})

    @classmethod
    def _of_axes(cls, axes: Axes) -> Self:
        labels, repeats = [], False
        for position, (name, axis) in enumerate(axes.items()):
            check_field_name(name)
            repeats = repeats or axis is None
            if axis is None and position:
                raise ValueError(f"axis {name!r} of the plan has no length: only the first one may go on without end")
            places = [0] if axis is None else range(axis) if isinstance(axis, int) else list(axis)
            if isinstance(axis, str) or not len(places):
                raise ValueError(f"axis {name!r} of the plan is {axis!r}; expected a length of 1 or more, or labels")
            column = _column(name, places)
            labels.append(np.array([column.convert(place) for place in places], column.dtype))
        if not 1 <= len(labels) <= MAX_AXES:
            raise ValueError(f"a plan has 1 to {MAX_AXES} axes, not {len(labels)}")
        shape = tuple(map(len, labels))
        rows = np.empty(math.prod(shape), [(name, each.dtype) for name, each in zip(axes, labels, strict=True)])
        for name, each in zip(axes, np.meshgrid(*labels, indexing="ij"), strict=True):
            rows[name] = each.ravel()
        return cls(rows=rows, axes=tuple(axes), shape=shape, repeats=repeats)

    @classmethod
    def _of_events(cls, events: Sequence[Mapping[str, Any]], *, grows: bool) -> Self:
        if not len(events) or not all(isinstance(event, Mapping) for event in events):
            raise TypeError("a plan of events is a list with a mapping for each frame, one at least")
        made = {}
        for name in dict.fromkeys(name for event in events for name in event):
            check_field_name(name)
            values = [event.get(name) for event in events]
            column = _column(name, [value for value in values if value is not None])
            made[name] = np.array([column.convert(value) for value in values], column.dtype)
        if not made:
            made["event"] = np.arange(len(events))
        rows = np.empty(len(events), [(name, each.dtype) for name, each in made.items()])
        for name, each in made.items():
            rows[name] = each
        return cls(rows=rows, axes=("event",), shape=(len(events),), grows=grows)

    def __len__(self) -> int:
        return len(self.rows)

    def shape_for(self, places: int) -> tuple[int, ...]:
        """Return the shape for a number of places that were needed or are missing: of an endless plan whole rounds."""
        if self.grows:
            return (max(len(self), places),)
        if not self.repeats:
            return self.shape
        return (-(-places // len(self)), *self.shape[1:])

    def rows_for(self, places: int) -> npt.NDArray[Any]:
        """Return the rows for a number of places that were needed or are missing, with texts decoded."""
        rounds = self.shape_for(places)[0] if self.repeats else 1
        dtype = [
            (name, f"U{self.rows.dtype[name].itemsize}" if self.rows.dtype[name].kind == "S" else self.rows.dtype[name])
            for name in self.rows.dtype.names or ()
        ]
        rows = np.empty(rounds * len(self), dtype)
        for name, kind in dtype:
            values = np.tile(self.rows[name], rounds)
            rows[name] = np.char.decode(values, "utf-8", "replace") if str(kind).startswith("U") else values
        if self.grows and places > len(self):
            fill = tuple(_FILLS[rows.dtype[name].kind] for name, _ in dtype)
            return np.concatenate([rows, np.array([fill] * (places - len(self)), rows.dtype)])
        if self.repeats:
            rows[self.axes[0]] = np.arange(len(rows)) // len(self)
        return rows


class Places:
    """Which places of a plan have frames, while it is recorded.

    Parameters
    ----------
    plan
        The plan.
    """

    def __init__(self, plan: Plan) -> None:
        self._places = None if plan.repeats or plan.grows else len(plan)
        self._filled = np.zeros(self._places or 0, bool)

    def choose(self, given: object, following: int) -> int:
        """Return a frame's place: the given one, by default the ``following`` one; -1 if that is beyond the plan.

        Raises
        ------
        ValueError, TypeError
            There is no such place.
        """
        if given is None:
            return following if self._places is None or following < self._places else _UNPLANNED
        place = int(EXPECTED_COLUMN.convert(given))
        if place < _UNPLANNED or (self._places is not None and place >= self._places):
            raise ValueError(f"the plan has the places 0 to {(self._places or 0) - 1}, and -1 is no place")
        return place

    def fill(self, place: int, *, came: bool) -> bool:
        """Mark a frame's place as filled if the frame ``came``, that is, was stored; return whether it did."""
        if came and self._places is not None and place >= 0:
            self._filled[place] = True
        return came

    def empty(self, lost: int) -> int:
        """Return how many places have no frame, beyond the ``lost`` ones that are known."""
        return max(0, len(self._filled) - int(self._filled.sum()) - lost)


def _column(name: str, values: Sequence[Any]) -> StoredColumn:
    """Return the column that holds all of some values; whole numbers among fractions are fractions."""
    columns = [Column.of(value) for value in values]
    kinds = {np.dtype(column.dtype).kind for column in columns} or {"f"}
    if kinds == {"U"}:
        return stored(name, Column(f"U{max(8, *(len(value.encode()) for value in values))}"))
    if kinds == {"i", "f"}:
        kinds = {"f"}
    if len(kinds) > 1:
        raise TypeError(f"{name!r} of the plan has values of several types, {values[:5]!r}: give all of one")
    return stored(name, Column({"f": float, "i": int, "b": bool}[kinds.pop()]))
