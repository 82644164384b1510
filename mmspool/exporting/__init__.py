"""Recordings in other formats: OME-TIFF, OME-Zarr, TIFF, NumPy, text, and a Zarr view of the same bytes.

::

    import mmspool

    mmspool.export("run.h5", "run.ome.tiff", frames=slice(0, 1000), bin=2)
"""

import contextlib
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np

from ..adapters import Roi
from ..calibration import Calibration
from ..errors import ExportError, MmspoolError, SelectionError
from ..parallel import project
from ..persistence import Recording
from ..persistence.system.os_file import replace_file
from ..selection import BinMethod, ProgressCallback, Projection, Selection
from .job import Job
from .layout import layout_of
from .numpy_file import write_npy
from .ome_zarr import write_ome_zarr
from .text import write_csv, write_text
from .tiff import write_ome_tiff, write_tiff
from .zarr_view import write_zarr_view

__all__ = ["ExportResult", "Format", "export", "format_of"]

Format = Literal["ome-tiff", "ome-zarr", "tiff", "npy", "csv", "text", "zarr-view"]

_ENDINGS: dict[str, Format] = {
    ".ome.tif": "ome-tiff",
    ".ome.tiff": "ome-tiff",
    ".ome.zarr": "ome-zarr",
    ".zarr.json": "zarr-view",
    ".tif": "tiff",
    ".tiff": "tiff",
    ".npy": "npy",
    ".csv": "csv",
    ".txt": "text",
}
_WRITERS: dict[str, Callable[[Job, Path], None]] = {
    "ome-tiff": write_ome_tiff,
    "ome-zarr": write_ome_zarr,
    "tiff": write_tiff,
    "npy": write_npy,
    "csv": write_csv,
    "text": write_text,
    "zarr-view": write_zarr_view,
}


@dataclass(frozen=True, kw_only=True, slots=True)
class ExportResult:
    """What `export` wrote.

    Attributes
    ----------
    path, format
        The file or folder, and its format.
    shape, dtype
        Of the images in it, ``(T, Y, X)`` or ``(T, Y, X, 3)``.
    frames_used
        Frames of the recording that went into it.
    size_bytes
        What it takes on the disk.
    """

    path: Path
    format: Format
    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    frames_used: int
    size_bytes: int


def export(
    source: Recording | str | os.PathLike[str],
    target: str | os.PathLike[str],
    *,
    format: Format | None = None,
    frames: slice = slice(None),
    crop: Roi | None = None,
    bin: int = 1,
    bin_method: BinMethod = "mean",
    projection: Projection | None = None,
    group: int = 0,
    compress: bool = False,
    overwrite: bool = False,
    scheduler: str | None = None,
    progress: ProgressCallback | None = None,
) -> ExportResult:
    """Write a recording, or a part of it, in another format; pixel size, times and settings go with it.

    OME-TIFF and OME-Zarr of a whole recording have its channels, z and positions, if its plan or its columns name them
    (``channel`` or ``c``, ``z_um`` or ``z``, ``position`` or ``p``, ``x_um`` and ``y_um``).

    Parameters
    ----------
    source
        A recording, open or by its path.
    target
        The file to make; for OME-Zarr a folder. It appears under its name when it is whole.
    format
        By default it follows from the ending of ``target``: .ome.tiff, .ome.zarr, .tiff, .npy, .csv (times and the
        statistics of each frame), .txt (one image as numbers), .zarr.json (a Zarr view of the recording's own bytes).
    frames, crop, bin, bin_method, projection, group
        Which part, and what is made of it: see `mmspool.selection.Selection`.
    compress
        Compress without loss, where the format can: TIFF by deflate, Zarr by Blosc.
    overwrite
        Replace what is at ``target``.
    scheduler
        Address of a dask scheduler whose workers compute projections; they must see the file under the same path.
    progress
        Called with images written and images in all.

    Raises
    ------
    ExportError
        The format cannot hold it, or ``target`` exists. Nothing is left behind.
    MissingPackageError
        The format's package is not installed.
    RecordingError
        The recording cannot be read.
    SelectionError
        The selection makes no sense (also a `ValueError`).
    ClusterError
        No dask scheduler answers at ``scheduler``.
    """
    path = Path(target)
    chosen = format or format_of(path)
    if chosen not in get_args(Format):
        raise SelectionError(f"format is {chosen!r}, but must be one of {get_args(Format)}")
    selection = Selection(frames=frames, crop=crop, bin=bin, bin_method=bin_method, projection=projection, group=group)
    with contextlib.ExitStack() as stack:
        recording = source if isinstance(source, Recording) else stack.enter_context(Recording(source))
        window = selection.resolve(recording)
        job = Job(
            recording=recording,
            layout=layout_of(recording, window),
            window=window,
            calibration=Calibration.of(recording),
            images=project(recording, window, scheduler=scheduler),
            compress=compress,
            progress=progress or (lambda _done, _total: None),
        )
        with _replacing(path, overwrite=overwrite) as partial:
            _WRITERS[chosen](job, partial)
    return ExportResult(
        path=path,
        format=chosen,
        shape=window.shape,
        dtype=window.dtype,
        frames_used=len(window.frames),
        size_bytes=_size(path),
    )


def format_of(path: Path) -> Format:
    """Return the format that a name's ending stands for.

    Raises
    ------
    ExportError
        It stands for none.
    """
    for ending, found in _ENDINGS.items():
        if path.name.lower().endswith(ending):
            return found
    raise ExportError(f"{path} ends in none of {', '.join(_ENDINGS)}: use one of these, or choose the format=")


@contextlib.contextmanager
def _replacing(path: Path, *, overwrite: bool) -> Iterator[Path]:
    """Yield a name beside ``path`` that becomes it when the block succeeds, and is removed when it does not."""
    if path.exists() and not overwrite:
        raise ExportError(f"{path} exists: choose another name, or replace it with overwrite=True (--overwrite)")
    if not path.absolute().parent.is_dir():
        raise ExportError(f"{path.absolute().parent} is not a folder: create it first")
    folder = Path(tempfile.mkdtemp(prefix=f".{path.name}-", dir=path.absolute().parent))
    try:
        partial = folder / path.name
        try:
            yield partial
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path)
            replace_file(partial, path)
        except MmspoolError:
            raise
        except OSError as exc:
            raise ExportError(f"{path} cannot be written ({exc}): choose another place") from exc
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _size(path: Path) -> int:
    files = [path] if path.is_file() else [each for each in path.rglob("*") if each.is_file()]
    return sum(file.stat().st_size for file in files)
