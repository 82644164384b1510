"""A Zarr view of a recording: a JSON file that says where in the HDF5 file each chunk lies; no pixel is copied."""

import base64
import json
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import numpy.typing as npt

from ..errors import ExportError
from .job import Job

_DATA = "/entry/instrument/detector/data"
_BLOSC, _SHUFFLE, _DEFLATE = 32001, 2, 1
_BLOSC_CODECS = ("blosclz", "lz4", "lz4hc", "snappy", "zlib", "zstd")
_GROUP = json.dumps({"zarr_format": 2})
_AXES = ("time", "y", "x", "channel")


def write_zarr_view(job: Job, path: Path) -> None:
    """Write the references in kerchunk's format, version 1: fsspec, zarr and xarray open it as a Zarr group.

    The recording's path is in it once, under ``templates``: change it there when the recording moves.

    Raises
    ------
    ExportError
        A part of the frames is selected that is no row of whole chunks, or some chunks of a compressed recording are
        not compressed, which Zarr cannot represent.
    """
    recording, window, selection = job.recording, job.window, job.window.selection
    if recording.is_joined:
        raise ExportError(f"{recording.path} shows other files' frames: make a Zarr view of each of those")
    data: h5py.Dataset = recording.file[_DATA]
    chunk = data.chunks[0]
    first, step = window.frames.start, window.frames.step
    if window.shape[1:] != data.shape[1:] or selection.projection or selection.bin > 1 or step > 1 or first % chunk:
        raise ExportError(
            "a Zarr view shows a recording's own bytes: it takes whole frames, in order, from a multiple of "
            f"{chunk:,} on; no crop, bin or projection"
        )
    job.progress(0, len(window.frames))
    refs: dict[str, Any] = {".zgroup": _GROUP, ".zattrs": json.dumps(job.facts())}
    refs |= _images(data, window.frames, chunk)
    refs |= _coordinate("time", job.times_s, {"units": "s"})
    for name, size, step_um in zip("yx", data.shape[1:3], job.pixel_um or (1.0, 1.0), strict=True):
        units = "um" if job.pixel_um is not None else "pixel"
        refs |= _coordinate(name, np.arange(size) * step_um, {"units": units})
    view = {"version": 1, "templates": {"u": str(recording.path.absolute())}, "refs": refs}
    path.write_text(json.dumps(view), encoding="utf-8")
    job.progress(len(window.frames), len(window.frames))


def _images(data: h5py.Dataset, frames: range, chunk: int) -> dict[str, Any]:
    first = frames.start // chunk
    refs: dict[str, Any] = {
        "data/.zarray": json.dumps(_array(data.dtype, (len(frames), *data.shape[1:]), data.chunks) | _codecs(data)),
        "data/.zattrs": json.dumps({"_ARRAY_DIMENSIONS": _AXES[: data.ndim]}),
    }
    skipped = 0

    def add(info: Any) -> None:
        nonlocal skipped
        if info.chunk_offset[0] not in frames:
            return
        skipped += info.filter_mask != 0
        key = ".".join(map(str, (info.chunk_offset[0] // chunk - first, *info.chunk_offset[1:])))
        refs[f"data/{key}"] = ["{{u}}", info.byte_offset, info.size]

    data.id.chunk_iter(add)
    if skipped:
        raise ExportError(
            f"{skipped:,} chunks of this compressed recording are stored as they are, which Zarr cannot represent: "
            "export to .ome.zarr instead"
        )
    return refs


def _codecs(data: h5py.Dataset) -> dict[str, Any]:
    """Return the filters of HDF5 in the words of numcodecs."""
    plist = data.id.get_create_plist()
    filters = {plist.get_filter(index)[0]: plist.get_filter(index)[2] for index in range(plist.get_nfilters())}
    if not filters:
        return {"compressor": None, "filters": None}
    if _BLOSC in filters:
        _, _, _, _, level, shuffle, codec = filters[_BLOSC]
        blosc = {"id": "blosc", "cname": _BLOSC_CODECS[codec], "clevel": level, "shuffle": shuffle, "blocksize": 0}
        return {"compressor": blosc, "filters": None}
    if set(filters) == {_SHUFFLE, _DEFLATE}:
        shuffle_bytes = {"id": "shuffle", "elementsize": data.dtype.itemsize}
        return {"compressor": {"id": "zlib", "level": filters[_DEFLATE][0]}, "filters": [shuffle_bytes]}
    raise ExportError(f"HDF5's filters {sorted(filters)} have no name in Zarr: export to .ome.zarr instead")


def _coordinate(name: str, values: npt.NDArray[Any], attributes: dict[str, str]) -> dict[str, Any]:
    values = np.ascontiguousarray(values)
    encoded = "base64:" + base64.b64encode(values.tobytes()).decode("ascii")
    array = _array(values.dtype, values.shape, values.shape) | {"compressor": None, "filters": None}
    return {
        f"{name}/.zarray": json.dumps(array),
        f"{name}/.zattrs": json.dumps({"_ARRAY_DIMENSIONS": [name], **attributes}),
        f"{name}/0": encoded,
    }


def _array(dtype: np.dtype[Any], shape: tuple[int, ...], chunks: tuple[int, ...]) -> dict[str, Any]:
    return {
        "zarr_format": 2,
        "shape": shape,
        "chunks": chunks,
        "dtype": dtype.str,
        "order": "C",
        "fill_value": None,
    }
