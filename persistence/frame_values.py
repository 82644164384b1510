"""What comes with a frame, beside its pixels, as the ring holds it."""

from collections.abc import Callable, Mapping
from typing import Any

from ..errors import FrameError
from .columns import METADATA_KEYS, StoredColumn, Value, found, unknown_names
from .frame_checks import metadata_values

FrameValuesOf = Callable[[Mapping[str, Any] | None, int], tuple[Value, ...]]
"""Returns the values of a frame's record, but for the first, from its metadata and the present time."""


def values_of(columns: tuple[StoredColumn, ...]) -> FrameValuesOf:
    """Return what makes a frame's record of its metadata; without columns of the user's own the quickest way."""
    return FrameValues(columns) if columns else metadata_values


def find_columns(metadata: Mapping[str, Any] | None) -> tuple[StoredColumn, ...]:
    """Return the columns that the first frame's metadata shows.

    Raises
    ------
    FrameError
        A name or a value cannot be stored.
    """
    try:
        return found(metadata)
    except (ValueError, TypeError) as exc:
        raise FrameError(f"{exc}; nothing was recorded yet") from exc


class FrameValues:
    """Makes a frame's record of its metadata in a recording with columns of the user's own."""

    def __init__(self, columns: tuple[StoredColumn, ...]) -> None:
        self._columns = columns
        self._names = frozenset(column.name for column in columns)
        self._known = self._names.union(METADATA_KEYS)
        self._fills = tuple(column.fill for column in columns)

    def __call__(self, metadata: Mapping[str, Any] | None, host_ns: int) -> tuple[Value, ...]:
        """Return the values of `METADATA_KEYS` and of the columns; the fill where there is none.

        Raises
        ------
        FrameError
            An unknown name, or a value that is of another type than its column or does not fit.
        """
        if not metadata:
            return (-1, -1, -1, host_ns, *self._fills)
        if not metadata.keys() <= self._known:
            raise FrameError(unknown_names(set(metadata.keys()) - self._known, self._columns))
        numbers = metadata_values({key: metadata[key] for key in METADATA_KEYS if key in metadata}, host_ns)
        return (*numbers, *[self._convert(column, metadata.get(column.name)) for column in self._columns])

    @staticmethod
    def _convert(column: StoredColumn, value: object) -> Value:
        try:
            return column.convert(value)
        except (ValueError, TypeError) as exc:
            raise FrameError(
                f"column {column.name!r} holds {column.describe()}, and this frame has {value!r} "
                f"({type(value).__name__}): {exc}; the frame was not stored"
            ) from exc
