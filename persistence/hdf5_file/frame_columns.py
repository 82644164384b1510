"""The per-frame columns of a recording while it is written: values in chunks, at offsets that are looked up."""

import math
from collections.abc import Callable
from typing import Any

import h5py
import numpy as np

from ..block_layout import COLUMNS
from .datasets import COLUMN_CHUNK
from .direct_file import DirectFile
from .nexus_schema import COLUMN_FILLS, COLUMN_PATHS, TIME_LABEL, TIME_LABELS
from .user_columns import USER_COLUMNS, read_user_columns

_CAMERA, _HOST = COLUMNS.index("camera_timestamp"), COLUMNS.index("host_timestamp")


class FrameColumns:
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
        own = read_user_columns(file)
        self._own = tuple(column.name for column in own)
        self._paths = COLUMN_PATHS | {name: f"{USER_COLUMNS}/{name}" for name in self._own}
        self._fills = COLUMN_FILLS | {column.name: np.array(column.fill, column.dtype) for column in own}
        self._offsets: dict[str, list[int]] = {name: [] for name in self._paths}
        self._first_frame: tuple[int, int] | None = None  # its time stamps by the camera and by the host
        self._is_labelled = False

    def size_bytes(self, frames: int) -> int:
        """Return how many bytes all columns take for ``frames`` frames."""
        return _chunks(frames) * COLUMN_CHUNK * sum(fill.itemsize for fill in self._fills.values())

    def grow_own(self, frames: int, commit: Callable[[], object]) -> None:
        """Extend the user's own columns to ``frames``, before the others: together they might not fit in the journal.

        Until these follow they are longer, which no reader minds: they are no part of a plot.
        """
        if self._own:
            for name in self._own:
                self._file[self._paths[name]].resize((frames,))
            self._file.flush()
            self._look_up(self._own, frames, new=True)
            commit()

    def resize(self, frames: int) -> None:
        """Set the length of all columns to ``frames``."""
        for where in self._paths.values():
            self._file[where].resize((frames,))

    def look_up(self, frames: int, *, new: bool) -> None:
        """Find the chunks of the first ``frames`` frames, and fill those that are new."""
        self._look_up(tuple(self._paths), frames, new=new)

    def _look_up(self, names: tuple[str, ...], frames: int, *, new: bool) -> None:
        for name in names:
            offsets, column = self._offsets[name], self._file[self._paths[name]].id
            for chunk in range(len(offsets), _chunks(frames)):
                offsets.append(column.get_chunk_info_by_coord((chunk * COLUMN_CHUNK,)).byte_offset)
                if new:
                    self._blocks.write(self._fills[name].tobytes() * COLUMN_CHUNK, offsets[-1])

    def resume(self) -> None:
        """Find the first frame's time stamps in a file that another process wrote."""
        camera, host = (int(self._file[COLUMN_PATHS[name]][0]) for name in ("camera_timestamp", "host_timestamp"))
        self._first_frame = camera, host

    def write_frames(self, first: int, records: np.ndarray[Any, Any], own: np.ndarray[Any, Any], start_ns: int) -> None:
        """Write all columns but the checksums, from frame ``first`` on.

        Parameters
        ----------
        first
            A frame.
        records
            ``(frames, columns)`` int64, as `block_layout.COLUMNS` names them.
        own
            ``(frames,)``, with a field for each column of the user's own.
        start_ns
            When the recording started, by the host's clock.
        """
        for column, name in enumerate(COLUMNS):
            self.write(name, first, records[:, column])
        for name in self._own:
            self.write(name, first, own[name])
        camera, host = records[:, _CAMERA], records[:, _HOST]
        self.write("start_time", first, (host - start_ns) / 1e9)
        if first == 0:
            self._first_frame = int(camera[0]), int(host[0])
        if self._first_frame is not None:
            camera_origin, host_origin = self._first_frame
            times = host - host_origin
            if camera_origin >= 0:  # a frame without a time stamp has the time of its arrival
                times = np.where(camera >= 0, camera - camera_origin, times)
            self.write("time", first, times / 1e9)

    def label_time(self) -> None:
        """Name the time axis after the clock that its times come from, once that is known.

        The attribute is overwritten, not created again: that changes a single piece of the structure, and so leaves no
        moment at which the file cannot be read.
        """
        if self._first_frame is not None and not self._is_labelled:
            label = TIME_LABELS["camera" if self._first_frame[0] >= 0 else "arrival"]
            h5py.h5a.open(self._file[COLUMN_PATHS["time"]].id, b"long_name").write(np.array(label, TIME_LABEL.dtype))
            self._is_labelled = True

    def write(self, name: str, first: int, values: np.ndarray[Any, Any]) -> None:
        """Write the ``values`` of a column, from frame ``first`` on."""
        done, size = 0, values.itemsize
        while done < len(values):
            chunk, at = divmod(first + done, COLUMN_CHUNK)
            part = values[done : done + COLUMN_CHUNK - at]
            self._blocks.write(part.tobytes(), self._offsets[name][chunk] + at * size)
            done += len(part)


def _chunks(frames: int) -> int:
    return math.ceil(frames / COLUMN_CHUNK)
