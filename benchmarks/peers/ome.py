"""ome-writers, with each of its backends."""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from .base import Job, Peer, Put, Reader, load
from .tiff import read_tifffile

_MODULES = {
    "tensorstore": ("tensorstore", "zarr"),
    "acquire-zarr": ("acquire_zarr", "zarr"),
    "zarr-python": ("zarr",),
    "zarrs-python": ("zarrs", "zarr"),
    "tifffile": ("tifffile",),
}

_HOW = "`create_stream(AcquisitionSettings(...)).append`, chunk = frame or 8 MiB of frames (Zarr)."
_OF_TIFF = " Its end waits 5 s for the thread that writes; what has not been written by then is missing."


@contextmanager
def _stream(folder: Path, job: Job, *, backend: str) -> Iterator[Put]:
    ome = load("ome_writers")
    height, width = job.shape
    chunks = {} if backend == "tifffile" else {"chunk_size": job.batch}
    settings = ome.AcquisitionSettings(
        root_path=str(folder / "frames"),
        dimensions=[
            ome.Dimension(name="t", count=job.whole, type="time", **chunks),
            ome.Dimension(name="y", count=height, type="space"),
            ome.Dimension(name="x", count=width, type="space"),
        ],
        dtype=job.dtype.name,
        format=backend,
    )
    with ome.create_stream(settings) as stream:
        yield stream.append


def _refused(job: Job, *, backend: str) -> str:
    return "its OME-TIFF has no float64" if backend == "tifffile" and job.dtype.name == "float64" else ""


@contextmanager
def _read_ome_zarr(folder: Path, _job: Job) -> Iterator[Reader]:
    array = load("zarr").open_array(folder / "frames.ome.zarr" / "0", mode="r")
    yield Reader(array.shape[0], lambda index: array[index])


PEERS = tuple(
    Peer(
        name=f"ome-writers, {backend}",
        how=_HOW + _OF_TIFF * (backend == "tifffile"),
        open=partial(_stream, backend=backend),
        read=partial(read_tifffile, name="frames.ome.tiff") if backend == "tifffile" else _read_ome_zarr,
        needs=("ome_writers", *modules),
        refuses=partial(_refused, backend=backend),
    )
    for backend, modules in _MODULES.items()
)
