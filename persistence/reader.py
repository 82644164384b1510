"""Reading a recording: while it is written, after it was closed, after a crash."""

import contextlib
import json
import operator
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import h5py
import numpy as np
import numpy.typing as npt

from ..errors import RecordingError
from .frame_table import COLUMN_NAMES, FrameTable
from .hdf5_file import codec
from .hdf5_file.nexus_schema import COLUMN_PATHS, DATA, DETECTOR, END_TIME, LEDGER
from .hdf5_file.validate import DAMAGE, check_is_file, read_losses, read_small, text_attribute, validate_structure
from .losses import STAGES, Loss

_AXES = 3


class Recording:
    """A recording's frames ``(T, Y, X)``, read from the file as they are asked for.

    ``recording[10]`` is a frame, ``recording[10:20]`` a stack, ``recording[:, 5, 5]`` a trace; iterating gives the
    frames in order. Only frames that were counted as written when the file was opened are seen.

    Parameters
    ----------
    path
        A file that `Spool` wrote.

    Attributes
    ----------
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

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = Path(path)
        check_is_file(self.path)
        try:
            self._file = h5py.File(self.path, "r")
        except (OSError, ValueError) as exc:
            raise RecordingError(f"{self.path} cannot be opened as an HDF5 file: {exc}") from exc
        try:
            validate_structure(self._file, lambda: self.path.stat().st_size)
            data = self._file[DATA]
            names = ("frames_written", "frames_lost", "state", "end_reason")
            ledger = {name: read_small(self._file, f"{LEDGER}/{name}") for name in names}
            self._data: h5py.Dataset = data
            self.frames_counted = int(ledger["frames_written"])
            self._length: int = min(self.frames_counted, data.shape[0])
            self.state: str = ledger["state"].decode()
            self.end_reason: str = ledger["end_reason"].decode()
            self.frames_lost = int(ledger["frames_lost"])
            self.compression = text_attribute(data, "compression")
            self._loss_entries = read_losses(self._file)
            self._columns: dict[str, npt.NDArray[Any]] = {}
            self._metadata = self._read_metadata()
        except DAMAGE as exc:
            self._file.close()
            raise RecordingError(f"{self.path} is an HDF5 file, but not a recording of mmspool ({exc})") from exc
        except BaseException:
            self._file.close()
            raise

    @property
    def file(self) -> h5py.File:
        """The HDF5 file, open for reading."""
        return self._file

    @property
    def shape(self) -> tuple[int, int, int]:
        """``(T, Y, X)``."""
        return (self._length, *self._data.shape[1:])

    @property
    def dtype(self) -> np.dtype[Any]:
        """The frames' dtype, as they were put."""
        return self._data.dtype  # type: ignore[no-any-return]  # h5py has no types

    def frame_table(
        self, columns: Sequence[str] | None = None, *, start: int = 0, stop: int | None = None
    ) -> FrameTable:
        """Return the per-frame columns, which behave as a structured array of length T.

        ``index`` in the file; ``sequence_number``, which counts lost frames too; ``start_time`` in seconds since the
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
            for before, count, code in self._loss_entries
            if 0 <= code < len(STAGES)
        )

    @property
    def metadata(self) -> dict[str, Any]:
        """What was known before the first frame: the user's ``metadata``, the ``detector``, start and end time."""
        return self._metadata

    def __len__(self) -> int:
        return self._length

    def __getitem__(self, key: Any) -> npt.NDArray[Any]:
        """Read ``(T, Y, X)`` by NumPy's basic indexing: numbers, slices and Ellipsis."""
        select: list[int | slice] = []
        turn = []
        for part, size in zip(_expand(key), self.shape, strict=True):
            if isinstance(part, slice):
                wanted = range(*part.indices(size))
                forward = wanted if wanted.step > 0 else wanted[::-1]
                select.append(slice(forward.start, forward.stop, forward.step) if wanted else slice(0, 0))
                turn.append(slice(None, None, 1 if wanted.step > 0 else -1))
            else:
                index = operator.index(part)
                if not -size <= index < size:
                    raise IndexError(f"index {index} is out of range: the recording has shape {self.shape}")
                select.append(index % size)
        return self._read(tuple(select))[tuple(turn)]

    def __iter__(self) -> Iterator[npt.NDArray[Any]]:
        return (self[index] for index in range(self._length))

    def __array__(self, dtype: npt.DTypeLike | None = None, copy: bool | None = None) -> npt.NDArray[Any]:
        """Read everything; ``copy=False`` cannot be had from a file."""
        if copy is False:
            raise ValueError("reading a recording always makes a copy")
        return np.asarray(self[:], dtype)

    def close(self) -> None:
        """Close the file; idempotent."""
        self._file.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<Recording {self.path} {self.shape} {self.dtype} {self.state}, {self.frames_lost} lost>"

    def _read(self, key: tuple[Any, ...]) -> npt.NDArray[Any]:
        codec.load_filters(self._data.id)
        with self._reading():
            return self._data[key]  # type: ignore[no-any-return]

    def _read_column(self, name: str) -> npt.NDArray[Any]:
        if name not in self._columns:
            if not self._file:
                raise RecordingError(
                    f"{self.path} was closed before column {name!r} was read: use the table while the recording is "
                    "open, or keep numpy.asarray(recording.frame_table())"
                )
            with self._reading():
                column = self._file[COLUMN_PATHS[name]][: self._length]
            column.flags.writeable = False
            self._columns[name] = column
        return self._columns[name]

    @contextlib.contextmanager
    def _reading(self) -> Iterator[None]:
        """Turn HDF5's errors on a damaged file into ours; a wrong index stays what it is."""
        try:
            yield
        except (OSError, RuntimeError) as exc:
            raise RecordingError(f"{self.path} is damaged: {exc}") from exc

    def _read_metadata(self) -> dict[str, Any]:
        texts = ("/entry/start_time", END_TIME, "/entry/metadata", f"{DETECTOR}/camera/info")
        start, end, given, detector = (read_small(self._file, where) for where in texts)
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


def _expand(key: Any) -> tuple[Any, ...]:
    """Return an index for each of the three axes."""
    parts = key if isinstance(key, tuple) else (key,)
    dots = [place for place, part in enumerate(parts) if part is Ellipsis]
    missing = _AXES - (len(parts) - len(dots))
    if missing < 0 or len(dots) > 1:
        raise IndexError(f"{key!r} is not an index of an array with the axes (T, Y, X)")
    place = dots[0] if dots else len(parts)
    return (*parts[:place], *[slice(None)] * missing, *parts[place + 1 :])


def open(path: str | os.PathLike[str]) -> Recording:
    """Open a recording for reading; see `Recording`."""
    return Recording(path)
