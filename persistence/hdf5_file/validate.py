"""Whether a file is built as a recording is, before anything that it says of itself is believed."""

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import numpy.typing as npt

from ...errors import RecordingError
from ..frame_checks import is_colour
from ..losses import MAX_LOSSES
from .nexus_schema import (
    CAMERAS,
    CLOCK_STEP,
    COLUMN_FILLS,
    COLUMN_PATHS,
    COUNTERS,
    DATA,
    END_TIME,
    GROUPS,
    LEDGER,
    LOSS_COLUMNS,
    METADATA,
    PLOT,
)
from .user_columns import DETECTOR, USER_COLUMNS, user_column_paths

DAMAGE = (OSError, RuntimeError, KeyError, ValueError, TypeError, AttributeError, IndexError, OverflowError)
"""What h5py and NumPy raise on a damaged file."""

_TEXTS = (f"{LEDGER}/state", f"{LEDGER}/end_reason", END_TIME, "/entry/start_time", METADATA)
_INFO = f"{DETECTOR}/camera/info"
_COLUMN_BYTES = 8 * len(COLUMN_PATHS)  # what a frame takes at least, however well its pixels can be compressed


def check_is_file(path: Path) -> None:
    """Refuse what is no file: opening a pipe would block.

    Raises
    ------
    RecordingError
        There is nothing, or a folder, a pipe or a device.
    """
    if not path.exists():
        raise RecordingError(f"{path}: no such file")
    if not path.is_file():
        raise RecordingError(f"{path} is not a file: name a recording")


def validate_structure(file: h5py.File, file_size: Callable[[], int]) -> None:
    """Check that every dataset is there, of the right type and shape, and not larger than the file.

    Parameters
    ----------
    file
        Open for reading.
    file_size
        Returns its present size, bytes.

    Raises
    ------
    ValueError, KeyError
        Something is not as `nexus_schema.create` makes it.
    """
    if CAMERAS in file.attrs:
        raise ValueError(f"it is the master file of several cameras: name one of their files, {_camera_files(file)}")
    data = file[DATA]
    size = file_size()  # not before: a file that is written is extended before anything says that it is longer
    whole = data.is_virtual or (data.chunks and data.chunks[1:] == data.shape[1:])
    if not _are_frames(data.shape, data.dtype) or not whole:
        raise ValueError(f"{DATA} holds {data.shape} {data.dtype} in chunks of {data.chunks}, which are not frames")
    elsewhere = data.is_virtual or data.id.get_create_plist().get_nfilters() > 0
    frame_bytes = math.prod(data.shape[1:]) * data.dtype.itemsize
    if data.shape[0] * (_COLUMN_BYTES if elsewhere else frame_bytes) > size:
        raise ValueError(f"{DATA} has {data.shape[0]:,} frames, for which the file is too small")
    entries = max(_length(file, f"{LEDGER}/{name}", np.dtype("<i8")) for name in LOSS_COLUMNS)
    if entries > MAX_LOSSES:
        raise ValueError(f"the ledger of losses has {entries:,} entries, at most {MAX_LOSSES:,} are possible")
    for name in COUNTERS:
        counter = _dataset(file, f"{LEDGER}/{name}")
        if counter.shape != () or counter.dtype != "<i8":
            raise ValueError(f"{LEDGER}/{name} holds {counter.shape} {counter.dtype}, not one number")
        if name != CLOCK_STEP and (count := read_small(file, f"{LEDGER}/{name}")) < 0:
            raise ValueError(f"{name} is {count}")
    frames = min(data.shape[0], int(read_small(file, f"{LEDGER}/frames_written")))
    for name, where in COLUMN_PATHS.items():
        if _length(file, where, COLUMN_FILLS[name].dtype) < frames:
            raise ValueError(f"{where} is shorter than the {frames:,} frames")
    for where in user_column_paths(file).values():
        if file[where].ndim != 1 or file[where].shape[0] < frames:
            raise ValueError(f"{where} holds {file[where].shape} values, for {frames:,} frames")
    for where in (*_TEXTS, _INFO):
        text = _dataset(file, where)
        if text.shape != () or text.dtype.kind != "S" or text.dtype.itemsize > size:
            raise ValueError(f"{where} holds {text.shape} {text.dtype}, not a text")


