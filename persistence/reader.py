"""Reading a recording: while it is written, after it was closed, after a crash."""

import contextlib
import json
import math
import os
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import h5py
import numpy as np
import numpy.typing as npt

from ..errors import RecordingError
from .frame_indexing import select
from .frame_table import COLUMN_NAMES, FrameTable
from .hdf5_file import codec
from .hdf5_file.nexus_schema import COLUMN_PATHS, DATA, DETECTOR, END_TIME, LEDGER, METADATA
from .hdf5_file.private_file import CACHE_BYTES, PrivateFile
from .hdf5_file.validate import DAMAGE, check_is_file, read_losses, read_small, text_attribute, validate_structure
from .lazy_arrays import to_dask, to_xarray
from .losses import STAGES, Loss
from .os_file import is_locked, lock_for_reading

Pixels = npt.NDArray[Any]

_ABANDONED_S = 10.0  # so long no frame comes, and nobody holds the file, when whoever recorded it is gone
_OPENINGS = (
    20  # of a file whose end moves while it is opened, which takes milliseconds and happens a few times a second
)
_SUPERBLOCK_BYTES = 48
_BATCH_BYTES = 32 << 20  # of whole rows that are read for a window in them


class Recording:
    """A recording's frames ``(T, Y, X)``, read from the file as they are asked for.

    An array in the sense of NumPy, dask and viewers: ``recording[10]`` is a frame, ``recording[10:20]`` a stack,
    ``recording[:, 5, 5]`` a trace, and lists, masks, None and Ellipsis select as they do in an array; iterating gives
    the frames in order. It holds the frames that were counted as written when it was opened, or refreshed, whatever
    else is open in this process. It can be pickled, and opens the file again where it is loaded.

    Parameters
    ----------
    path
        A file that `Spool` wrote.

    Attributes
    ----------
    path
        As it was given.
    state, end_reason
        How it ended, ``"recording"`` if it did not; see docs/format.md.
    frames_lost, frames_counted
        Frames in the ledger of losses; frames the file says to have.
    compression
        How the frames are compressed, and what other readers need for it; ``"none"`` if they are not.

    Raises
    ------
    RecordingError
        The file is not there, cannot be read, or is not a recording.
    """

    ndim = 3
    """Number of axes: time, rows, columns."""

    path: Path
    state: str
    end_reason: str
    frames_lost: int
    frames_counted: int
    compression: str
    _length: int

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = Path(path)
        self._absolute = self.path.absolute()
        check_is_file(self.path)
        try:
            self._private = PrivateFile(self.path)
        except OSError as exc:
            raise RecordingError(f"{self.path} cannot be opened: {exc.strerror}") from exc
        self._file: h5py.File = None
        try:
            self.refresh()
        except BaseException:
            self.close()
            raise

    def refresh(self) -> Self:
        """See the frames, losses and state that the file has now; return the recording itself.

        Raises
        ------
        RecordingError
            The file cannot be read any more; the recording keeps what it had.
        """
        if self._private.closed:
            raise self._closed()
        counted = 0
        for _ in range(_OPENINGS):
            before, superblock = counted, self._private.read_at(_SUPERBLOCK_BYTES, 0)
            self._see(self._open_hdf5())
            counted = self.frames_counted
            if self.state != "recording" or self._private.read_at(_SUPERBLOCK_BYTES, 0) == superblock:
                break  # else the file grew meanwhile: HDF5 has its old end, and would not find the newest frames
        else:  # it grows faster than it is opened: what was counted before the last opening lies before that end
            self._length = min(self._length, before)
        return self

    def _see(self, file: h5py.File) -> None:
        """Take a handle that was just opened, and all facts from it."""
        try:
            validate_structure(file, self._private.size)
            data = file[DATA]
            names = ("frames_written", "frames_lost", "state", "end_reason")
            ledger = {name: read_small(file, f"{LEDGER}/{name}") for name in names}
            state, end_reason = ledger["state"].decode(), ledger["end_reason"].decode()
            compression = text_attribute(data, "compression")
            losses = read_losses(file)
            offsets = [file[f"{LEDGER}/{name}"].id.get_offset() for name in ("frames_written", "state")]
            metadata = _read_metadata(file)
            may_lock = state != "recording" or int(file[LEDGER].attrs["locked"])  # else its writer could write no more
            if may_lock and (self._file is None or state != self.state):
                lock_for_reading(self._private.descriptor, being_written=state == "recording")
        except BlockingIOError as exc:
            file.close()
            raise RecordingError(f"{self.path} is locked by another program, which may be changing it") from exc
        except DAMAGE as exc:
            file.close()
            raise RecordingError(f"{self.path} is an HDF5 file, but not a recording of mmspool ({exc})") from exc
        except BaseException:
            file.close()
            raise
        if self._file:
            self._file.close()
        self._file, self._data = file, data
        self.frames_counted, self.frames_lost = int(ledger["frames_written"]), int(ledger["frames_lost"])
        self.state, self.end_reason, self.compression = state, end_reason, compression
        self._length = min(self.frames_counted, int(data.shape[0]))
        self._frame_shape: tuple[int, int] = data.shape[1:]
        self._dtype: np.dtype[Any] = data.dtype
        self._chunks: tuple[int, int, int] = data.chunks
        self._losses, self._metadata = losses, metadata
        self._count_offset, self._state_offset = offsets
        self._columns: dict[str, npt.NDArray[Any]] = {}
        self._filters_loaded = False

    @property
    def file(self) -> h5py.File:
        """The HDF5 file, open for reading."""
        return self._file

    @property
    def shape(self) -> tuple[int, int, int]:
        """``(T, Y, X)``."""
        return (self._length, *self._frame_shape)

    @property
    def dtype(self) -> np.dtype[Any]:
        """The frames' dtype, as they were put."""
        return self._dtype

    @property
    def chunks(self) -> tuple[int, int, int]:
        """``(T, Y, X)`` of the pieces in which the file holds the frames: whole frames, one or more."""
        return self._chunks

    @property
    def size(self) -> int:
        """Number of pixels in all frames."""
        return math.prod(self.shape)

    @property
    def itemsize(self) -> int:
        """Bytes of a pixel."""
        return self._dtype.itemsize

    @property
    def nbytes(self) -> int:
        """Bytes of all pixels, uncompressed."""
        return int(self.size * self.itemsize)

    def frame_table(
        self, columns: Sequence[str] | None = None, *, start: int = 0, stop: int | None = None
    ) -> FrameTable:
        """Return the per-frame columns, which behave as a structured array of length T.

        ``index`` in the file; ``sequence_number``, which counts lost frames too; ``time`` in seconds since the first
        frame, by the camera's clock where it gives time stamps; ``start_time``, the arrival in seconds since the
        recording's start; ``image_number`` of the core, ``camera_frame_number``, ``camera_timestamp`` and
        ``host_timestamp`` in ns, -1 where unknown. A column is read when it is first used, and kept.

        Parameters
        ----------
        columns
            Names of the columns, all by default.
        start, stop
            The frames, as in a slice.
        """
        first, last, _ = slice(start, stop).indices(self._length)
        return FrameTable(self._read_column, COLUMN_NAMES if columns is None else columns, first, max(first, last))

    @property
    def losses(self) -> tuple[Loss, ...]:
        """Where frames are missing: before which frame, how many, and at which stage they were lost."""
        return tuple(
            Loss(int(before), int(count), STAGES[code])
            for before, count, code in self._losses
            if 0 <= code < len(STAGES)
        )

    @property
    def metadata(self) -> dict[str, Any]:
        """What was known before the first frame: the user's ``metadata``, the ``detector``, start and end time."""
        return self._metadata

    def follow(self, *, start: int = 0, poll_s: float = 0.02, timeout_s: float | None = None) -> Iterator[Pixels]:
        """Yield the frames from ``start`` on, those that are there and then each as it is recorded, until the end.

        Another process may record meanwhile; it is not slowed down, and no frame is yielded before it is whole. Ends
        when the recording was closed and its last frame was yielded, or when whoever recorded it is gone.

        Parameters
        ----------
        start
            The first frame; ``len(recording)`` waits for the next one.
        poll_s
            How often to look for new frames, seconds.
        timeout_s
            Ends as well when no frame has come for so long, seconds.
        """
        index = start
        waiting = time.monotonic()
        while True:
            if index < self._length:
                yield self[index]
                index, waiting = index + 1, time.monotonic()
            elif self._has_grown():
                continue
            elif self.state != "recording":
                return
            elif time.monotonic() - waiting > min(timeout_s or _ABANDONED_S, _ABANDONED_S):
                idle = time.monotonic() - waiting
                if (timeout_s is not None and idle > timeout_s) or not self._is_in_use():
                    return
                time.sleep(poll_s)
            else:
                time.sleep(poll_s)

    def to_dask(self, chunks: Any = None) -> Any:
        """Return a `dask.array.Array` ``(T, Y, X)`` that reads frames where they are computed.

        Parameters
        ----------
        chunks
            As dask takes them; by default runs of whole frames of about 64 MB.

        Raises
        ------
        MissingPackageError
            dask is not installed.
        """
        return to_dask(self, chunks)

    def to_xarray(self, chunks: Any = None) -> Any:
        """Return an `xarray.DataArray` over `to_dask`, with time in seconds and y and x in um, or pixels.

        Raises
        ------
        MissingPackageError
            xarray or dask is not installed.
        """
        return to_xarray(self, chunks)

    def __dask_tokenize__(self) -> tuple[Any, ...]:
        return str(self._absolute), self._private.changed_ns(), self._length

    def __len__(self) -> int:
        return self._length

    def __getitem__(self, key: Any) -> Pixels:
        """Read what an index selects, as NumPy would from an array ``(T, Y, X)``."""
        if type(key) is int and -self._length <= key < self._length:  # what loops do
            with self._reading():
                return self._data[key % self._length]  # type: ignore[no-any-return]  # h5py has no types
        return select(key, self.shape, self.itemsize, self._read_slab)

    def __iter__(self) -> Iterator[npt.NDArray[Any]]:
        return (self[index] for index in range(self._length))

    def __contains__(self, value: object) -> bool:
        """Tell whether a pixel, or a frame, has a value, as NumPy does; reads frame by frame."""
        return any(bool(np.any(frame == value)) for frame in self)

    def __array__(self, dtype: npt.DTypeLike | None = None, copy: bool | None = None) -> npt.NDArray[Any]:
        """Read everything; ``copy=False`` cannot be had from a file."""
        if copy is False:
            raise ValueError("reading a recording always makes a copy")
        return np.asarray(self[:], dtype)

    def __reduce__(self) -> tuple[Any, ...]:
        return _reopen, (str(self._absolute), self._length)

    def close(self) -> None:
        """Close the file; idempotent. Facts such as shape, state and losses can still be asked for."""
        if self._file:
            self._file.close()
        self._private.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<Recording {self.path} {self.shape} {self.dtype} {self.state}, {self.frames_lost} lost>"

    def _open_hdf5(self) -> h5py.File:
        try:
            return self._private.open_hdf5()
        except (OSError, ValueError, RuntimeError) as exc:
            raise RecordingError(f"{self.path} {_what_it_is(self._private)} ({exc})") from exc

    def _is_in_use(self) -> bool:
        try:
            return is_locked(self._absolute)
        except OSError:  # it was moved or deleted
            return False

    def _has_grown(self) -> bool:
        """Tell whether there are frames that this reader has not seen; it sees them then, or how the file ended.

        In an uncompressed file whose index had places for them when it was opened, only the count has to be read. (If
        a chunk fits in HDF5's cache, a part of it may have been read before.)
        """
        counted = int.from_bytes(self._private.read_at(8, self._count_offset), "little")
        step, height, width = self._chunks
        cached = step * height * width * self.itemsize <= CACHE_BYTES
        if self.compression == "none" and not cached and self._length < counted <= self._data.shape[0]:
            self._length = self.frames_counted = counted
            self._columns.clear()
            return True
        if counted <= self._length and self._private.read_at(16, self._state_offset).startswith(b"recording"):
            return False
        before = self._length
        try:
            self.refresh()
        except RecordingError:  # between two of the writes that change its structure
            return False
        return self._length > before

    def _read_slab(self, frames: range, rows: range, columns: range) -> npt.NDArray[Any]:
        """Read frames, rows and columns ``(t, y, x)``.

        What HDF5 would read row by row, or with steps pixel by pixel, is cut out of whole rows of whole runs of frames.
        """
        width = self._frame_shape[1]
        scattered = len(rows) > 1 and (len(columns) < width or rows.step > 1 or columns.step > 1)
        keys = [slice(part.start, part.stop, part.step) if part else slice(0, 0) for part in (frames, rows, columns)]
        with self._reading():
            if not len(frames) or not len(columns) or (frames.step == 1 and not scattered):
                return self._data[tuple(keys)]  # type: ignore[no-any-return]
            if not scattered:
                return np.stack([self._data[(index, *keys[1:])] for index in frames])
            cut = np.empty((len(frames), len(rows), len(columns)), self._dtype)
            band = slice(rows.start, rows[-1] + 1)
            run = max(1, _BATCH_BYTES // ((band.stop - band.start) * width * self.itemsize)) if frames.step == 1 else 1
            for first in range(0, len(frames), run):
                part = frames[first : first + run]
                read = self._data[part.start : part[-1] + 1, band]
                cut[first : first + run] = read[:, :: rows.step, keys[2]]
            return cut

    def _read_column(self, name: str) -> npt.NDArray[Any]:
        if name not in self._columns:
            with self._reading():
                column = self._file[COLUMN_PATHS[name]][: self._length]
            column.flags.writeable = False
            self._columns[name] = column
        return self._columns[name]

    @contextlib.contextmanager
    def _reading(self) -> Iterator[None]:
        """Turn HDF5's errors on a damaged file into ours; a wrong index stays what it is."""
        if not self._file:
            raise self._closed()
        if not self._filters_loaded:
            codec.load_filters(self._data.id)
            self._filters_loaded = True
        try:
            yield
        except (OSError, RuntimeError) as exc:
            raise RecordingError(f"{self.path} is damaged: {exc}") from exc

    def _closed(self) -> RecordingError:
        return RecordingError(
            f"{self.path} was closed: read what you need, its frame table too, before that, or open it again"
        )


def open(path: str | os.PathLike[str]) -> Recording:
    """Open a recording for reading; see `Recording`."""
    return Recording(path)


def _reopen(path: str, frames: int) -> Recording:
    """Open a recording that was pickled, with the frames that it had then."""
    recording = Recording(path)
    recording._length = min(recording._length, frames)
    return recording


def _what_it_is(file: PrivateFile) -> str:
    """Say what a file is that HDF5 cannot open."""
    size, head = file.size(), file.read_at(8, 0)
    if not size:
        return "is empty: a recording took this name and has no frame yet, or ended before its first one"
    if head == bytes(len(head)):
        return "holds no recording yet: the program that was making it is at it, or was killed before the first frame"
    if head != b"\x89HDF\r\n\x1a\n":
        return "is no HDF5 file"
    return "cannot be opened as an HDF5 file"


def _read_metadata(file: h5py.File) -> dict[str, Any]:
    texts = ("/entry/start_time", END_TIME, METADATA, f"{DETECTOR}/camera/info")
    start, end, given, detector = (read_small(file, where) for where in texts)
    metadata = {
        "start_time": start.decode(),
        "end_time": end.decode(),
        "metadata": json.loads(given),
        "detector": json.loads(detector),
    }
    camera = metadata["detector"].get("camera", {})
    if not all(isinstance(part, dict) for part in (metadata["metadata"], camera, camera.get("properties", {}))):
        raise ValueError("its metadata are not what was written")
    return metadata
