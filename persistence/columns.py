"""Columns of the user's own: named numbers and short texts that come with each frame."""

import operator
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

METADATA_KEYS = ("image_number", "camera_frame_number", "camera_timestamp", "host_timestamp")
"""What every recording has of a frame's metadata: whole numbers, time stamps in ns."""

EXPECTED = "expected"
"""The column of a recording with a plan: the frame's place in it, -1 for a frame that is in no place."""

_RESERVED = frozenset(
    (*METADATA_KEYS, EXPECTED, "index", "sequence_number", "time", "start_time", "checksum", "data", "y", "x")
)
_NAME = re.compile(r"[A-Za-z0-9_]([A-Za-z0-9_.]*[A-Za-z0-9_])?")  # NeXus' rule
_MAX_NAME = 63
MAX_COLUMNS = 16
"""What trims them at the end, with all else, is one change of the file's structure and fits in half of the journal."""

TEXT_BYTES = (8, 16, 32, 64, 128, 256)
"""Sizes of texts: powers of two, so that none crosses a page, of which a power cut may leave one half."""

_USUAL_TEXT_BYTES = 64
_UCS4_BYTES = 4  # of a character in NumPy's texts

_TYPES: tuple[tuple[tuple[type, ...], type], ...] = (
    ((bool, np.bool_), bool),
    ((int, np.integer), int),
    ((float, np.floating), float),
    ((str,), str),
)

Value = float | int | bool | bytes
"""A column's value as the ring and the file hold it; text is UTF-8."""

_FILLS: dict[str, Value] = {"f": np.nan, "i": -1, "b": False, "S": b""}


@dataclass(frozen=True)
class Column:
    """What a column of your own holds: ``Spool(columns={"z_um": Column(float, units="um")})``.

    Parameters
    ----------
    dtype
        ``float``, ``int``, ``bool``, ``str`` (up to 64 bytes of UTF-8), ``"U16"`` (up to 16 bytes: 16 letters of
        English), or a NumPy dtype of these kinds. Numbers are stored with 64 bits, texts with 8, 16, 32, ... 256 bytes.
    fill
        Of a frame that comes without a value; by default NaN, -1, False or an empty text.
    units
        For the file, such as ``"um"``.

    Raises
    ------
    ValueError, TypeError
        It cannot be stored; the message says what can.
    """

    dtype: npt.DTypeLike
    fill: float | int | bool | str | None = field(default=None, kw_only=True)
    units: str = field(default="", kw_only=True)

    def __post_init__(self) -> None:
        object.__setattr__(self, "dtype", _plain(self.dtype))
        stored("column", self)

    @classmethod
    def of(cls, value: object) -> "Column":
        """Return the column that holds values such as this one.

        Raises
        ------
        TypeError
            None does.
        """
        for kinds, dtype in _TYPES:
            if isinstance(value, kinds):
                return cls(dtype)
        raise TypeError(
            f"{value!r} of type {type(value).__name__} is no value of a column, which holds float, int, bool or short "
            "text: convert it, or declare the column where the first frame has no value"
        )

    def check(self, value: object) -> None:
        """Refuse a value that the column does not hold.

        Raises
        ------
        ValueError, TypeError
            It is of another type, or does not fit.
        """
        stored("column", self).convert(value)


@dataclass(frozen=True, slots=True)
class StoredColumn:
    """A column as the ring and the file hold it: float64, int64, bool, or text of a fixed number of bytes of UTF-8."""

    name: str
    dtype: np.dtype[Any]
    fill: Value
    units: str = ""

    @property
    def code(self) -> str:
        """Its value's code in a `struct` format."""
        return {"f": "d", "i": "q", "b": "?", "S": f"{self.dtype.itemsize}s"}[self.dtype.kind]

    def convert(self, value: object) -> Value:
        """Return a frame's value as it is stored, the fill for None.

        Raises
        ------
        ValueError, TypeError
            It is of another type, or does not fit.
        """
        if value is None:
            return self.fill
        return _CONVERT[self.dtype.kind](value, self.dtype.itemsize)

    def as_column(self) -> "Column":
        """Return what was declared, or found."""
        if self.dtype.kind == "S":
            fill = self.fill.decode() if isinstance(self.fill, bytes) else ""
            return Column(f"U{self.dtype.itemsize}", fill=fill, units=self.units)
        return Column(self.dtype, fill=self.fill, units=self.units)  # type: ignore[arg-type]  # no bytes

    def describe(self) -> str:
        """Return in words what it holds."""
        words = {"f": "float", "i": "int", "b": "bool", "S": f"text of up to {self.dtype.itemsize} bytes"}
        return words[self.dtype.kind]


def stored(name: str, column: "Column | npt.DTypeLike") -> StoredColumn:
    """Return how a declared column is stored.

    Raises
    ------
    ValueError, TypeError
        The dtype or the fill cannot be stored.
    """
    if not isinstance(column, Column):
        column = Column(column)
    dtype = np.dtype(column.dtype)
    if dtype.kind == "U":
        dtype = np.dtype(f"S{dtype.itemsize // _UCS4_BYTES}")
    plain = StoredColumn(name, dtype, _FILLS[dtype.kind], column.units)
    try:
        return StoredColumn(name, dtype, plain.convert(column.fill), column.units)
    except (ValueError, TypeError) as exc:
        raise type(exc)(f"fill is {column.fill!r}, and the column holds {plain.describe()}: {exc}") from exc


