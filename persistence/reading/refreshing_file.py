"""The file of a recording that may still be written: opened again as it grows, and read as it was then."""

import contextlib
import math
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import numpy.typing as npt

from ...errors import RecordingError
from ..hdf5_file.nexus_schema import COLUMN_PATHS
from ..hdf5_file.private_file import CACHE_BYTES, PrivateFile
from ..hdf5_file.user_columns import USER_COLUMNS
from ..hdf5_file.validate import check_is_file
from .file_snapshot import FileSnapshot, take_snapshot
from .frame_array import FrameArray
from .frame_slabs import FrameSource, frame_source
from .parts import Parts

_RING_SHARE = 16  # a part of the ring that may wait to be written without its writer being behind
_UNDER_WAY = 2  # blocks that always may: one is filled, one is written


class RefreshingFile:
    """Reads frames and columns through the newest snapshot of a file, and takes a newer one.

    Parameters
    ----------
    path
        The file.
    open_part
        Opens a recording by its name beside the file, for one that shows the frames of others.

    Attributes
    ----------
    snapshot
        What the file said when it was opened last.
    length
        Frames that can be read.
    frames_counted
        Frames the file says to have.
    frame_shape, dtype, chunks
        As `Recording` has them; they can be asked for after the file was closed.

    Raises
    ------
    RecordingError
        The file is not there, cannot be read, or is not a recording.
    """

    snapshot: FileSnapshot
    length: int
    frames_counted: int
    frame_shape: tuple[int, ...]
    dtype: np.dtype[Any]
    chunks: tuple[int, ...]
    _source: FrameSource | None
    _columns: dict[str, npt.NDArray[Any]]

    def __init__(self, path: Path, open_part: Callable[[str], FrameArray]) -> None:
        self._path = path
        self._open_part = open_part
        check_is_file(path)
        try:
            self._private = PrivateFile(path)
        except OSError as exc:
            raise RecordingError(f"{path} cannot be opened: {exc.strerror}") from exc
        try:
            self._take(take_snapshot(path, self._private, None))
        except BaseException:
            self._private.close()
            raise

    def refresh(self) -> None:
        """Take a newer snapshot.

        Raises
        ------
        RecordingError
            The file cannot be read any more; what was there stays.
        """
        if self._private.closed:
            raise self._closed()
        previous, source = self.snapshot, self._source
        self._take(take_snapshot(self._path, self._private, previous))
        if isinstance(source, Parts):
            source.close()
        previous.file.close()

    def is_writer_behind(self) -> bool:
        """Return whether too much of the ring waited to be written when frames were last counted."""
        seen = self.snapshot
        if seen.state != "recording" or self._private.closed:
            return False
        put, written = (
            int.from_bytes(self._private.read_at(8, offset), "little")
            for offset in (seen.put_offset, seen.count_offset)
        )
        return put - written > max(_UNDER_WAY * self.chunks[0], seen.ring_frames // _RING_SHARE)

    def refresh_if_grown(self) -> bool:
        """Take a newer snapshot if there is more to see; see `Recording.refresh_if_grown`."""
        seen = self.snapshot
        counted = int.from_bytes(self._private.read_at(8, seen.count_offset), "little")
        cached = math.prod(self.chunks) * self.dtype.itemsize <= CACHE_BYTES
        if seen.compression == "none" and not cached and self.length < counted <= seen.data.shape[0]:
            self.length = self.frames_counted = counted
            self._columns.clear()
            return True
        if counted <= self.length and self._private.read_at(16, seen.state_offset).startswith(b"recording"):
            return False
        before = self.length
        try:
            self.refresh()
        except RecordingError:  # between two of the writes that change its structure
            return False
        return self.length > before

    def changed_ns(self) -> int:
        """Return when the file was last changed, ns."""
        with self.open_hdf5():
            return self._private.changed_ns()

    def read_column(self, name: str) -> npt.NDArray[Any]:
        """Return a column, read once."""
        if name not in self._columns:
            with self.open_hdf5() as file:
                column = file[COLUMN_PATHS.get(name, f"{USER_COLUMNS}/{name}")][: self.length]
            if column.dtype.kind == "S":
                column = np.char.decode(column, "utf-8", "replace").astype(f"U{column.dtype.itemsize}")
            column.flags.writeable = False
            self._columns[name] = column
        return self._columns[name]

    @contextlib.contextmanager
    def reading(self, frames: range = range(0)) -> Iterator[FrameSource]:
        """Yield what reads ``frames``.

        The file is opened again if HDF5 does not find them: a writer changes the index, and trims it at the end.
        """
        if frames and self.snapshot.state == "recording" and not self.snapshot.finds(frames):
            self.refresh()
        with self.open_hdf5():
            if self._source is None:
                self._source = frame_source(self.snapshot.data)
            yield self._source

    @contextlib.contextmanager
    def open_hdf5(self) -> Iterator[h5py.File]:
        """Yield the HDF5 handle, whose errors on a damaged file become ours; a wrong index stays what it is."""
        if not self.snapshot.file:
            raise self._closed()
        try:
            yield self.snapshot.file
        except (OSError, RuntimeError) as exc:
            raise RecordingError(f"{self._path} is damaged: {exc}; 'mmspool verify' says what is left") from exc

    def close(self) -> None:
        """Close the file; idempotent."""
        if isinstance(self._source, Parts):
            self._source.close()
        self.snapshot.file.close()
        self._private.close()

    def _take(self, snapshot: FileSnapshot) -> None:
        """Read through a new snapshot from now on; one that cannot be read is closed."""
        data = snapshot.data
        try:
            parts = self._parts(data) if data.is_virtual else None
        except BaseException:
            snapshot.file.close()
            raise
        self.snapshot = snapshot
        self.length, self.frames_counted = snapshot.length, snapshot.frames_counted
        self.frame_shape = data.shape[1:]
        self.dtype = data.dtype
        self.chunks = data.chunks if parts is None else parts.chunks
        self._source = parts
        self._columns = {}

    def _parts(self, data: h5py.Dataset) -> Parts:
        """Open the recordings whose frames this file shows."""
        with contextlib.ExitStack() as opened:
            recordings = []
            for source in data.virtual_sources():
                recordings.append(self._open_part(source.file_name))
                opened.callback(recordings[-1].close)
            parts = Parts(recordings, interleaved=bool(data.attrs["interleaved"]))
            if len(parts) != data.shape[0]:
                raise RecordingError(
                    f"{self._path} joins {data.shape[0]:,} frames, but its files have {len(parts):,}: join them again"
                )
            opened.pop_all()
        return parts

    def _closed(self) -> RecordingError:
        return RecordingError(
            f"{self._path} was closed: read what you need, its frame table too, before that, or open it again"
        )
