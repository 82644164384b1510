"""HDF5 by other means: the classic recipe with a Queue, h5py in the same process, PyTables."""

import multiprocessing
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from multiprocessing.queues import Queue
from pathlib import Path
from typing import Any

import h5py

from .base import Frame, Job, Peer, Put, Reader, batches, load

_QUEUE_BYTES = 256 << 20  # enough to keep the worker busy; what is in it at the end is still to be written
_QUEUE_FRAMES = 100
_FILE = "frames.h5"
_DATASET = "data"
_ENDS_S = 600.0


def _frames_last(file: h5py.File, job: Job) -> Callable[[int, Frame], None]:
    data = file.create_dataset(_DATASET, (*job.shape, job.frames), job.dtype, chunks=True)

    def write(index: int, frame: Frame) -> None:
        data[:, :, index] = frame

    return write


def _dataset(file: h5py.File, job: Job) -> h5py.Dataset:
    """Return ``(T, Y, X)`` with a frame or batch a chunk, allocated early and never filled."""
    chunk = (job.batch, *job.shape)
    properties = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    properties.set_alloc_time(h5py.h5d.ALLOC_TIME_EARLY)
    properties.set_fill_time(h5py.h5d.FILL_TIME_NEVER)
    shape = (job.whole, *job.shape)
    return file.create_dataset(_DATASET, shape, job.dtype, chunks=chunk, dcpl=properties)


def _frames_first(file: h5py.File, job: Job) -> Callable[[int, Frame], None]:
    data = _dataset(file, job)

    def write(index: int, frame: Frame) -> None:
        data[index] = frame

    return write


def _work(queue: "Queue[Frame | None]", ready: Any, path: Path, job: Job, *, last: bool) -> None:
    """Write what comes through the queue; the classic recipe's process."""
    with _new_file(path, job) as file:
        write = (_frames_last if last else _frames_first)(file, job)
        ready.set()
        index = 0
        while (frame := queue.get()) is not None:
            write(index, frame)
            index += 1


@contextmanager
def _queued(folder: Path, job: Job, *, last: bool) -> Iterator[Put]:
    context = multiprocessing.get_context("spawn")
    queue = context.Queue(max(2, min(_QUEUE_FRAMES, _QUEUE_BYTES // job.frame_bytes)))
    ready = context.Event()
    process = context.Process(target=partial(_work, queue, ready, folder / _FILE, job, last=last))
    process.start()
    if not ready.wait(_ENDS_S):
        raise AssertionError("the worker did not start")
    try:
        yield queue.put
    finally:
        queue.put(None)
        process.join(_ENDS_S)
    if process.exitcode:
        raise AssertionError(f"the worker ended with {process.exitcode}")


def _new_file(path: Path, job: Job) -> h5py.File:
    cache = max(1 << 20, 2 * job.batch * job.frame_bytes)
    return h5py.File(path, "w", libver="latest", rdcc_nbytes=cache)


@contextmanager
def _h5py(folder: Path, job: Job) -> Iterator[Put]:
    with _new_file(folder / _FILE, job) as file:
        data = _dataset(file, job)

        def write(first: int, stack: Frame) -> None:
            data[first : first + len(stack)] = stack

        with batches(job, write) as put:
            yield put


@contextmanager
def _direct_chunks(folder: Path, job: Job) -> Iterator[Put]:
    with _new_file(folder / _FILE, job) as file:
        data = _dataset(file, job)

        def write(first: int, stack: Frame) -> None:
            if len(stack) == job.batch:
                data.id.write_direct_chunk((first, 0, 0), stack)
            else:
                data[first : first + len(stack)] = stack

        with batches(job, write) as put:
            yield put


@contextmanager
def _pytables(folder: Path, job: Job) -> Iterator[Put]:
    tables = load("tables")
    with tables.open_file(str(folder / _FILE), "w") as file:
        data = file.create_earray(
            file.root,
            _DATASET,
            tables.Atom.from_dtype(job.dtype),
            (0, *job.shape),
            expectedrows=job.frames,
            chunkshape=(job.batch, *job.shape),
        )
        with batches(job, lambda _first, stack: data.append(stack)) as put:
            yield put


@contextmanager
def _read(folder: Path, _job: Job, *, last: bool = False) -> Iterator[Reader]:
    with h5py.File(folder / _FILE) as file:
        data = file[_DATASET]
        if last:
            yield Reader(data.shape[2], lambda index: data[:, :, index])
        else:
            yield Reader(len(data), data.__getitem__)


_BY_CHUNK = "frames first, chunk = frame (8 MiB of frames where they are below 1 MiB), allocated early, never filled"

PEERS = (
    Peer(
        name="classic recipe",
        how="frames pickled through a `multiprocessing.Queue` to a process with h5py: `dset[:, :, i] = frame`, frames "
        "last, `chunks=True`. The queue holds 100 frames or 256 MiB.",
        open=partial(_queued, last=True),
        read=partial(_read, last=True),
    ),
    Peer(
        name="classic, frames first",
        how=f"the same Queue, `dset[i] = frame`; {_BY_CHUNK}.",
        open=partial(_queued, last=False),
        read=_read,
    ),
    Peer(
        name="h5py",
        how=f"in the same process, `dset[i] = frame` or a batch; {_BY_CHUNK}; `libver='latest'`, a chunk cache of two "
        "chunks.",
        open=_h5py,
        read=_read,
    ),
    Peer(
        name="h5py, direct chunks",
        how="as h5py, with `dset.id.write_direct_chunk`, past the filter pipeline.",
        open=_direct_chunks,
        read=_read,
    ),
    Peer(
        name="PyTables",
        how="`EArray.append` of a frame or batch, `chunkshape` = frame or batch, `expectedrows` given, no filters.",
        open=_pytables,
        read=_read,
        needs=("tables",),
    ),
)
