"""The producer's side of a recording: `Spool` takes frames and hands them to the writer process."""

import operator
import os
from collections.abc import Mapping
from dataclasses import replace
from types import TracebackType
from typing import Any, Self, Unpack

import numpy as np
import numpy.typing as npt

from ..errors import SpoolClosedError, SpoolError, WriterError
from .columns import Column
from .frame_checks import as_frame, check_same
from .frame_records import FrameRecords
from .losses import STAGES, LossStage
from .options import SpoolKeywords, SpoolOptions
from .plan import Plan, PlanLike
from .results import SpoolResult, SpoolStats
from .shared_ring.ring import RingField
from .slot import Slot
from .spool_lifecycle import SpoolLifecycle
from .spool_state import SpoolState
from .system.clock import steady_ns
from .system.paths import recording_path

_OPEN = SpoolState.OPEN  # the look-up of an Enum's member costs tiny frames a twentieth


class Spool:
    """A recording that is being written: 2-D arrays go in, one HDF5 file comes out.

    Frames are copied into a ring in shared memory, from which a writer process stores them in the file. The first
    frame fixes shape and dtype, unless they are given here; then the file is created at once and the first frame is not
    delayed. A spool that is dropped without being closed ends as interrupted.

    Any method may be called from any thread. A signal handler that interrupts a call of the same spool may call
    `close`; other calls, and `close` at a moment when it cannot work, raise `SpoolError` there at once.

    Parameters
    ----------
    path
        The file to create.
    options
        ``shape``, ``dtype``, ``buffer_bytes``, ``on_full``, ``compression``, ...: see `SpoolOptions`.

    Raises
    ------
    StorageError
        The folder is missing, the file exists or cannot be created, or there is too little disk or shared memory.
        Nothing was recorded; with ``overwrite`` the old file may be gone by then.
    ValueError, TypeError
        An option makes no sense, or does not exist.
    """

    def __init__(self, path: str | os.PathLike[str], **options: Unpack[SpoolKeywords]) -> None:
        self._options = SpoolOptions.from_keywords(**options)
        self.path = recording_path(path)
        self._shape: tuple[int, ...] | None = None
        self._dtype: np.dtype[Any] | None = None
        self._wall_offset_ns = 0
        self._life = SpoolLifecycle(self.path, self._options)
        self._client = self._life.client
        self._records = FrameRecords(self._options, self._client.sequence_number)
        self._places, self._values_of = self._records.places, self._records.values_of
        if self._options.shape is not None:
            self._begin(self._options.shape, np.dtype(self._options.dtype))

    def __repr__(self) -> str:
        stats = self.stats
        text = f"{self._life.state.value}, {stats.frames_put:,} frames put, {stats.frames_lost:,} lost"
        return f"<Spool {self.path.name}: {text}>"

    @property
    def shape(self) -> tuple[int, ...] | None:
        """``(Y, X)`` of the frames, ``(Y, X, 3)`` in colour; None before the first one fixed it."""
        return self._shape

    @property
    def dtype(self) -> np.dtype[Any] | None:
        """The frames' dtype; None before the first one fixed it."""
        return self._dtype

    @property
    def columns(self) -> dict[str, Column]:
        """The columns of your own: the declared ones, or those of the first frame."""
        return {column.name: column.as_column() for column in self._records.columns}

    @property
    def durable(self) -> int:
        """Number of frames that are certainly on the device: not even a power cut loses them."""
        return self.stats.frames_durable

    @property
    def plan(self) -> Plan | None:
        """The plan, as `SpoolOptions` has it; None without one."""
        return None if self._options.plan is None else Plan.of(self._options.plan)

    def declare(
        self, *, columns: Mapping[str, Column | npt.DTypeLike] | None = None, plan: PlanLike | Plan | None = None
    ) -> None:
        """Set columns and plan, as for `SpoolOptions`, before the first frame; those that are None stay as they are.

        Raises
        ------
        SpoolError
            There is a file already, made with the first frame or because ``shape`` was given.
        ValueError, TypeError
            They cannot be stored; nothing was changed.
        """
        with self._life.lock:
            self._life.require(SpoolState.OPEN)
            if self._shape is not None:
                raise SpoolError(
                    f"{self.path} has its columns and its plan already: declare them before the first frame"
                )
            kept = self._options
            self._options = replace(
                kept,
                columns=kept.columns if columns is None else columns,
                plan=kept.plan if plan is None else plan,
            )
            self._records = FrameRecords(self._options, self._client.sequence_number)
            self._places = self._records.places

    def put(self, image: npt.ArrayLike, metadata: Mapping[str, Any] | None = None) -> bool:
        """Store a copy of a frame; the caller may reuse its buffer at once. May be called from several threads.

        Parameters
        ----------
        image
            ``(Y, X)``, bool, integers or floats, of any byte order and memory layout; or ``(Y, X, 3)``, uint8 or
            uint16, red, green and blue.
        metadata
            Whole numbers: ``image_number`` (of the core), ``camera_frame_number``, ``camera_timestamp`` and
            ``host_timestamp`` (ns; by default the present time). Beside them values of your own columns, by name; a
            column without a value gets its fill.

        Returns
        -------
        bool
            False if the frame was dropped, because the ring was full and ``on_full`` is ``"drop"``.

        Raises
        ------
        FrameError
            The frame or its metadata does not fit; it was not stored, the spool goes on.
        RingFullError
            There was no room (in time); the frame is counted as lost, the spool goes on.
        StorageError
            At the first frame: there is no room for the file; nothing was recorded, the spool is closed.
        WriterError
            The writer process failed, for the reason in ``__cause__``; what it wrote stays readable.
        SpoolClosedError
            The spool was closed before.
        """
        return self._life.call(_OPEN, self._put, image, metadata)

    def slot(self, metadata: Mapping[str, Any] | None = None) -> Slot:
        """Return a context manager that gives the next frame's slot of the ring to be filled, and puts it at its end.

        ``with spool.slot() as frame: sdk.read_into(frame)``: the frame is not copied. Its guarantees are those of
        `put`. An exception in the block puts nothing and gives the slot back. Until the block ends no other frame can
        be put; `close` can, and then the frame is not part of the recording. The array must not be written to after
        the block, for which it is made read-only (a pointer into it has to be given up).

        Parameters
        ----------
        metadata
            As for `put`; looked at when the block ends, so that the block may still fill it in.

        Returns
        -------
        Slot
            It gives an array of the frames' shape and dtype, which holds whatever was there before: fill all of it.

        Raises
        ------
        FrameError
            Shape and dtype are not known yet. At the end of the block: the metadata does not fit; nothing was put.
        RingFullError
            There was no room (in time, or at once where ``on_full`` is not ``"wait"``); the frame is counted as lost.
        SpoolError
            Another slot is being filled.
        WriterError, SpoolClosedError
            As for `put`.
        """
        return Slot(self, metadata)

    def record_loss(self, count: int, stage: LossStage) -> None:
        """Enter ``count`` frames into the ledger that were lost before the next frame.

        Parameters
        ----------
        count
            How many, at least 1.
        stage
            Where: ``"camera"``, ``"core"``, ``"ring"``, ``"unknown"`` or ``"trigger"``; see `Loss`.
        """
        count = operator.index(count)
        if count < 1 or stage not in STAGES:
            raise ValueError(f"record_loss takes a count of at least 1 and a stage of {STAGES}, not {count}, {stage!r}")
        with self._life.lock:
            self._life.require(SpoolState.OPEN, SpoolState.SLOT)
            self._client.add_loss(count, stage)

    def report_backlog(self, share: float) -> None:
        """Report how full the buffer is from which frames come, 0 to 1; while it fills, none is compressed."""
        self._client.report_backlog(share)

    @property
    def stats(self) -> SpoolStats:
        """Current status, as a snapshot that does not change any more."""
        return self._life.stats

    @property
    def result(self) -> SpoolResult | None:
        """How the recording ended; None while it is open, and if the writer process failed."""
        return self._life.result

    def close(self, *, interrupted: bool = False, end_reason: str = "closed") -> SpoolResult:
        """Write what the ring holds, trim the file to the exact count, sync it; idempotent.

        When this returns the file is whole and closed, and the ring and the writer process are gone.

        Parameters
        ----------
        interrupted
            The recording did not end as it should have; the file will say so.
        end_reason
            Why it ended, for the file.

        Returns
        -------
        SpoolResult
            How it ended; the same at every call.

        Raises
        ------
        WriterError
            The writer process failed, for the reason in ``__cause__``; what it wrote stays readable.
        """
        return self._life.close(self._places, interrupted=interrupted, end_reason=end_reason)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None
    ) -> None:
        if exc is None:
            self.close()
            return
        try:
            self.close(interrupted=True, end_reason=f"{type(exc).__name__}: {exc}".rstrip(": "))
        except SpoolError as closing:
            if not isinstance(exc, WriterError | SpoolClosedError):
                exc.add_note(f"closing the spool failed too: {closing}")

    def _put(self, image: npt.ArrayLike, metadata: Mapping[str, Any] | None) -> bool:
        frame = image if type(image) is np.ndarray else as_frame(image)
        if frame.shape != self._shape or frame.dtype != self._dtype:
            self._first_frame(frame, metadata)
        now_ns = steady_ns() + self._wall_offset_ns  # the wall clock may be set meanwhile
        values = self._values_of(metadata, now_ns)
        if self._places is None:
            return self._client.put(frame, values, now_ns)
        return self._places.fill(int(values[-1]), came=self._client.put(frame, values, now_ns))

    def _first_frame(self, frame: npt.NDArray[Any], metadata: Mapping[str, Any] | None) -> None:
        """Let the first frame fix shape, dtype and columns; refuse any later frame that has another shape or dtype."""
        frame = as_frame(frame)
        if self._shape is not None and self._dtype is not None:
            check_same(frame, self._shape, self._dtype, self._client.counters[RingField.PUT])
        else:
            self._records.begin_with(metadata)
            self._begin(frame.shape, frame.dtype)

    def _begin(self, shape: tuple[int, ...], dtype: np.dtype[Any]) -> None:
        """Fix shape and dtype and create the file; a failure closes the spool, with nothing recorded."""
        self._wall_offset_ns = self._life.begin(shape, dtype, self._options, self._records.stored_columns)
        self._values_of = self._records.values_of
        self._shape, self._dtype = shape, dtype
