"""The producer's side of a recording: `Spool` takes frames and hands them to the persistence process."""

import atexit
import contextlib
import operator
import os
import threading
import time
import weakref
from collections.abc import Mapping
from datetime import datetime
from enum import Enum
from pathlib import Path
from types import TracebackType
from typing import Any, Self, Unpack, cast

import numpy as np
import numpy.typing as npt

from ..errors import SpoolClosedError, SpoolError, WriterError
from .block_layout import BlockLayout, plan_blocks
from .frame_checks import as_frame, check_same, metadata_values
from .hdf5_file.output_path import OutputPath
from .keep_awake import KeepAwake
from .losses import STAGES
from .options import SpoolKeywords, SpoolOptions
from .results import SpoolResult, SpoolStats, final_state
from .shared_ring.ring import RingField
from .writer_process.client import WriterClient
from .writer_process.messages import StartWriting

_GIVE_BACK_S = 10.0  # for the memory of the spool before; more only if its process hangs on a dead disk

_open_spools: "weakref.WeakSet[Spool]" = weakref.WeakSet()
_giving_back: "weakref.WeakSet[threading.Thread]" = weakref.WeakSet()


class _State(Enum):
    OPEN = "open"
    FORKED = "forked"
    FAILED = "failed"
    CLOSED = "closed"


