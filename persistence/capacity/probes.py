"""Measuring what this machine can do for a recording: its disk, and its copies into shared memory."""

import contextlib
import errno
import math
import os
import secrets
import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from ...errors import StorageError
from ..block_layout import GROW_FRAMES, plan_blocks
from ..hdf5_file.direct_file import DirectFile
from ..hdf5_file.output_path import OutputPath
from ..shared_ring.buffer_size import default_buffer_bytes
from ..shared_ring.hugepages import private_memory
from ..shared_ring.ring import Ring
from .disk_rate import DiskRate, Sample, judge_disk

Progress = Callable[[float], None]
"""Called many times with how much is done, 0 to 1; an exception in it ends the test."""

SCRATCH_PREFIX = ".mmspool-preflight-"

_BLOCK_BYTES = 8 << 20  # the writer's own, for all but the largest frames
_BLOCKS = 4  # different ones: some disks store what repeats only once
_AHEAD_BYTES = 32 * _BLOCK_BYTES  # allocated at a time, as the writer grows its file
_STRETCH_S = 0.25  # from one sync to the next; 40 samples in 10 s show a cache that ends
_FREE_SHARE = 4  # a test takes no more than a quarter of what is free
_COPY_RING_BYTES = 256 << 20  # beyond any processor's cache, as a recording's ring is
_COPY_SOURCE_BYTES = 128 << 20
_COPY_S = 0.5
_COPY_FRAMES = 20_000  # at most, between two looks at the clock


def check_folder(folder: Path) -> None:
    """Raise `StorageError` unless this is a folder."""
    if not folder.exists():
        raise StorageError(errno.ENOENT, "the folder does not exist: create it first", str(folder))
    if not folder.is_dir():
        raise StorageError(errno.ENOTDIR, "this is not a folder: name the one that recordings go to", str(folder))


