"""What every way of storing frames has in common: it is opened for a job, takes frames one by one, and is read back."""

import ctypes
import importlib
import os
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

Frame = npt.NDArray[Any]
Put = Callable[[Frame], object]
"""Takes the next frame ``(Y, X)``; its buffer stays unchanged until everything is closed."""

_BATCH_BYTES = 8 << 20


class NotAvailableError(Exception):
    """What cannot be measured here; the message says why."""


@dataclass(frozen=True, kw_only=True)
class Job:
    """What is to be stored: at most ``frames`` frames of ``shape`` ``(Y, X)``."""

    shape: tuple[int, int]
    dtype: np.dtype[Any]
    frames: int

    @property
    def frame_bytes(self) -> int:
        """Size of a frame."""
        return self.shape[0] * self.shape[1] * self.dtype.itemsize

    @property
    def batch(self) -> int:
        """Frames that go into one chunk, shard or write: one, where frames have a megabyte or more."""
        return 1 if self.frame_bytes >= 1 << 20 else _BATCH_BYTES // self.frame_bytes

    @property
    def whole(self) -> int:
        """The frames, rounded up to whole batches."""
        return -(-self.frames // self.batch) * self.batch


class Reader:
    """Stored frames, to be looked at: how many at most, each by its index, and all in order."""

    def __init__(
        self, length: int, get: Callable[[int], Frame], each: Callable[[], Iterator[Frame]] | None = None
    ) -> None:
        self._length, self.get = length, get
        self._each = each or (lambda: map(get, range(length)))

    def __iter__(self) -> Iterator[Frame]:
        return self._each()

    def __len__(self) -> int:
        return self._length


@dataclass(frozen=True, kw_only=True)
class Peer:
    """One way to store frames.

    Parameters
    ----------
    name
        For the table.
    how
        How it is used, for the page: what its maintainers would want to know.
    open
        Makes what is written in an empty folder; leaving it returns when everything is closed.
    read
        Opens what was written.
    needs
        Modules that have to be there.
    refuses
        Tells why it cannot do a job, or nothing.
    """

    name: str
    how: str
    open: Callable[[Path, Job], AbstractContextManager[Put]]
    read: Callable[[Path, Job], AbstractContextManager[Reader]]
    needs: tuple[str, ...] = ()
    refuses: Callable[[Job], str] = lambda _job: ""

    def check(self, job: Job) -> None:
        """Raise NotAvailableError where it is not installed or cannot do the job."""
        for module in self.needs:
            load(module)
        if reason := self.refuses(job):
            raise NotAvailableError(reason)


def load(module: str) -> Any:
    """Import what may not be installed."""
    try:
        return importlib.import_module(module)
    except ImportError as exc:
        raise NotAvailableError(f"not installed ({exc}): python -m pip install -r benchmarks/requirements.txt") from exc


@contextmanager
def batches(job: Job, write: Callable[[int, Frame], object]) -> Iterator[Put]:
    """Yield a put that collects tiny frames, and gives ``write`` the first one's index and a stack ``(T, Y, X)``."""
    if job.batch == 1:
        index = 0

        def put(frame: Frame) -> None:
            nonlocal index
            write(index, frame[None])
            index += 1

        yield put
        return
    first = place = 0
    stack = np.empty((job.batch, *job.shape), job.dtype)

    def collect(frame: Frame) -> None:
        nonlocal first, place
        stack[place] = frame
        place += 1
        if place == job.batch:
            write(first, stack)
            first, place = first + place, 0

    yield collect
    if place:
        write(first, stack[:place])


def sync(folder: Path) -> None:
    """Return when everything that was written to the file system of ``folder`` is on its device."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        if ctypes.CDLL(None, use_errno=True).syncfs(descriptor):
            raise OSError(ctypes.get_errno(), "syncfs")
    finally:
        os.close(descriptor)
