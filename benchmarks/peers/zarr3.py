"""Zarr version 3: zarr-python, tensorstore, acquire-zarr."""

from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

from .base import Frame, Job, Peer, Put, Reader, batches, load

_FOLDER = "frames.zarr"
_IN_FLIGHT = 16


@contextmanager
def _zarr(folder: Path, job: Job) -> Iterator[Put]:
    zarr = load("zarr")
    with zarr.config.set({"array.write_empty_chunks": True}):  # otherwise each chunk is searched for other values
        array = zarr.create_array(
            folder / _FOLDER,
            shape=(job.whole, *job.shape),
            dtype=job.dtype,
            chunks=(job.batch, *job.shape),
            compressors=None,
            filters=None,
        )

        def write(first: int, stack: Frame) -> None:
            array[first : first + len(stack)] = stack

        with batches(job, write) as put:
            yield put


@contextmanager
def _read_zarr(folder: Path, _job: Job) -> Iterator[Reader]:
    array = load("zarr").open_array(folder / _FOLDER, mode="r")
    yield Reader(array.shape[0], lambda index: array[index])


@contextmanager
def _tensorstore(folder: Path, job: Job, *, direct: bool) -> Iterator[Put]:
    ts = load("tensorstore")
    spec = {
        "driver": "zarr3",
        "kvstore": {"driver": "file", "path": str(folder / _FOLDER)},
        "context": {"file_io_sync": False, "file_io_mode": {"mode": "direct" if direct else "default"}},
        "metadata": {
            "shape": [job.whole, *job.shape],
            "chunk_grid": {"name": "regular", "configuration": {"chunk_shape": [job.batch, *job.shape]}},
            "data_type": job.dtype.name,
            "codecs": [{"name": "bytes", "configuration": {"endian": "little"}}],
        },
        "store_data_equal_to_fill_value": True,
    }
    array = ts.open(spec, create=True).result()
    under_way: deque[Any] = deque()

    def write(first: int, stack: Frame) -> None:
        source = stack if job.batch == 1 else stack.copy()  # the batch is filled again meanwhile
        under_way.append(array[first : first + len(stack)].write(source, can_reference_source_data_indefinitely=True))
        while len(under_way) > _IN_FLIGHT:
            under_way.popleft().result()

    with batches(job, write) as put:
        yield put
    while under_way:
        under_way.popleft().result()


@contextmanager
def _acquire(folder: Path, job: Job) -> Iterator[Put]:
    az = load("acquire_zarr")
    height, width = job.shape
    sizes = (("t", "TIME", 0, job.batch), ("y", "SPACE", height, height), ("x", "SPACE", width, width))
    dimensions = [
        az.Dimension(
            name=name,
            kind=getattr(az.DimensionType, kind),
            array_size_px=size,
            chunk_size_px=chunk,
            shard_size_chunks=1,
        )
        for name, kind, size, chunk in sizes
    ]
    settings = az.ArraySettings(dimensions=dimensions, data_type=getattr(az.DataType, job.dtype.name.upper()))
    stream = az.ZarrStream(az.StreamSettings(store_path=str(folder / _FOLDER), arrays=[settings], overwrite=True))
    try:
        yield stream.append
    finally:
        stream.close()


PEERS = (
    Peer(
        name="zarr-python",
        how="`create_array(chunks=(1, Y, X) or 8 MiB of frames, compressors=None)`, `write_empty_chunks` on, "
        "`array[i] = frame`.",
        open=_zarr,
        read=_read_zarr,
        needs=("zarr",),
    ),
    Peer(
        name="tensorstore",
        how="driver zarr3, chunk = frame or 8 MiB of frames, only the bytes codec, 16 asynchronous writes under way "
        "that refer to the frames, `file_io_sync` off (synced at the end, as everything).",
        open=partial(_tensorstore, direct=False),
        read=_read_zarr,
        needs=("tensorstore", "zarr"),
    ),
    Peer(
        name="tensorstore, direct I/O",
        how="the same with `file_io_mode` direct.",
        open=partial(_tensorstore, direct=True),
        read=_read_zarr,
        needs=("tensorstore", "zarr"),
    ),
    Peer(
        name="acquire-zarr",
        how="`ZarrStream.append`, chunk = frame or 8 MiB of frames, one chunk a shard, no compression.",
        open=_acquire,
        read=_read_zarr,
        needs=("acquire_zarr", "zarr"),
    ),
)
