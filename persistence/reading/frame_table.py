"""The per-frame columns of a recording as one table, of which only what is used is read."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from ..hdf5_file.nexus_schema import COLUMN_FILLS

ReadColumn = Callable[[str], npt.NDArray[Any]]
"""Returns a whole column, by its name."""

COLUMN_DTYPES = {"index": np.dtype(np.int64)} | {name: fill.dtype for name, fill in COLUMN_FILLS.items()}
"""The columns that every table has, in order."""


class FrameTable:
    """One row a frame, one column a fact; behaves as a read-only structured array of length T.

    ``table["start_time"]`` is an array, ``table[5]`` a row, ``table[5:10]`` a structured array, ``table[["index",
    "start_time"]]`` a table of two columns, and ``numpy.asarray(table)`` a structured array of all of it. For pandas
    write ``pandas.DataFrame(dict(table))``: from the table itself it makes one column of tuples. A column is read at
    its first use, and kept by the recording.

    Parameters
    ----------
    read
        Returns a column from its first frame on.
    dtypes
        The columns that there are, in order.
    names
        Those of the table; None for all.
    start, stop
        The table's frames.

    Attributes
    ----------
    dtype
        One field a column.
    """

    def __init__(
        self,
        read: ReadColumn,
        dtypes: Mapping[str, np.dtype[Any]],
        names: Sequence[str] | None,
        start: int,
        stop: int,
    ) -> None:
        names = tuple(dtypes) if names is None else names
        if unknown := [name for name in names if name not in dtypes]:
            raise KeyError(f"the frame table has no column {unknown[0]!r}; it has {', '.join(dtypes)}")
        self._read = read
        self._rows = slice(start, stop)
        self.dtype = np.dtype([(name, dtypes[name]) for name in names])

    @property
    def shape(self) -> tuple[int]:
        """``(T,)``."""
        return (len(self),)

    def keys(self) -> tuple[str, ...]:
        """Return the columns' names; with them ``dict(table)`` is a dictionary of arrays."""
        return self.dtype.names or ()

    def __len__(self) -> int:
        return int(self._rows.stop - self._rows.start)

    def __getitem__(self, key: Any) -> Any:
        """Return a column by its name, a table by a list of names, rows by any other index."""
        if isinstance(key, str):
            return self._column(key)
        if isinstance(key, list) and key and all(isinstance(name, str) for name in key):
            dtypes = {name: self.dtype[name] for name in self.keys()}
            return FrameTable(self._read, dtypes, key, self._rows.start, self._rows.stop)
        columns = [self._column(name)[key] for name in self.keys()]
        rows = np.empty(np.shape(columns[0]), self.dtype)
        for name, column in zip(self.keys(), columns, strict=True):
            rows[name] = column
        return rows[()]

    def __iter__(self) -> Iterator[Any]:
        return iter(self[:])

    def __array__(self, dtype: npt.DTypeLike | None = None, copy: bool | None = None) -> npt.NDArray[Any]:
        """Return the whole table as a structured array, which is always a copy."""
        return np.asarray(self[:], dtype)

    def __repr__(self) -> str:
        return f"<FrameTable of {len(self):,} frames: {', '.join(self.keys())}>"

    def _column(self, name: str) -> npt.NDArray[Any]:
        if name not in self.keys():
            raise KeyError(f"the frame table has no column {name!r}; it has {', '.join(self.keys())}")
        if name == "index":
            return np.arange(self._rows.start, self._rows.stop)
        return self._read(name)[self._rows]
