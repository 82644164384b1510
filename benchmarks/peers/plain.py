"""mmspool itself, and a plain file through the page cache."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import numpy as np

import mmspool
from mmspool.persistence import Compression

from .base import Frame, Job, Peer, Put, Reader, batches


@contextmanager
def _spool(folder: Path, job: Job, compression: Compression | None = None) -> Iterator[Put]:
    packing = {} if compression is None else {"compression": compression, "raw_if_slow": False}
    spool = mmspool.Spool(folder / "run.h5", shape=job.shape, dtype=job.dtype, **packing)
    try:
        yield spool.put
    finally:
        result = spool.close()
    if not result.complete:
        raise AssertionError(f"not complete: {result}")


@contextmanager
def _recording(folder: Path, _job: Job) -> Iterator[Reader]:
    with mmspool.open(folder / "run.h5") as recording:
        yield Reader(len(recording), recording.__getitem__, recording.__iter__)


@contextmanager
def _file(folder: Path, job: Job) -> Iterator[Put]:
    descriptor = os.open(folder / "frames", os.O_WRONLY | os.O_CREAT)
    try:

        def write(_first: int, stack: Frame) -> None:
            if os.write(descriptor, stack.data) != stack.nbytes:
                raise AssertionError("a short write")

        with batches(job, write) as put:
            yield put
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def _mapped(folder: Path, job: Job) -> Iterator[Reader]:
    stack = np.memmap(folder / "frames", job.dtype, "r").reshape(-1, *job.shape)
    yield Reader(len(stack), stack.__getitem__)


SPOOL = Peer(
    name="mmspool", how="`Spool(path, shape=..., dtype=...)`, everything else as it is.", open=_spool, read=_recording
)
FAST = Peer(
    name="mmspool, fast",
    how="`Spool(path, compression='fast', raw_if_slow=False)`.",
    open=partial(_spool, compression="fast"),
    read=_recording,
    needs=("hdf5plugin", "imagecodecs"),
)
PAGE_CACHE = Peer(
    name="write + fsync",
    how="`os.write` of each frame (or 8 MiB of frames) through the page cache, `fsync`; not into reserved space, which "
    "is slower on ext4.",
    open=_file,
    read=_mapped,
)
