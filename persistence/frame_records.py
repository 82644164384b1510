"""What comes with a frame, as the ring holds it beside the pixels: numbers, the user's values, its planned place."""

from collections.abc import Callable, Mapping
from typing import Any

from ..errors import FrameError
from .columns import EXPECTED, METADATA_KEYS, StoredColumn, Value, found, stored, unknown_names
from .frame_checks import metadata_values
from .options import SpoolOptions
from .plan import EXPECTED_COLUMN, Places, Plan


class FrameRecords:
    """Makes a frame's record of its metadata.

    Parameters
    ----------
    options
        Of the spool.
    next_place
        Returns how many frames came or are known to be lost: a frame's place in the plan where the caller gives none.

    Attributes
    ----------
    columns
        Of the user's own, declared or found at the first frame.
    places
        Which places of the plan have frames; None without a plan.
    """

    def __init__(self, options: SpoolOptions, next_place: Callable[[], int]) -> None:
        self.columns = tuple(stored(name, column) for name, column in (options.columns or {}).items())
        self.places = None if options.plan is None else Places(Plan.of(options.plan))
        self._may_find = options.columns is None
        self._next_place = next_place
        self._know()

    @property
    def stored_columns(self) -> tuple[StoredColumn, ...]:
        """All columns that the file has beside those of every recording."""
        return self.columns if self.places is None else (*self.columns, EXPECTED_COLUMN)

    def begin_with(self, metadata: Mapping[str, Any] | None) -> None:
        """Find the columns that the first frame's metadata shows, if none were declared, and check its values.

        Raises
        ------
        FrameError
            A name or a value cannot be stored.
        """
        if self._may_find:
            try:
                self.columns = found(metadata)
            except (ValueError, TypeError) as exc:
                raise FrameError(f"{exc}; nothing was recorded yet") from exc
            self._know()
        self.values(metadata, 0)

    @property
    def values_of(self) -> Callable[[Mapping[str, Any] | None, int], tuple[Value, ...]]:
        """What makes a frame's values, for all frames after the first: `values`, or the quickest that does the same."""
        return self.values if self.columns or self.places is not None else metadata_values

    def values(self, metadata: Mapping[str, Any] | None, host_ns: int) -> tuple[Value, ...]:
        """Return the values of `METADATA_KEYS`, of the columns, and the place in the plan if there is one.

        Raises
        ------
        FrameError
            An unknown name, or a value that is of another type than its column or does not fit.
        """
        if metadata is None:
            metadata = {}
        if not metadata.keys() <= self._known:
            raise FrameError(unknown_names(set(metadata) - self._known, self.columns))
        numbers = metadata_values({key: metadata[key] for key in METADATA_KEYS if key in metadata}, host_ns)
        values = [_convert(column, metadata.get(column.name)) for column in self.columns]
        if self.places is not None:
            values.append(self._place(self.places, metadata.get(EXPECTED)))
        return (*numbers, *values)

    def _know(self) -> None:
        planned = () if self.places is None else (EXPECTED,)
        self._known = frozenset((*METADATA_KEYS, *planned, *(column.name for column in self.columns)))

    def _place(self, places: Places, given: object) -> int:
        try:
            return places.choose(given, self._next_place())
        except (ValueError, TypeError) as exc:
            raise FrameError(f"{EXPECTED!r} of this frame is {given!r}: {exc}; the frame was not stored") from exc


def _convert(column: StoredColumn, value: object) -> Value:
    try:
        return column.convert(value)
    except (ValueError, TypeError) as exc:
        raise FrameError(
            f"column {column.name!r} holds {column.describe()}, and this frame has {value!r} "
            f"({type(value).__name__}): {exc}; the frame was not stored"
        ) from exc
