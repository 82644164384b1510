"""The per-frame columns of a recording while it is written: 8-byte values, in chunks at offsets that are looked up."""

import math
from typing import Any

import h5py
import numpy as np

from .direct_file import DirectFile
from .nexus_schema import COLUMN_CHUNK, COLUMN_FILLS, COLUMN_PATHS

_VALUE_BYTES = 8


def column_bytes(frames: int) -> int:
    """Return how many bytes all columns take for so many frames."""
    return _chunks(frames) * COLUMN_CHUNK * _VALUE_BYTES * len(COLUMN_PATHS)


class Columns:
    """All columns of one file.

    Parameters
    ----------
    file
        Opened by the writer; HDF5 changes the columns' lengths.
    blocks
        The same file; what the values are written to.
    """

    def __init__(self, file: h5py.File, blocks: DirectFile) -> None:
        self._file = file
        self._blocks = blocks
        self._offsets: dict[str, list[int]] = {name: [] for name in COLUMN_PATHS}

    def resize(self, frames: int) -> None:
        """Make them as long as so many frames."""
        for where in COLUMN_PATHS.values():
            self._file[where].resize((frames,))

    def look_up(self, frames: int, *, new: bool) -> None:
        """Find the chunks up to so many frames, and fill them if they are new."""
        for name, where in COLUMN_PATHS.items():
            offsets, column = self._offsets[name], self._file[where].id
            for chunk in range(len(offsets), _chunks(frames)):
                offsets.append(column.get_chunk_info_by_coord((chunk * COLUMN_CHUNK,)).byte_offset)
                if new:
                    self._blocks.write(COLUMN_FILLS[name].tobytes() * COLUMN_CHUNK, offsets[-1])

    def write(self, name: str, first: int, values: np.ndarray[Any, Any]) -> None:
        """Write the 8-byte ``values`` of a column, from frame ``first`` on."""
        done = 0
        while done < len(values):
            chunk, place = divmod(first + done, COLUMN_CHUNK)
            part = values[done : done + COLUMN_CHUNK - place]
            self._blocks.write(part.tobytes(), self._offsets[name][chunk] + place * _VALUE_BYTES)
            done += len(part)


def _chunks(frames: int) -> int:
    return math.ceil(frames / COLUMN_CHUNK)
