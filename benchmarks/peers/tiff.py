"""TIFF: tifffile, and NDTiff as pycromanager writes it."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from .base import Frame, Job, Peer, Put, Reader, load

_FILE = "frames.tif"
_FOLDER = "ndtiff"


@contextmanager
def _tifffile(folder: Path, _job: Job) -> Iterator[Put]:
    tifffile = load("tifffile")
    with tifffile.TiffWriter(folder / _FILE, bigtiff=True) as file:
        yield lambda frame: file.write(frame, contiguous=True, metadata=None, photometric="minisblack")


@contextmanager
def read_tifffile(folder: Path, job: Job, *, name: str = _FILE) -> Iterator[Reader]:
    """Open a TIFF as a memory map: its frames are contiguous."""
    tifffile = load("tifffile")
    with tifffile.TiffFile(folder / name) as file:
        stack = file.series[0].asarray(out="memmap").reshape(-1, *job.shape)
        yield Reader(len(stack), stack.__getitem__)


@contextmanager
def _ndtiff(folder: Path, _job: Job) -> Iterator[Put]:
    ndstorage = load("ndstorage")
    dataset = ndstorage.NDTiffDataset(str(folder), name=_FOLDER, summary_metadata={}, writable=True)
    index = 0

    def put(frame: Frame) -> None:
        nonlocal index
        dataset.put_image({"time": index}, frame, {})
        index += 1

    try:
        yield put
    finally:
        dataset.finish()
        dataset.close()


@contextmanager
def _read_ndtiff(folder: Path, _job: Job) -> Iterator[Reader]:
    ndstorage = load("ndstorage")
    (place,) = folder.glob(f"{_FOLDER}*")
    dataset = ndstorage.Dataset(str(place))
    try:
        yield Reader(len(dataset.get_image_coordinates_list()), lambda index: dataset.read_image(time=index))
    finally:
        dataset.close()


PEERS = (
    Peer(
        name="tifffile",
        how="`TiffWriter(bigtiff=True)`, `write(frame, contiguous=True)`: one series, no tags for the later frames.",
        open=_tifffile,
        read=read_tifffile,
        needs=("tifffile",),
    ),
    Peer(
        name="ndstorage (NDTiff)",
        how="`NDTiffDataset.put_image({'time': i}, frame, {})`, the format and library of pycromanager.",
        open=_ndtiff,
        read=_read_ndtiff,
        needs=("ndstorage",),
        refuses=lambda job: "" if job.dtype.name in ("uint8", "uint16") else f"NDTiff has no {job.dtype.name}",
    ),
)
