"""What an acquisition's events say about its frames, as columns and plan of a recording."""

import logging
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from ..persistence import MAX_COLUMNS, Column, Plan, is_column_name

Values = dict[str, Any]

_log = logging.getLogger("mmspool")
_CUT_BYTES = 64  # what a column of texts holds by default


def plain_values(values: Mapping[str, Any]) -> Values:
    """Return those values that a column can hold, under names that a column can have.

    Texts that are too long are cut: what an acquisition has exposed is stored, whatever its channel is called.
    """
    plain: Values = {}
    for name, value in values.items():
        if is_column_name(name) and isinstance(value, str):
            plain[name] = value.encode("utf-8", "replace")[:_CUT_BYTES].decode("utf-8", "ignore").replace("\0", "")
        elif is_column_name(name) and isinstance(value, bool | int | float | np.bool_ | np.number):
            plain[name] = value
    return plain


def axis_name(axis: str) -> str:
    """Return what an axis is called as a column: ``time`` is the frame's own."""
    return axis if is_column_name(axis) else f"{axis}_index"


def with_columns(own: Mapping[str, Column], events: Iterable[Values]) -> dict[str, Column]:
    """Return columns, and those that hold the values of all events, as many as a recording can have."""
    found: dict[str, Column] = {}
    for event in events:
        for name, value in event.items():
            known, column = found.get(name), Column.of(value)
            if known is None or _kinds(known, column) == ("i", "f"):  # fractions follow whole numbers
                found[name] = column
    return dict([*own.items(), *(item for item in found.items() if item[0] not in own)][:MAX_COLUMNS])


def plan_of(events: list[Values]) -> Plan | None:
    """Return the plan of events, after which more may come; None, and a line in the log, where they make none."""
    try:
        return Plan.of(events, grows=True)
    except (ValueError, TypeError) as exc:
        _log.warning("the events are not stored as a plan: %s", exc)
        return None


class FittingValues:
    """Keeps of each event's values what the columns of a recording hold; what they do not is logged once.

    Parameters
    ----------
    columns
        Of the recording.
    """

    def __init__(self, columns: Mapping[str, Column]) -> None:
        self._columns = columns
        self._left_out: set[str] = set()

    def of(self, values: Values) -> Values:
        """Return the values that can be stored."""
        fitting = {}
        for name, value in values.items():
            try:
                self._columns[name].check(value)
            except (KeyError, ValueError, TypeError):
                self._leave_out(name, value)
            else:
                fitting[name] = value
        return fitting

    def _leave_out(self, name: str, value: object) -> None:
        if name not in self._left_out:
            self._left_out.add(name)
            _log.warning(
                "%s=%r of an event is not stored, the recording has no column for it: declare it with columns= (this "
                "is logged once)",
                name,
                value,
            )


def _kinds(*columns: Column) -> tuple[str, ...]:
    return tuple(np.dtype(column.dtype).kind for column in columns)
