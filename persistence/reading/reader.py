"""Reading a recording: while it is written, after it was closed, after a crash."""

import contextlib
import math
import os
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import h5py
import numpy as np
import numpy.typing as npt

from ...errors import RecordingError
from ..camera_clock import CameraClock, fit_clock
from ..columns import EXPECTED, Column
from ..hdf5_file.nexus_schema import CAMERA_CLOCK, COLUMN_PATHS, LEDGER
from ..hdf5_file.performance_log import read_log
from ..hdf5_file.private_file import CACHE_BYTES, PrivateFile
from ..hdf5_file.user_columns import USER_COLUMNS
from ..hdf5_file.validate import check_is_file
from ..losses import STAGES, Loss
from ..system.paths import absolute, readable
from .aligned_frames import AlignedFrames
from .file_snapshot import FileSnapshot, take_snapshot
from .following import follow
from .frame_array import FrameArray
from .frame_slabs import FrameSource, frame_source
from .frame_table import COLUMN_DTYPES, FrameTable
from .lazy_arrays import to_xarray
from .parts import Parts

Pixels = npt.NDArray[Any]

_RUN_CHUNKS = 16  # looked up at once while the recording is written, before they are read


class Recording(FrameArray):
    """A recording's frames ``(T, Y, X)``, in colour ``(T, Y, X, 3)``, read from the file as they are asked for.

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
    frames_counted
        Frames the file says to have.

    Raises
    ------
    RecordingError
        The file is not there, cannot be read, or is not a recording.
    """

    path: Path
    frames_counted: int
    _length: int

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = readable(path)
        self._absolute = absolute(path)
        check_is_file(self.path)
        try:
            self._private = PrivateFile(self.path)
        except OSError as exc:
            raise RecordingError(f"{self.path} cannot be opened: {exc.strerror}") from exc
        try:
            snapshot = take_snapshot(self.path, self._private, None)
        except BaseException:
            self._private.close()
            raise
        try:
            self._take(snapshot)
        except BaseException:
            snapshot.file.close()
            self._private.close()
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
        previous, source = self._seen, self._source
        newest = take_snapshot(self.path, self._private, previous)
        try:
            self._take(newest)
        except BaseException:
            newest.file.close()
            raise
        if isinstance(source, Parts):
            source.close()
        previous.file.close()
        return self

    def refresh_if_grown(self) -> bool:
        """See new frames if there are any, or that the recording ended; return whether frames came.

        Quicker than `refresh`: in an uncompressed file whose index had places for the frames when it was opened, only
        the count has to be read. (If a chunk fits in HDF5's cache, a part of it may have been read before.)
        """
        seen = self._seen
        counted = int.from_bytes(self._private.read_at(8, seen.count_offset), "little")
        cached = math.prod(self._chunks) * self.itemsize <= CACHE_BYTES
        if self.compression == "none" and not cached and self._length < counted <= seen.data.shape[0]:
            self._length = self.frames_counted = counted
            self._columns.clear()
            return True
        if counted <= self._length and self._private.read_at(16, seen.state_offset).startswith(b"recording"):
            return False
        before = self._length
        try:
            self.refresh()
        except RecordingError:  # between two of the writes that change its structure
            return False
        return self._length > before

    @property
    def file(self) -> h5py.File:
        """The HDF5 file, open for reading."""
        return self._seen.file

    @property
    def state(self) -> str:
        """``"recording"``, or how it ended, such as ``"complete"``; see docs/format.md."""
        return self._seen.state

    @property
    def end_reason(self) -> str:
        """Why it ended; empty while it is recorded."""
        return self._seen.end_reason

    @property
    def frames_lost(self) -> int:
        """Frames in the ledger of losses."""
        return self._seen.frames_lost

    @property
    def compression(self) -> str:
        """How the frames are compressed, and what other readers need for it; ``"none"`` if they are not."""
        return self._seen.compression

    @property
    def is_joined(self) -> bool:
        """Whether the file only shows the frames of other recordings; see `mmspool.join`."""
        return bool(self._seen.data.is_virtual)

    @property
    def shape(self) -> tuple[int, ...]:
        """``(T, Y, X)``, or ``(T, Y, X, 3)``: red, green, blue."""
        return (self._length, *self._frame_shape)

    @property
    def dtype(self) -> np.dtype[Any]:
        """The frames' dtype, as they were put."""
        return self._dtype

    @property
    def chunks(self) -> tuple[int, ...]:
        """Shape of the pieces in which the file holds the frames: whole frames, one or more."""
        return self._chunks

    def frame_table(
        self, columns: Sequence[str] | None = None, *, start: int = 0, stop: int | None = None
    ) -> FrameTable:
        """Return the per-frame columns, which behave as a structured array of length T.

        ``index`` in the file; ``sequence_number``, which counts lost frames too; ``time`` in seconds since the first
        frame, by the camera's clock where it gives time stamps; ``start_time``, the arrival in seconds since the
        recording's start; ``image_number`` of the core, ``camera_frame_number``, ``camera_timestamp`` and
        ``host_timestamp`` in ns, -1 where unknown; then the columns of the user's own. A column is read when it is
        first used, and kept.

        Parameters
        ----------
        columns
            Names of the columns, all by default.
        start, stop
            The frames, as in a slice.
        """
        first, last, _ = slice(start, stop).indices(self._length)
        dtypes = COLUMN_DTYPES | {column.name: np.dtype(column.as_column().dtype) for column in self._seen.columns}
        return FrameTable(self._read_column, dtypes, columns, first, max(first, last))

    @property
    def columns(self) -> dict[str, Column]:
        """The columns of the user's own, in the order in which they were declared or found."""
        return {column.name: column.as_column() for column in self._seen.columns if column.name != EXPECTED}

    @property
    def plan(self) -> npt.NDArray[Any] | None:
        """What should have come, a row for each place, as a structured array; None without a plan."""
        plan = self._seen.plan
        return None if plan is None else plan.rows_for(self._length + self.frames_lost)

    def aligned(self) -> AlignedFrames:
        """Return the frames in their planned places; without a plan, in the order of all that should have come.

        Each frame is where its ``expected`` column says, or without a plan its ``sequence_number``. Places whose frame
        is missing are masked.
        """
        plan, places = self._seen.plan, self._length + self.frames_lost
        if plan is None:
            return AlignedFrames(self, self.frame_table()["sequence_number"], ("frame",), (places,))
        return AlignedFrames(self, self.frame_table()[EXPECTED], plan.axes, plan.shape_for(places))

    @property
    def losses(self) -> tuple[Loss, ...]:
        """Where frames are missing: before which frame, how many, and at which stage they were lost."""
        return tuple(
            Loss(int(before), int(count), STAGES[code])
            for before, count, code in self._seen.losses
            if 0 <= code < len(STAGES)
        )

    @property
    def camera_clock(self) -> CameraClock | None:
        """How the camera's clock runs beside the host's; None where its frames have no time stamps of the camera's.

        The file has it once it is closed; until then it is fitted to the frames that are there.
        """
        with self._reading():
            clock = self._seen.file.get(CAMERA_CLOCK)
            if isinstance(clock, h5py.Dataset) and clock.dtype == np.float64:
                stored = CameraClock.from_array(clock[()])
                if stored is not None:
                    return stored
        table = self.frame_table(["camera_timestamp", "start_time"])
        return fit_clock(table["camera_timestamp"], table["start_time"])

    @property
    def metadata(self) -> dict[str, Any]:
        """What was known before the first frame: the user's ``metadata``, the ``detector``, start and end time."""
        return self._seen.metadata

    def performance(self) -> npt.NDArray[np.void]:
        """Return how the recording went: a structured array with a row for each half second, or longer in a long one.

        ``time_ns`` since the recording's start (as the column ``start_time``, which is in seconds), ``frames_written``,
        ``ring_frames`` and ``slowest_write_ns``, the largest since the row before, and ``writer_restarts``.
        """
        with self._errors_as_ours():
            return read_log(self._seen.file[f"{LEDGER}/performance"])

    def follow(self, *, start: int = 0, poll_s: float = 0.02, timeout_s: float | None = None) -> Iterator[Pixels]:
        """Yield the frames from ``start`` on, those that are there and then each as it is recorded, until the end.

        Another process may record meanwhile; it never waits for whoever follows, and no frame is yielded before it is
        whole. What is read comes from the same disk: one that the camera needs almost to the full is better looked at
        now and then (``refresh``). Ends when the recording was closed and its last frame was yielded, or when whoever
        recorded it is gone.

        Parameters
        ----------
        start
            The first frame; ``len(recording)`` waits for the next one.
        poll_s
            How often to look for new frames, seconds.
        timeout_s
            Ends as well when no frame has come for so long, seconds.
        """
        return follow(self, self._absolute, start=start, poll_s=poll_s, timeout_s=timeout_s)

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
            index = key % self._length
            self._find(range(index, index + 1))
            with self._reading() as frames:
                return frames.frame(index)
        return super().__getitem__(key)

    def opener(self) -> "Callable[[], Recording]":
        """Return what opens the same frames again, in any thread or process to which it can be pickled."""
        return partial(_reopen, str(self._absolute), self._length)

    def __reduce__(self) -> tuple[Any, ...]:
        return self.opener(), ()

    def close(self) -> None:
        """Close the file; idempotent. Facts such as shape, state and losses can still be asked for."""
        if isinstance(self._source, Parts):
            self._source.close()
        self._seen.file.close()
        self._private.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<Recording {self.path} {self.shape} {self.dtype} {self.state}, {self.frames_lost} lost>"

    def _take(self, snapshot: FileSnapshot) -> None:
        """Read through a new snapshot from now on."""
        data = snapshot.data
        parts = self._parts(data) if data.is_virtual else None
        self._seen = snapshot
        self._length, self.frames_counted = snapshot.length, snapshot.frames_counted
        self._frame_shape: tuple[int, ...] = data.shape[1:]
        self._dtype: np.dtype[Any] = data.dtype
        self._columns: dict[str, npt.NDArray[Any]] = {}
        self._source: FrameSource | None = parts
        self._chunks: tuple[int, ...] = data.chunks if parts is None else parts.chunks

    def read_slab(self, frames: range, rows: range, columns: range) -> Pixels:
        """Read frames, rows and columns, given as ranges of positive step, with all channels of their pixels."""
        self._find(frames)
        with self._reading() as source:
            return source.slab(frames, rows, columns)

    def read_each(self, frames: range) -> Iterator[Pixels]:
        """Yield frames ``(Y, X)`` in order, read ahead where that is faster; iterating is made of it."""
        many = _RUN_CHUNKS * self._chunks[0]
        while self.state == "recording" and frames:  # the index may change between two runs
            run, frames = frames[:many], frames[many:]
            self._find(run)
            with self._reading() as source:
                yield from source.each(run)
        with self._reading() as source:
            yield from source.each(frames)

    def _parts(self, data: h5py.Dataset) -> Parts:
        """Open the recordings whose frames this file shows."""
        names = [self._absolute.parent / source.file_name for source in data.virtual_sources()]
        with contextlib.ExitStack() as opened:
            parts = Parts(
                [opened.enter_context(Recording(name)) for name in names], interleaved=bool(data.attrs["interleaved"])
            )
            if len(parts) != data.shape[0]:
                raise RecordingError(f"{self.path} joins {data.shape[0]:,} frames, but its files have {len(parts):,}")
            opened.pop_all()
        return parts

    def _find(self, frames: range) -> None:
        """Open the file again if HDF5 does not find frames: a writer changes the index, and trims it at the end."""
        if self.state == "recording" and not self._seen.finds(frames):
            self.refresh()

    def _read_column(self, name: str) -> npt.NDArray[Any]:
        if name not in self._columns:
            with self._errors_as_ours():
                where = COLUMN_PATHS.get(name, f"{USER_COLUMNS}/{name}")
                column = self._seen.file[where][: self._length]
            if column.dtype.kind == "S":
                column = np.char.decode(column, "utf-8", "replace").astype(f"U{column.dtype.itemsize}")
            column.flags.writeable = False
            self._columns[name] = column
        return self._columns[name]

    @contextlib.contextmanager
    def _reading(self) -> Iterator[FrameSource]:
        """Yield what reads frames."""
        with self._errors_as_ours():
            if self._source is None:
                self._source = frame_source(self._seen.data)
            yield self._source

    @contextlib.contextmanager
    def _errors_as_ours(self) -> Iterator[None]:
        """Turn HDF5's errors on a damaged file into ours; a wrong index stays what it is."""
        if not self._seen.file:
            raise self._closed()
        try:
            yield
        except (OSError, RuntimeError) as exc:
            raise RecordingError(f"{self.path} is damaged: {exc}") from exc

    def _closed(self) -> RecordingError:
        return RecordingError(
            f"{self.path} was closed: read what you need, its frame table too, before that, or open it again"
        )


def _reopen(path: str, frames: int) -> Recording:
    """Open a recording that was pickled, with the frames that it had then."""
    recording = Recording(path)
    recording._length = min(recording._length, frames)
    return recording