def declared(columns: "Mapping[str, Column | npt.DTypeLike]") -> dict[str, Column]:
    """Return declared columns, each as a `Column`.

    Raises
    ------
    ValueError, TypeError
        A name or what it stands for cannot be stored; the message has the name.
    """
    if len(columns) > MAX_COLUMNS:
        raise ValueError(f"there are {len(columns)} columns; a recording has at most {MAX_COLUMNS}: leave some out")
    made = {}
    for name, column in columns.items():
        check_name(name)
        try:
            made[name] = column if isinstance(column, Column) else Column(column)
        except (ValueError, TypeError) as exc:
            raise type(exc)(f"column {name!r}: {exc}") from exc
    return made


def found(metadata: Mapping[str, Any] | None) -> tuple[StoredColumn, ...]:
    """Return the columns that the first frame's values show: its names that are no `METADATA_KEYS`.

    Raises
    ------
    ValueError, TypeError
        A name or a value cannot be stored.
    """
    columns = {}
    for name, value in (metadata or {}).items():
        if name not in (*METADATA_KEYS, EXPECTED):  # a place, where there is a plan
            try:
                columns[name] = Column.of(value)
            except TypeError as exc:
                raise TypeError(f"column {name!r}: {exc}") from exc
    return tuple(stored(name, column) for name, column in declared(columns).items())


def check_name(name: str) -> None:
    """Refuse what cannot be a column's name.

    Raises
    ------
    ValueError
        It is reserved, or no name that NeXus allows.
    """
    check_field_name(name)
    if name in _RESERVED:
        raise ValueError(f"{name!r} is the name of something that every recording has: choose another one")


def check_field_name(name: str) -> None:
    """Refuse what is no name that NeXus allows.

    Raises
    ------
    ValueError
        It is none.
    """
    if not _NAME.fullmatch(name) or len(name) > _MAX_NAME:
        raise ValueError(
            f"{name!r} is no name for a column: use up to {_MAX_NAME} letters, digits and _ (the file is NeXus), "
            "with the unit at its end, such as z_um"
        )


def is_column_name(name: object) -> bool:
    """Return whether a column of the user's own can have this name."""
    return isinstance(name, str) and bool(_NAME.fullmatch(name)) and len(name) <= _MAX_NAME and name not in _RESERVED


def unknown_names(names: set[str], columns: tuple[StoredColumn, ...]) -> str:
    """Return the message for names that a recording has no columns for."""
    import difflib  # loaded for a mistake only; the writer process has no use for it

    name = min(names, key=str)
    if name == EXPECTED:
        return f"{name!r} is a place in a plan, and this recording has none: Spool(plan=...); this frame was not stored"
    if name in _RESERVED:
        return f"{name!r} is no value of a frame: every recording has it by itself; this frame was not stored"
    known = (*METADATA_KEYS, *(column.name for column in columns))
    nearest = difflib.get_close_matches(str(name), known, 1)
    hint = f"did you mean {nearest[0]!r}?" if nearest else f"it has {', '.join(known)}."
    return (
        f"the recording has no column {name!r}: {hint} Columns are declared, Spool(columns={{{name!r}: float}}), or, "
        "where neither they nor the frames' shape are, found at the first frame; this frame was not stored"
    )


def _plain(given: Any) -> npt.DTypeLike:
    """Return the dtype with which a column of the given one is read."""
    dtype = np.dtype(given)
    if dtype.kind in "US":
        size = dtype.itemsize // (_UCS4_BYTES if dtype.kind == "U" else 1) or _USUAL_TEXT_BYTES
        if size > TEXT_BYTES[-1]:
            raise ValueError(f"a text of {size} bytes is too long for a column, which holds up to {TEXT_BYTES[-1]}")
        return np.dtype(f"U{next(bytes_ for bytes_ in TEXT_BYTES if bytes_ >= size)}")
    for kinds, plain in (("f", "<f8"), ("iu", "<i8"), ("b", "?")):
        if dtype.kind in kinds and dtype.itemsize <= 8:
            return np.dtype(plain)
    raise ValueError(f"{dtype} cannot be stored in a column, which holds float, int, bool, or text such as 'U16'")


def _as_float(value: Any, _: int) -> float:
    if type(value) is float:
        return value
    if isinstance(value, bool | np.bool_ | str | bytes):
        raise TypeError("it takes numbers")
    return float(value)


def _as_int(value: Any, _: int) -> int:
    if isinstance(value, bool | np.bool_):
        raise TypeError("it takes whole numbers")
    number = operator.index(value)
    if not -(2**63) <= number < 2**63:
        raise ValueError("it does not fit in 64 bits")
    return number


def _as_bool(value: Any, _: int) -> bool:
    if not isinstance(value, bool | np.bool_):
        raise TypeError("it takes True and False")
    return bool(value)


def _as_text(value: Any, size: int) -> bytes:
    if not isinstance(value, str):
        raise TypeError("it takes text")
    text = value.encode()
    if len(text) > size:  # cut, "channel-1" and "channel-10" might be the same
        raise ValueError(f"it takes {len(text)} bytes, of {size}")
    if "\0" in value:
        raise ValueError("it holds a zero, which ends a text in the file")
    return text


_CONVERT: dict[str, Callable[[Any, int], Value]] = {"f": _as_float, "i": _as_int, "b": _as_bool, "S": _as_text}