def measure_disk(
    folder: Path, *, seconds: float, max_bytes: int | None = None, progress: Progress | None = None
) -> DiskRate:
    """Write to a scratch file as the writer process writes frames, and return what the disk sustains.

    The bytes are random, so that a disk that compresses does not look fast. The scratch file is gone afterwards,
    whatever happens; on Windows, where a program may hold it and a killed test leaves it, the next one removes it.

    Parameters
    ----------
    folder
        A folder on the disk.
    seconds
        How long to write; the last stretch may go a little beyond it.
    max_bytes
        How much to write at most; by default, and at most, a quarter of the free space.
    progress
        Called with how much is done, 0 to 1; an exception in it ends the test.

    Raises
    ------
    StorageError
        The folder is missing, cannot be written to or has too little room, or the disk failed.
    """
    check_folder(folder)
    if os.name == "nt":
        _remove_leftovers(folder)
    free = shutil.disk_usage(folder).free
    limit = min(free // _FREE_SHARE, free if max_bytes is None else max_bytes) // _BLOCK_BYTES * _BLOCK_BYTES
    if not limit:
        raise StorageError(
            errno.ENOSPC, f"{free:,} bytes are free, too little to test the disk with: make room", str(folder)
        )
    try:
        with _scratch_file(folder) as file:
            samples = _write(file, seconds, limit, progress or (lambda _: None))
            return judge_disk(samples, direct=file.direct)
    except StorageError:
        raise
    except OSError as exc:
        raise StorageError(exc.errno, f"the disk failed in the test ({exc.strerror}): check it", str(folder)) from exc


def measure_copy(shape: tuple[int, ...], dtype: np.dtype[Any]) -> float:
    """Return how long it takes to copy a frame and its columns into a ring in shared memory, seconds.

    Parameters
    ----------
    shape
        ``(Y, X)``, pixels, or ``(Y, X, 3)``.
    dtype
        Of the pixels.

    Raises
    ------
    StorageError
        There is not enough memory or shared memory for two frames.
    """
    # Many, not one that the processor's cache holds: a popped frame comes from the core's buffer, which is large.
    frames = np.ones((max(1, _COPY_SOURCE_BYTES // (math.prod(shape) * dtype.itemsize)), *shape), dtype)
    if len(shape) > 2:
        frames = frames[..., ::-1]  # the core has blue first
    ring = Ring.create(min(_COPY_RING_BYTES, default_buffer_bytes()))
    try:
        layout = plan_blocks(shape, dtype, ring.usable_bytes, GROW_FRAMES)
        ring.lay_out(layout)
        ring.reserve()
        count = min(layout.frames, _COPY_FRAMES)
        times: list[float] = []
        begun = start = time.perf_counter()
        while start - begun < _COPY_S:
            _copy(frames, ring, count)
            end = time.perf_counter()
            times.append((end - start) / count)
            start = end
        return float(np.median(times))
    finally:
        ring.close()


def _copy(frames: np.ndarray[Any, Any], ring: Ring, count: int) -> None:
    values, different = (0, 0, 0, 0), len(frames)
    for index in range(count):
        ring.put_frame(index, frames[index % different], values)


@contextlib.contextmanager
def _scratch_file(folder: Path) -> Iterator[DirectFile]:
    """Yield an empty file, which loses its name at once: nothing stays of it even if this process is killed.

    Windows keeps the names of open files: there a killed test leaves its file to the next one's `_remove_leftovers`.
    """
    target = OutputPath(folder / f"{SCRATCH_PREFIX}{os.getpid()}-{secrets.token_hex(4)}", overwrite=False)
    try:
        file = DirectFile(target.path)
        try:
            with contextlib.suppress(PermissionError):  # on Windows
                target.path.unlink()
            yield file
        finally:
            file.close()
    finally:
        target.release(remove=True)


def _remove_leftovers(folder: Path) -> None:
    """Remove the scratch files of tests that were killed; Windows refuses that of one that runs."""
    for path in folder.glob(f"{SCRATCH_PREFIX}*"):
        with contextlib.suppress(OSError):
            path.unlink()


def _write(file: DirectFile, seconds: float, limit: int, progress: Progress) -> list[Sample]:
    """Write for ``seconds`` and up to ``limit`` bytes; return how each stretch went."""
    samples: list[Sample] = []
    spent, size, blocks = 0.0, 0, 1
    with _random_blocks() as data:
        while spent < seconds and size < limit:
            stop = min(limit, size + blocks * _BLOCK_BYTES)
            samples.append(_write_stretch(file, data, size, stop, limit))
            size, spent = stop, spent + samples[-1].seconds
            blocks = min(
                2 * blocks, max(1, round(samples[-1].size_bytes / samples[-1].seconds * _STRETCH_S / _BLOCK_BYTES))
            )
            progress(max(spent / seconds, size / limit))
    return samples


def _write_stretch(file: DirectFile, data: memoryview, start: int, stop: int, limit: int) -> Sample:
    begun = before = time.perf_counter()
    slowest = 0.0
    for offset in range(start, stop, _BLOCK_BYTES):
        if offset % _AHEAD_BYTES == 0:
            file.reserve(offset, min(_AHEAD_BYTES, limit - offset))
        at = offset % len(data)
        file.write_block(data[at : at + _BLOCK_BYTES], offset)
        slowest, before = max(slowest, time.perf_counter() - before), time.perf_counter()
    file.sync()
    end = time.perf_counter()
    return Sample(size_bytes=stop - start, seconds=end - begun, slowest_s=max(slowest, end - before))


@contextlib.contextmanager
def _random_blocks() -> Iterator[memoryview]:
    """Yield blocks of random bytes that begin on a page, as direct I/O wants them."""
    with private_memory(_BLOCKS * _BLOCK_BYTES) as memory, memoryview(memory) as view:
        view[:] = np.random.default_rng().bytes(len(view))
        yield view
