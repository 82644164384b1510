"""The life of a spool, from its ring to its result: one call at a time, the writer's failure, the end."""

import atexit
import contextlib
import logging
import os
import threading
import weakref
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any, TypeVar, cast

import numpy as np

from ..errors import SpoolError, StorageError, WriterError
from .columns import StoredColumn
from .hdf5_file.closed_file import FileClosed
from .hdf5_file.output_path import OutputPath
from .options import SpoolOptions
from .plan import Places
from .results import SpoolResult, SpoolStats, final_state
from .shared_ring.ring import RingField
from .spool_state import SpoolState, interrupted_call, not_open
from .system.clock import steady_ns, wall_offset_ns
from .system.os_file import occupy_standard_descriptors
from .writer_process.client import WriterClient
from .writer_process.messages import StartWriting
from .writer_watch import abandon, watch

_log = logging.getLogger("mmspool")
_lives: "weakref.WeakSet[SpoolLifecycle]" = weakref.WeakSet()
_Image = TypeVar("_Image")
_Metadata = TypeVar("_Metadata")
_Result = TypeVar("_Result")


class SpoolLifecycle:
    """What a spool has to release (the ring, the writer process, the path), and which call is under way.

    Parameters
    ----------
    path
        The file to create.
    options
        Of the spool.

    Attributes
    ----------
    lock
        Held by each call; one that was interrupted by a signal handler holds it in the handler too.
    state
        Changed under the lock, and by a signal handler at any moment.
    client
        The ring and the writer process.
    error
        The failure of the writer process, which later calls raise.
    result
        How the recording ended; None while it is open, and after a failure.

    Raises
    ------
    StorageError
        As for `Spool`.
    """

    def __init__(self, path: Path, options: SpoolOptions) -> None:
        self._path = path
        self.lock = threading.RLock()
        self.state = SpoolState.OPEN
        self.error: WriterError | None = None
        self.result: SpoolResult | None = None
        self._in_call = False
        self._stats: SpoolStats | None = None
        occupy_standard_descriptors()
        self._target = OutputPath(path, overwrite=options.overwrite)
        try:
            self.client = WriterClient(options)
        except BaseException:
            self._target.release(remove=True)
            raise
        _lives.add(self)
        weakref.finalize(self, abandon, self.client).atexit = False
        watching = (weakref.ref(self), self.client, self._target)
        try:
            threading.Thread(target=watch, args=watching, name="mmspool-watch", daemon=True).start()
        except RuntimeError as exc:
            self._release(SpoolState.CLOSED, kill=True, remove=True)
            raise StorageError(
                f"the thread that watches the writer process could not be started: {exc}; end other programs, or raise "
                "the limit on threads"
            ) from exc

    @property
    def stats(self) -> SpoolStats:
        """Current status, as a snapshot that does not change any more."""
        if self._stats is None:
            with contextlib.suppress(ValueError):  # the ring was given back meanwhile
                now = self.client.stats()
                if self._stats is None:  # otherwise it was closed meanwhile, and what it ended with stays
                    return now
        return cast("SpoolStats", self._stats)

    def call(
        self, state: SpoolState, step: Callable[[_Image, _Metadata], _Result], image: _Image, metadata: _Metadata
    ) -> _Result:
        """Do ``step`` as the only call that is under way; where the writer process failed, release everything.

        Two arguments by name, since ``*args`` cost tiny frames a tenth; no context manager, since Ctrl-C may come
        between its code and that of its block.

        Raises
        ------
        SpoolError
            The spool is in another state, or this call interrupted another one.
        """
        with self.lock:
            if self._in_call:
                raise interrupted_call(self._path)
            self._in_call = True  # before the look at the state, which a signal handler may change at any moment
            try:
                if self.state is not state:
                    raise self._not_open()
                try:
                    return step(image, metadata)
                except WriterError as exc:
                    self._fail(exc)
                    raise
                except Exception:
                    if self.result is None:
                        raise
                    raise self._not_open() from None  # what it needed is gone: a signal handler closed the spool
            finally:
                self._in_call = False
                if self.result is not None:
                    self.client.release()  # what the handler left to the call it had interrupted

    def require(self, *states: SpoolState) -> None:
        """Raise the error of a call, which holds the lock, unless no other is under way, in one of these states."""
        if self._in_call:
            raise interrupted_call(self._path)
        if self.state not in states:
            raise self._not_open()

    def begin(
        self, shape: tuple[int, ...], dtype: np.dtype[Any], options: SpoolOptions, columns: tuple[StoredColumn, ...]
    ) -> int:
        """Create the file and return what the wall clock is ahead, ns; a failure closes it, with nothing recorded."""
        self.state = SpoolState.STARTING
        offset_ns = wall_offset_ns()
        start_ns = steady_ns() + offset_ns
        try:
            layout = self.client.plan(shape, dtype, columns)
            self._target.create()
            self.client.begin(
                StartWriting(
                    path=self._path,
                    layout=layout,
                    options=options,
                    start=datetime.fromtimestamp(start_ns / 1e9).astimezone(),
                    start_ns=start_ns,
                    wall_offset_ns=offset_ns,
                )
            )
        except BaseException:
            self._release(SpoolState.CLOSED, kill=True, remove=True)
            raise
        self.state = SpoolState.OPEN
        return offset_ns

    def close(self, places: Places | None = None, *, interrupted: bool, end_reason: str) -> SpoolResult:
        """Close the recording, as `Spool.close` has it; places of a plan that have no frame are lost."""
        try:
            with self.lock:
                if self.result is not None:
                    return self.result
                if self.state in (SpoolState.STARTING, SpoolState.CLOSING) or (
                    self._in_call and self.client.writer.exchanging
                ):
                    raise interrupted_call(self._path)
                if self.state not in (SpoolState.OPEN, SpoolState.SLOT, SpoolState.ENDING):
                    raise self._not_open()
                self.state = SpoolState.CLOSING
                if places is not None and not interrupted:
                    self.client.add_loss(places.empty(self.client.counters[RingField.LOST]), "unknown")
                self.result = self._end(interrupted=interrupted, end_reason=end_reason)
                return self.result
        finally:
            self._log_notices()

    def attend(self) -> None:
        """Restart a writer process that died, although nothing is put; called by the thread that watches it."""
        with self.lock:
            if self.state in (SpoolState.OPEN, SpoolState.SLOT):
                try:
                    self.client.writer.ensure()
                except WriterError as exc:
                    self._fail(exc)
        self._log_notices()

    def disown(self) -> None:
        """After a fork the parent goes on recording; the child must not touch its ring, its process or its file."""
        self.state = SpoolState.FORKED
        self.lock, self._in_call = threading.RLock(), False
        self.client.writer.forget()
        self._target.forget()

    def _end(self, *, interrupted: bool, end_reason: str) -> SpoolResult:
        """Close the file; without a frame there is neither file nor anything to close."""
        begun, interrupting = self.client.begun, self._in_call
        try:
            if begun:
                self.client.request_stop(interrupted=interrupted, end_reason=end_reason)
                closed = self.client.finish(wake=not interrupting)
            else:
                lost = self.client.counters[RingField.LOST]
                closed = FileClosed(
                    frames_written=0,
                    frames_durable=0,
                    frames_lost=lost,
                    state=final_state(interrupted=interrupted, lost=lost),
                    end_reason=f"{end_reason}; no frame was put",
                    file_bytes=0,
                )
        except WriterError as exc:
            self._fail(exc)
            raise
        except BaseException:  # Ctrl-C: the next `close` goes on waiting
            self.state = SpoolState.ENDING
            raise
        losses = self.client.losses()
        path, elsewhere = self._target.locate() if begun else (self._path, self._target.kept())
        if elsewhere:
            state = closed.state if not begun else "interrupted"
            closed = replace(closed, state=state, end_reason=f"{closed.end_reason}; {elsewhere}")
        self._release(SpoolState.CLOSED, kill=not begun, remove=not begun, interrupting=interrupting)
        return SpoolResult(
            path=path,
            frames_written=closed.frames_written,
            frames_lost=closed.frames_lost,
            losses=losses,
            state=closed.state,
            end_reason=closed.end_reason,
            file_bytes=closed.file_bytes,
            stats=self.stats,
        )

    def _fail(self, error: WriterError) -> None:
        """Release everything after the writer process failed; ``error`` is what later calls raise."""
        self.error = error
        if self.state is SpoolState.CLOSED:  # at the first frame: nothing was recorded
            return
        self.client.count_rest_as_lost()
        self._release(SpoolState.FAILED, kill=False, remove=False)

    def _release(self, state: SpoolState, *, kill: bool, remove: bool, interrupting: bool = False) -> None:
        self._stats = self.stats
        self.state = state
        self.client.release(kill=kill, interrupting=interrupting)
        self._target.release(remove=remove)

    def _not_open(self) -> SpoolError:
        return self.error or not_open(self.state, self._path)

    def _log_notices(self) -> None:
        """Log what happened, without holding the lock: a thread that waits for it may hold the log's."""
        while self.client.writer.notices:
            _log.warning("%s", self.client.writer.notices.pop(0))


def _close_at_exit() -> None:
    """Close what is open, and keep the locks: only daemon threads are left, and each stops at its next call.

    An error would end such a thread, with a traceback that Python aborts over if it takes stderr away meanwhile.
    """
    for life in tuple(_lives):
        life.lock.acquire()
        if life.state in (SpoolState.OPEN, SpoolState.SLOT, SpoolState.ENDING):
            life.close(interrupted=True, end_reason="the script ended without closing the recording")


def _disown_all() -> None:
    for life in tuple(_lives):
        life.disown()


atexit.register(_close_at_exit)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_disown_all)
