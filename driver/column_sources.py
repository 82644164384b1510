"""Columns of a camera's recording: what the script, or the core, says about each frame."""

import logging
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from ..adapters import Frame
from ..persistence import Column

Source = Callable[[], Any] | str
"""A function that returns the value of the present frame, or the name of one of the core's tags."""

ColumnSource = Source | tuple[Source, Column | npt.DTypeLike]
"""A source, with what its column holds where that is not plain from the first value (a function) or text (a tag)."""

_log = logging.getLogger("mmspool")


class ColumnSources:
    """Reads the values of a recording's columns for each frame.

    A function that raises, or returns what its column does not hold, costs that frame its value, and never the frame:
    the column's fill is stored, and the log says so once. A frame without the tag, or with one that is no number where
    the column holds numbers, gets the fill too.

    Parameters
    ----------
    sources
        By the columns' names. Each function without a dtype is called once, to see what it returns.

    Attributes
    ----------
    columns
        The columns to declare to `Spool`.

    Raises
    ------
    ValueError, TypeError
        A source is none, or its column cannot be stored.
    """

    def __init__(self, sources: Mapping[str, ColumnSource]) -> None:
        self.columns: dict[str, Column] = {}
        self._functions: dict[str, Callable[[], Any]] = {}
        self._tags: dict[str, str] = {}
        self._failed: set[str] = set()
        for name, given in sources.items():
            source, dtype = given if isinstance(given, tuple) and len(given) == 2 else (given, None)
            if isinstance(source, str):
                self._tags[name] = source
                dtype = str if dtype is None else dtype
            elif callable(source):
                self._functions[name] = source
                dtype = Column.of(source()) if dtype is None else dtype
            else:
                raise TypeError(
                    f"column {name!r} comes from {given!r}; expected a function, the name of a tag, or a pair of one "
                    "of these and a dtype"
                )
            self.columns[name] = dtype if isinstance(dtype, Column) else Column(dtype)
            if name in self._tags and np.dtype(self.columns[name].dtype).kind == "b":
                raise ValueError(f"column {name!r} comes from a tag: its dtype is str, float or int, not {dtype}")

    def values(self, frame: Frame) -> dict[str, Any]:
        """Return the values of a frame, by column; what there is none for is left out."""
        values = {}
        for name, function in self._functions.items():
            try:
                value = function()
                self.columns[name].check(value)
            except Exception:  # noqa: BLE001 - whatever it was, frames are worth more
                self._note_failure(name)
            else:
                values[name] = value
        for name, tag in self._tags.items():
            if (text := frame.tags.get(tag)) is not None:
                try:
                    value = _from_tag(text, np.dtype(self.columns[name].dtype).kind)
                    self.columns[name].check(value)
                except (ValueError, TypeError):
                    self._note_failure(name)
                else:
                    values[name] = value
        return values

    def _note_failure(self, name: str) -> None:
        if name not in self._failed:
            self._failed.add(name)
            _log.warning(
                "column %s has no value for a frame, which is stored without; this is logged once", name, exc_info=True
            )


def _from_tag(value: Any, kind: str) -> Any:
    """Return a tag's value, which is text on the Python backend, as a column of that kind holds it."""
    if kind == "f":
        return float(value)
    return int(value) if kind == "i" else str(value)
