"""How each kind of group and dataset of a recording's file is created."""

from typing import Any

import h5py
import numpy as np

from .codec import Codec

COLUMN_CHUNK = 8192
"""Values in a chunk of a column."""


def _ascii(text: str) -> bytes:
    return text.encode("ascii", "backslashreplace")


def fixed(text: str, size: int) -> bytes:
    """Return text as a fixed-length ASCII string; what does not fit is cut."""
    return _ascii(text)[:size].ljust(size, b"\0")


def create_images(
    parent: h5py.Group,
    name: str,
    frames: int,
    chunk: tuple[int, ...],
    dtype: np.dtype[Any],
    codec: Codec | None = None,
) -> h5py.Dataset:
    """Create an image dataset ``(T, Y, X)`` or ``(T, Y, X, 3)``; its chunks are allocated as it grows and never filled.

    Compressed ones are allocated as they are written.
    """
    create = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    create.set_chunk(chunk)
    if codec is None:
        create.set_alloc_time(h5py.h5d.ALLOC_TIME_EARLY)
        create.set_fill_time(h5py.h5d.FILL_TIME_NEVER)
    else:
        create.set_alloc_time(h5py.h5d.ALLOC_TIME_INCR)
        for filter_id, values in codec.filters:  # optional: the writer needs no plugin, it compresses by itself
            create.set_filter(filter_id, h5py.h5z.FLAG_OPTIONAL, values)
    space = h5py.h5s.create_simple((frames, *chunk[1:]), (h5py.h5s.UNLIMITED, *chunk[1:]))
    kind = h5py.h5t.py_create(dtype, logical=True)
    return h5py.Dataset(h5py.h5d.create(parent.id, name.encode(), kind, space, create))


def create_column(file: h5py.File, where: str, fill: np.ndarray[Any, Any], values: int = 0) -> None:
    """Create a 1-D dataset whose chunks are allocated as it grows; the writer fills them."""
    parent, _, name = where.rpartition("/")
    create = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    create.set_chunk((values or COLUMN_CHUNK,))
    create.set_alloc_time(h5py.h5d.ALLOC_TIME_EARLY)
    create.set_fill_time(h5py.h5d.FILL_TIME_ALLOC if values else h5py.h5d.FILL_TIME_NEVER)
    if fill.dtype.kind != "S":  # of a text h5py would store what is in memory where its pointer lies
        create.set_fill_value(fill)
    space = h5py.h5s.create_simple((values,), (h5py.h5s.UNLIMITED,))
    h5py.h5d.create(file[parent].id, name.encode(), h5py.h5t.py_create(fill.dtype), space, create)


def create_group(parent: h5py.Group, name: str, nx_class: str, **attributes: Any) -> h5py.Group:
    """Create a group of one of NeXus' classes."""
    group = parent.create_group(name)
    group.attrs.update(NX_class=nx_class, **attributes)
    return group


def create_text(group: h5py.Group, name: str, text: str) -> h5py.Dataset:
    """Write a fixed-length ASCII string: UTF-8 string datasets cannot be read by Octave."""
    data = _ascii(text)
    return group.create_dataset(name, data=np.array(data or b"\0", f"S{max(1, len(data))}"))


def create_allocated(group: h5py.Group, name: str, value: np.ndarray[Any, Any]) -> None:
    """Create a small dataset whose bytes are allocated from the start, so that it can be written in place."""
    create = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    create.set_layout(h5py.h5d.CONTIGUOUS)
    create.set_alloc_time(h5py.h5d.ALLOC_TIME_EARLY)
    array = np.asarray(value)
    space = h5py.h5s.create_simple(array.shape) if array.shape else h5py.h5s.create(h5py.h5s.SCALAR)
    dataset = h5py.h5d.create(group.id, name.encode(), h5py.h5t.py_create(array.dtype), space, create)
    dataset.write(h5py.h5s.ALL, h5py.h5s.ALL, array)
