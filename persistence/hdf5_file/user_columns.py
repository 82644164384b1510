"""Columns of the user's own in a recording's file: a group with a dataset for each, only where there are any."""

import h5py
import numpy as np

from ..columns import EXPECTED, MAX_COLUMNS, TEXT_BYTES, StoredColumn, check_name
from .datasets import create_column

DETECTOR = "/entry/instrument/detector"
USER_COLUMNS = f"{DETECTOR}/columns"

_ORDER = "order"
_ENCODING = "encoding"
_FILL = "fill"


def create_user_columns(file: h5py.File, columns: tuple[StoredColumn, ...]) -> None:
    """Create the group and its datasets, all empty.

    Texts are UTF-8 in strings that say nothing of it but by their attribute: Octave cannot load a file that has any
    string dataset of HDF5's UTF-8.
    """
    if not columns:
        return
    group = file.create_group(USER_COLUMNS)
    group.attrs.update(NX_class="NXcollection")
    group.attrs[_ORDER] = np.array([column.name.encode() for column in columns])
    for column in columns:
        fill = np.array(column.fill, column.dtype)
        create_column(file, f"{USER_COLUMNS}/{column.name}", fill)
        group[column.name].attrs[_FILL] = fill
        if column.units:
            text = column.units.encode()
            group[column.name].attrs.create("units", np.bytes_(text), dtype=h5py.string_dtype("utf-8", len(text)))
        if column.dtype.kind == "S":
            group[column.name].attrs[_ENCODING] = np.bytes_(b"utf-8")


def read_user_columns(file: h5py.File) -> tuple[StoredColumn, ...]:
    """Return the columns of a file, in their order.

    Raises
    ------
    ValueError, KeyError
        They are not as `create_user_columns` makes them.
    """
    if USER_COLUMNS not in file:
        return ()
    group = file[USER_COLUMNS]
    order = group.attrs.get_id(_ORDER)
    if order.dtype.kind != "S" or len(order.shape) != 1 or not 0 < order.shape[0] <= MAX_COLUMNS + 1:
        raise ValueError(f"{USER_COLUMNS}@{_ORDER} holds {order.shape} {order.dtype}, not the columns' names")
    return tuple(_read_column(group, name.decode("ascii")) for name in group.attrs[_ORDER])


def user_column_paths(file: h5py.File) -> dict[str, str]:
    """Return where each column of the user's own lies."""
    return {column.name: f"{USER_COLUMNS}/{column.name}" for column in read_user_columns(file)}


def _read_column(group: h5py.Group, name: str) -> StoredColumn:
    if name != EXPECTED:
        check_name(name)
    dataset = group[name]
    dtype = dataset.dtype
    usual = dtype in (np.dtype("<f8"), np.dtype("<i8"), np.dtype("?"))
    if not usual and not (dtype.kind == "S" and dtype.itemsize in TEXT_BYTES):
        raise ValueError(f"{dataset.name} holds {dtype}, which no column does")
    attribute = dataset.attrs.get_id(_FILL)
    if attribute.shape != () or attribute.dtype != dtype:
        raise ValueError(f"{dataset.name}@{_FILL} holds {attribute.shape} {attribute.dtype}, not a {dtype}")
    fill = np.zeros((), dtype)
    attribute.read(fill)
    return StoredColumn(name, dtype, fill[()].item(), _units(dataset))


def _units(dataset: h5py.Dataset) -> str:
    if not h5py.h5a.exists(dataset.id, b"units"):
        return ""
    attribute = h5py.h5a.open(dataset.id, b"units")
    if attribute.dtype.kind != "S":
        raise ValueError(f"{dataset.name}@units is not a text of fixed length")
    return bytes(dataset.attrs["units"]).decode()