def unreadable(file: h5py.File) -> list[str]:
    """Return a line for each object of a recording that cannot be opened; what users added is not looked at."""
    lines = []
    own = user_column_paths(file)
    for where in (*GROUPS, *PLOT, *COLUMN_PATHS.values(), *own.values(), DATA, *([USER_COLUMNS] if own else ())):
        try:
            item = h5py.h5o.open(file.id, where.encode())
            for number in range(h5py.h5a.get_num_attrs(item)):
                h5py.h5a.open(item, index=number)
        except (OSError, RuntimeError, KeyError, ValueError) as exc:
            lines.append(f"{where} cannot be read ({exc})")
    return lines


def validate_chunks(file: h5py.File) -> None:
    """Check the index entry of every chunk of frames, columns and losses: HDF5 crashes when it trims by a wrong one.

    Raises
    ------
    ValueError
        An entry has a wrong size, or a filter mask where nothing is filtered.
    """
    own = user_column_paths(file).values()
    for where in (DATA, *COLUMN_PATHS.values(), *own, *(f"{LEDGER}/{name}" for name in LOSS_COLUMNS)):
        dataset = file[where]
        if dataset.id.get_create_plist().get_nfilters():
            continue  # sizes differ, and a reader's decoder checks them
        expected = math.prod(dataset.chunks) * dataset.dtype.itemsize
        wrong: list[Any] = []

        def compare(chunk: Any, expected: int = expected, wrong: list[Any] = wrong) -> None:
            if chunk.size != expected or chunk.filter_mask:
                wrong.append(chunk)

        dataset.id.chunk_iter(compare)
        if wrong:
            raise ValueError(f"the index of {where} has a chunk of {wrong[0].size:,} bytes; all have {expected:,}")


def read_small(file: h5py.File, where: str) -> Any:
    """Return all that a small dataset holds, in a fifth of the time that it takes through `h5py.Dataset`."""
    dataset = _dataset(file, where)
    values = np.empty(dataset.shape, dataset.dtype)
    dataset.read(h5py.h5s.ALL, h5py.h5s.ALL, values)
    return values[()]


def read_losses(file: h5py.File) -> npt.NDArray[np.int64]:
    """Return the ledger of losses, ``(entries, 3)``; its columns differ in length only while the file is ended."""
    columns = [read_small(file, f"{LEDGER}/{name}") for name in LOSS_COLUMNS]
    entries = min(len(column) for column in columns)
    return np.stack([column[:entries] for column in columns], axis=1)


def text_attribute(item: h5py.HLObject, name: str) -> str:
    """Return a text attribute of fixed length; HDF5 may never finish reading a damaged one of variable length.

    Raises
    ------
    ValueError, KeyError
        It is not there, or is no such text.
    """
    if item.attrs.get_id(name).dtype.kind != "S":
        raise ValueError(f"{item.name}@{name} is not a text of fixed length")
    return bytes(item.attrs[name]).decode("ascii")


def _camera_files(master: h5py.File) -> str:
    links = (master.get(name, getlink=True) for name in master)
    return ", ".join(str(link.filename) for link in links if isinstance(link, h5py.ExternalLink))


def _are_frames(shape: tuple[int, ...], dtype: np.dtype[Any]) -> bool:
    if len(shape) == 3:
        return dtype.kind in "biuf"
    return len(shape) == 4 and is_colour(shape[1:], dtype)


def _dataset(file: h5py.File, where: str) -> h5py.h5d.DatasetID:
    dataset = h5py.h5d.open(file.id, where.encode())
    if dataset.get_space().get_simple_extent_type() == h5py.h5s.NULL:
        raise ValueError(f"{where} is empty")
    return dataset


def _length(file: h5py.File, where: str, dtype: np.dtype[Any]) -> int:
    """Return the length of a column."""
    column = _dataset(file, where)
    if column.rank != 1 or column.dtype != dtype:
        raise ValueError(f"{where} holds {column.shape} {column.dtype}, not a column of {dtype}")
    return int(column.shape[0])
