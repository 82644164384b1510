"""Reading a recording: while it is written, after it was closed, after a crash."""

import os
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any, Self

import h5py
import numpy as np
import numpy.typing as npt

from ..camera_clock import CameraClock, fit_clock
from ..columns import EXPECTED, Column
from ..hdf5_file.nexus_schema import CAMERA_CLOCK, LEDGER
from ..hdf5_file.performance_log import read_log
from ..losses import Loss, as_losses
from ..system.paths import absolute, readable
from .aligned_frames import AlignedFrames
from .following import follow
from .frame_array import FrameArray
from .frame_table import COLUMN_DTYPES, FrameTable
from .lazy_arrays import to_xarray
from .refreshing_file import RefreshingFile

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

    Raises
    ------
    RecordingError
        The file is not there, cannot be read, or is not a recording.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = readable(path)
        self._absolute = absolute(path)
        folder = self._absolute.parent  # not of `self`: a recording that is dropped closes its file at once
        self._file = RefreshingFile(self.path, lambda name: Recording(folder / name))

    def refresh(self) -> Self:
        """See the frames, losses and state that the file has now; return the recording itself.

        Raises
        ------
        RecordingError
            The file cannot be read any more; the recording keeps what it had.
        """
        self._file.refresh()
        return self

    def refresh_if_grown(self) -> bool:
        """See new frames if there are any, or that the recording ended; return whether frames came.

        Quicker than `refresh`: in an uncompressed file whose index had places for the frames when it was opened, only
        the count has to be read. (If a chunk fits in HDF5's cache, a part of it may have been read before.)
        """
        return self._file.refresh_if_grown()

    @property
    def frames_counted(self) -> int:
        """Frames the file says to have."""
        return self._file.frames_counted

    @property
    def file(self) -> h5py.File:
        """The HDF5 file, open for reading."""
        return self._file.snapshot.file

    @property
    def state(self) -> str:
        """``"recording"``, or how it ended, such as ``"complete"``; see docs/format.md."""
        return self._file.snapshot.state

    @property
    def end_reason(self) -> str:
        """Why it ended; empty while it is recorded."""
        return self._file.snapshot.end_reason

    @property
    def frames_lost(self) -> int:
        """Frames in the ledger of losses."""
        return self._file.snapshot.frames_lost

    @property
    def compression(self) -> str:
        """How the frames are compressed, and what other readers need for it; ``"none"`` if they are not."""
        return self._file.snapshot.compression

    @property
    def is_joined(self) -> bool:
        """Whether the file only shows the frames of other recordings; see `mmspool.join`."""
        return bool(self._file.snapshot.data.is_virtual)

    @property
    def shape(self) -> tuple[int, ...]:
        """``(T, Y, X)``, or ``(T, Y, X, 3)``: red, green, blue."""
        return (self._file.length, *self._file.frame_shape)

    @property
    def dtype(self) -> np.dtype[Any]:
        """The frames' dtype, as they were put."""
        return self._file.dtype

    @property
    def chunks(self) -> tuple[int, ...]:
        """Shape of the pieces in which the file holds the frames: whole frames, one or more."""
        return self._file.chunks

    def frame_table(
        self, columns: Sequence[str] | None = None, *, start: int = 0, stop: int | None = None
    ) -> FrameTable:
        """Return the per-frame columns, which behave as a structured array of length T.

        ``index`` in the file; ``sequence_number``, which counts lost frames too; ``time`` in seconds since the first
        frame, by the camera's clock where it gives time stamps; ``start_time``, the arrival in seconds since the
        recording's start; ``image_number`` of the core, ``camera_frame_number``, ``camera_timestamp`` and
        ``host_timestamp`` in ns, -1 where unknown; then the columns of the user's own. A column is read when it is
        first used, and kept. ``pandas.DataFrame(dict(run.frame_table()))`` is a data frame of it.

        Parameters
        ----------
        columns
            Names of the columns, all by default.
        start, stop
            The frames, as in a slice.
        """
        first, last, _ = slice(start, stop).indices(len(self))
        dtypes = COLUMN_DTYPES | {
            column.name: np.dtype(column.as_column().dtype) for column in self._file.snapshot.columns
        }
        return FrameTable(self._file.read_column, dtypes, columns, first, max(first, last))

    @property
    def columns(self) -> dict[str, Column]:
        """The columns of the user's own, in the order in which they were declared or found."""
        return {column.name: column.as_column() for column in self._file.snapshot.columns if column.name != EXPECTED}

    @property
    def plan(self) -> npt.NDArray[Any] | None:
        """What should have come, a row for each place, as a structured array; None without a plan."""
        plan = self._file.snapshot.plan
        return None if plan is None else plan.rows_for(len(self) + self.frames_lost)

    def aligned(self) -> AlignedFrames:
        """Return the frames in their planned places; without a plan, in the order of all that should have come.

        Each frame is where its ``expected`` column says, or without a plan its ``sequence_number``. Places whose frame
        is missing are masked.
        """
        plan, places = self._file.snapshot.plan, len(self) + self.frames_lost
        if plan is None:
            return AlignedFrames(self, self.frame_table()["sequence_number"], ("frame",), (places,))
        return AlignedFrames(self, self.frame_table()[EXPECTED], plan.axes, plan.shape_for(places))

    @property
    def losses(self) -> tuple[Loss, ...]:
        """Where frames are missing: before which frame, how many, and at which stage they were lost."""
        return as_losses(self._file.snapshot.losses)

    @property
    def camera_clock(self) -> CameraClock | None:
        """How the camera's clock runs beside the host's; None where its frames have no time stamps of the camera's.

        The file has it once it is closed; until then it is fitted to the frames that are there.
        """
        with self._file.open_hdf5() as file:
            clock = file.get(CAMERA_CLOCK)
            if isinstance(clock, h5py.Dataset) and clock.dtype == np.float64:
                stored = CameraClock.from_array(clock[()])
                if stored is not None:
                    return stored
        table = self.frame_table(["camera_timestamp", "start_time"])
        return fit_clock(table["camera_timestamp"], table["start_time"])

    @property
    def metadata(self) -> dict[str, Any]:
        """What was known before the first frame: the user's ``metadata``, the ``detector``, start and end time."""
        return self._file.snapshot.metadata

    def performance(self) -> npt.NDArray[np.void]:
        """Return how the recording went: a structured array with a row for each half second, or longer in a long one.

        ``time_ns`` since the recording's start (as the column ``start_time``, which is in seconds), ``frames_written``,
        ``ring_frames`` and ``slowest_write_ns``, the largest since the row before, and ``writer_restarts``.
        """
        with self._file.open_hdf5() as file:
            return read_log(file[f"{LEDGER}/performance"])

    def follow(self, *, start: int = 0, poll_s: float = 0.02, timeout_s: float | None = None) -> Iterator[Pixels]:
        """Yield the frames from ``start`` on, those that are there and then each as it is recorded, until the end.

        Another process may record meanwhile; it never waits for a follower, and no frame is yielded before it is whole.
        Both use the same disk: while more than a sixteenth of the ring waits to be written, this reads one frame a
        second at most, and catches up afterwards. Ends when the recording was closed and its last frame was yielded, or
        when the process that recorded it is gone.

        Parameters
        ----------
        start
            The first frame; ``len(recording)`` waits for the next one.
        poll_s
            How often to look for new frames, seconds.
        timeout_s
            Ends as well when no frame has come for this long, seconds.
        """
        behind = self._file.is_writer_behind
        return follow(self, self._absolute, behind, start=start, poll_s=poll_s, timeout_s=timeout_s)

    def to_xarray(self, chunks: Any = None) -> Any:
        """Return an `xarray.DataArray` over `to_dask`, with time in seconds and y and x in um, or pixels.

        Raises
        ------
        MissingPackageError
            xarray or dask is not installed.
        """
        return to_xarray(self, chunks)

    def __dask_tokenize__(self) -> tuple[Any, ...]:
        return str(self._absolute), self._file.changed_ns(), len(self)

    def __len__(self) -> int:
        return self._file.length

    def __getitem__(self, key: Any) -> Pixels:
        """Read what an index selects, as NumPy would from an array ``(T, Y, X)``."""
        if type(key) is int and -(count := len(self)) <= key < count:  # what loops do
            index = key % count
            with self._file.reading(range(index, index + 1)) as frames:
                return frames.frame(index)
        return super().__getitem__(key)

    def opener(self) -> "Callable[[], Recording]":
        """Return what opens the same frames again, in any thread or process to which it can be pickled."""
        return partial(_reopen, str(self._absolute), len(self))

    def __reduce__(self) -> tuple[Any, ...]:
        return self.opener(), ()

    def close(self) -> None:
        """Close the file; idempotent. Facts such as shape, state and losses can still be asked for."""
        self._file.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_exc: object) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<Recording {self.path} {self.shape} {self.dtype} {self.state}, {self.frames_lost} lost>"

    def read_slab(self, frames: range, rows: range, columns: range) -> Pixels:
        """Read frames, rows and columns, given as ranges of positive step, with all channels of their pixels."""
        with self._file.reading(frames) as source:
            return source.slab(frames, rows, columns)

    def read_each(self, frames: range) -> Iterator[Pixels]:
        """Yield frames ``(Y, X)`` in order, read ahead where that is faster; iterating is made of it."""
        many = _RUN_CHUNKS * self.chunks[0]
        while self.state == "recording" and frames:  # the index may change between two runs
            run, frames = frames[:many], frames[many:]
            with self._file.reading(run) as source:
                yield from source.each(run)
        with self._file.reading() as source:
            yield from source.each(frames)


def _reopen(path: str, frames: int) -> Recording:
    """Open a recording that was pickled, with the frames that it had then."""
    recording = Recording(path)
    recording._file.length = min(recording._file.length, frames)
    return recording
