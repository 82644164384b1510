"""The per-frame columns of a recording while it is written: 8-byte values, in chunks at offsets that are looked up."""

import math
from typing import Any

import h5py
import numpy as np

from ..block_layout import COLUMNS
from .direct_file import DirectFile
from .nexus_schema import COLUMN_CHUNK, COLUMN_FILLS, COLUMN_PATHS, TIME_LABEL, TIME_LABELS

_VALUE_BYTES = 8
_CAMERA, _HOST = COLUMNS.index("camera_timestamp"), COLUMNS.index("host_timestamp")


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
        self._first_frame: tuple[int, int] | None = None  # its time stamps by the camera and by the host
        self._is_labelled = False

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

    def resume(self) -> None:
        """Find the first frame's time stamps in a file that another process wrote."""
        camera, host = (int(self._file[COLUMN_PATHS[name]][0]) for name in ("camera_timestamp", "host_timestamp"))
        self._first_frame = camera, host

    def write_frames(self, first: int, records: np.ndarray[Any, Any], start_ns: int) -> None:
        """Write all columns but the checksums, from frame ``first`` on.

        Parameters
        ----------
        first
            A frame.
        records
            ``(frames, columns)`` int64, as `block_layout.COLUMNS` names them.
        start_ns
            When the recording started, by the host's clock.
        """
        for column, name in enumerate(COLUMNS):
            self.write(name, first, records[:, column])
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

        The attribute is written over, not made anew: that changes a single piece of the structure, and so leaves no
        moment at which the file cannot be read.
        """
        if self._first_frame is not None and not self._is_labelled:
            label = TIME_LABELS["camera" if self._first_frame[0] >= 0 else "arrival"]
            h5py.h5a.open(self._file[COLUMN_PATHS["time"]].id, b"long_name").write(np.array(label, TIME_LABEL.dtype))
            self._is_labelled = True

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