class Spool:
    """A recording that is being written: 2-D arrays go in, one HDF5 file comes out.

    Frames are copied into a ring in shared memory, from which a process of its own writes them to the file. The first
    frame fixes shape and dtype, unless they are given here; then the file is made at once and the first frame is not
    delayed.

    Parameters
    ----------
    path
        The file to create.
    options
        ``shape``, ``dtype``, ``buffer_bytes``, ``on_full``, ``compression``, ...: see `SpoolOptions`.

    Raises
    ------
    StorageError
        The folder is missing, the file exists or cannot be made, or there is not enough disk, memory or shared memory.
        Nothing was recorded; with ``overwrite`` the old file may be gone by then.
    ValueError, TypeError
        An option makes no sense, or does not exist.
    """

    def __init__(self, path: str | os.PathLike[str], **options: Unpack[SpoolKeywords]) -> None:
        self._options = SpoolOptions.from_keywords(**options)
        self.path = Path(path).absolute()
        self._lock = threading.Lock()
        self._state = _State.OPEN
        self._layout: BlockLayout | None = None
        self._shape: tuple[int, int] | None = None
        self._dtype: np.dtype[Any] | None = None
        self._error: WriterError | None = None
        self._result: SpoolResult | None = None
        self._stats: SpoolStats | None = None
        self._awake: KeepAwake | None = None
        self._target = OutputPath(self.path, overwrite=self._options.overwrite)
        for thread in tuple(_giving_back):
            thread.join(_GIVE_BACK_S)
        try:
            self._feed = WriterClient(self._options)
        except BaseException:
            self._target.release(remove=True)
            raise
        atexit.register(self._close_at_exit)
        _open_spools.add(self)
        self._watching = threading.Thread(target=self._watch, name="mmspool-watch", daemon=True)
        self._watching.start()
        if self._options.shape is not None:
            self._begin(self._options.shape, np.dtype(self._options.dtype))

    @property
    def shape(self) -> tuple[int, int] | None:
        """``(Y, X)`` of the frames; None before the first one fixed it."""
        return self._shape

    @property
    def dtype(self) -> np.dtype[Any] | None:
        """The frames' dtype; None before the first one fixed it."""
        return self._dtype

    @property
    def durable(self) -> int:
        """Number of frames that are certainly on the device: not even a power cut loses them."""
        return self.stats.frames_durable

    def put(self, image: npt.ArrayLike, metadata: Mapping[str, Any] | None = None) -> bool:
        """Store a copy of a frame; the caller may reuse its buffer at once. May be called from several threads.

        Parameters
        ----------
        image
            ``(Y, X)``, bool, integers or floats, of any byte order and memory layout.
        metadata
            Whole numbers: ``image_number`` (of the core), ``camera_frame_number``, ``camera_timestamp`` and
            ``host_timestamp`` (ns; by default the present time).

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
            The persistence process failed, for the reason in ``__cause__``; what it wrote stays readable.
        SpoolClosedError
            The spool was closed before.
        """
        with self._lock:
            if self._state is not _State.OPEN:
                raise self._not_open()
            frame = image if type(image) is np.ndarray else as_frame(image)
            if frame.shape != self._shape or frame.dtype != self._dtype:
                self._first_frame(frame)
            now_ns = time.time_ns()
            values = metadata_values(metadata, now_ns)
            try:
                return self._feed.put(frame, values, now_ns)
            except WriterError as exc:
                self._fail(exc)
                raise

    def record_loss(self, count: int, stage: str) -> None:
        """Enter ``count`` frames into the ledger that were lost before the next frame.

        Parameters
        ----------
        count
            How many, at least 1.
        stage
            Where: ``"camera"``, ``"core"``, ``"ring"`` or ``"unknown"``.
        """
        count = operator.index(count)
        if count < 1 or stage not in STAGES:
            raise ValueError(f"record_loss takes a count of at least 1 and a stage of {STAGES}, not {count}, {stage!r}")
        with self._lock:
            if self._state is not _State.OPEN:
                raise self._not_open()
            self._feed.add_loss(count, stage)

    @property
    def stats(self) -> SpoolStats:
        """How it stands, as a snapshot that does not change any more."""
        if self._stats is None:
            with contextlib.suppress(ValueError):  # the ring was given back meanwhile
                now = self._feed.stats()
                if self._stats is None:  # otherwise it was closed meanwhile, and what it ended with stays
                    return now
        return cast("SpoolStats", self._stats)

    @property
    def result(self) -> SpoolResult | None:
        """How the recording ended; None while it is open, and if the writer process failed."""
        return self._result

    def close(self, *, interrupted: bool = False, end_reason: str = "closed") -> SpoolResult:
        """Write what the ring holds, trim the file to the exact count, sync it; idempotent.

        The file is whole and closed when this returns. The ring's memory and the persistence process are given back
        within a fraction of a second after that; the next spool waits for it.

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
            The persistence process failed, for the reason in ``__cause__``; what it wrote stays readable.
        """
        with self._lock:
            if self._result is not None:
                return self._result
            if self._state is not _State.OPEN:
                raise self._not_open()
            return self._end(interrupted=interrupted, end_reason=end_reason)

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

    def _begin(self, shape: tuple[int, int], dtype: np.dtype[Any]) -> None:
        """Fix shape and dtype and have the file made; a failure closes the spool, with nothing recorded."""
        start_ns = time.time_ns()
        try:
            packed = self._options.compression is not None
            layout = plan_blocks(shape, dtype, self._feed.room, self._options.grow_frames, packed=packed)
            self._target.create()
            start = datetime.fromtimestamp(start_ns / 1e9).astimezone()
            self._feed.begin(
                StartWriting(path=self.path, layout=layout, options=self._options, start=start, start_ns=start_ns)
            )
        except BaseException:
            self._release(_State.CLOSED, kill=True, remove=True)
            raise
        if self._options.keep_awake:
            self._awake = KeepAwake(self.path)
        self._layout, self._shape, self._dtype = layout, shape, dtype

    def _first_frame(self, frame: npt.NDArray[Any]) -> None:
        """Let the first frame fix shape and dtype; refuse any later frame that has others."""
        frame = as_frame(frame)
        if self._shape is not None and self._dtype is not None:
            check_same(frame, self._shape, self._dtype, self._feed.counters[RingField.PUT])
        else:
            self._begin((frame.shape[0], frame.shape[1]), frame.dtype)

    def _end(self, *, interrupted: bool, end_reason: str) -> SpoolResult:
        """Have the persistence process close the file; without a frame there is neither file nor anything to close."""
        if self._layout is None:
            frames, lost, size = 0, self._feed.counters[RingField.LOST], 0
            end_reason = f"{end_reason}; no frame was put"
            state = final_state(interrupted=interrupted, lost=lost)
        else:
            try:
                ended = self._feed.end(interrupted=interrupted, end_reason=end_reason)
            except WriterError as exc:
                self._fail(exc)
                raise
            frames, lost, size, state = ended.frames, ended.lost, ended.file_bytes, ended.state
        losses = self._feed.losses()
        self._release(_State.CLOSED, kill=self._layout is None, remove=self._layout is None)
        self._result = SpoolResult(
            path=self.path,
            frames_written=frames,
            frames_lost=lost,
            losses=losses,
            state=state,
            end_reason=end_reason,
            file_bytes=size,
            stats=self.stats,
        )
        return self._result

    def _fail(self, error: WriterError) -> None:
        """Let go of everything after the persistence process failed; ``error`` is what later calls raise."""
        self._error = error
        self._feed.count_rest_as_lost()
        self._release(_State.FAILED, kill=False, remove=False)

    def _release(self, state: _State, *, kill: bool, remove: bool) -> None:
        self._stats = self.stats
        self._state = state
        _giving_back.add(self._watching)
        self._feed.free(kill=kill)
        if self._awake is not None:
            self._awake.close()
        self._target.release(remove=remove)
        atexit.unregister(self._close_at_exit)

    def _not_open(self) -> SpoolError:
        if self._error is not None:
            return self._error
        if self._state is _State.FORKED:
            return SpoolClosedError(f"the spool to {self.path} belongs to the process that this one was forked from")
        return SpoolClosedError(f"the spool to {self.path} is closed: nothing more can be put into it")

    def _watch(self) -> None:
        """Have a persistence process that dies replaced at once, even while nothing is put; at the end give back all.

        Nobody needs to wait for that but the next spool, for which there would be less memory.
        """
        while self._feed.wait_for_death():
            with self._lock:
                if self._state is not _State.OPEN:
                    continue
                try:
                    self._feed.check()
                except WriterError as exc:
                    self._fail(exc)
        self._feed.give_back()

    def _close_at_exit(self) -> None:
        if self._state is _State.OPEN:
            self.close(interrupted=True, end_reason="the script ended without closing the recording")


def _disown() -> None:
    """After a fork the parent goes on recording; the child must not touch its ring, its process or its file."""
    for spool in _open_spools:
        spool._state = _State.FORKED
        spool._lock = threading.Lock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_disown)
