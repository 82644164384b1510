"""A recording as a dask array or an xarray.DataArray: nothing is read before it is computed."""

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from ..hdf5_file.nexus_schema import CHANNELS

if TYPE_CHECKING:
    from .frame_array import FrameArray
    from .reader import Recording

_PIECE_BYTES = 64 << 20  # of a dask array: large enough that a task's fixed cost vanishes, small enough for any worker
_PLOT = "/entry/data"


def to_dask(recording: "FrameArray", chunks: Any = None) -> Any:
    """Return a dask array over a recording; see `FrameArray.to_dask`."""
    array = _load("dask.array", "to_dask", "dask[array]")
    base = _load("dask.base", "to_dask", "dask[array]")
    if chunks is None:
        step, *frame = recording.chunks
        piece_bytes = math.prod(recording.chunks) * recording.itemsize
        chunks = (step * max(1, _PIECE_BYTES // piece_bytes), *frame)
    return array.from_array(
        recording,
        chunks=chunks,
        name=f"mmspool-{base.tokenize(recording, chunks)}",
        lock=False,
        meta=np.empty((0,) * recording.ndim, recording.dtype),
    )


def to_xarray(recording: "Recording", chunks: Any = None) -> Any:
    """Return an `xarray.DataArray` over a recording; see `Recording.to_xarray`."""
    xarray = _load("xarray", "to_xarray", "dask[array] xarray")
    coordinates = {}
    for name in ("time", "y", "x"):
        values = recording.frame_table()["time"] if name == "time" else recording.file[f"{_PLOT}/{name}"][:]
        attributes = recording.file[f"{_PLOT}/{name}"].attrs
        texts = {key: _text(attributes[key]) for key in ("units", "long_name")}
        coordinates[name] = (name, values, texts)
    if recording.ndim > len(coordinates):
        coordinates["channel"] = ("channel", list(CHANNELS), {})
    table = recording.frame_table()
    for name, column in recording.columns.items():
        free = f"frame_{name}" if name in coordinates else name  # a colour frame has an axis of channels
        coordinates[free] = ("time", table[name], {"units": column.units} if column.units else {})
    facts = {"state": recording.state, "end_reason": recording.end_reason, "frames_lost": recording.frames_lost}
    return xarray.DataArray(
        to_dask(recording, chunks),
        dims=("time", "y", "x", "channel")[: recording.ndim],
        coords=coordinates,
        name=recording.path.stem,
        attrs={"units": "counts", "long_name": "camera frames", **facts},
    )


def _load(module: str, purpose: str, install: str) -> Any:
    from ...packages import require  # not in every writer process

    return require(module, purpose, install=install)


def _text(value: Any) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)
