"""OME-Zarr (OME-NGFF 0.5), by ome-writers."""

import contextlib
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import ExportError
from ..packages import require
from .job import Job
from .layout import Layout

_DTYPES = ("int8", "int16", "int32", "uint8", "uint16", "uint32", "float32", "float64")
_SHARD_BYTES = 256 << 20  # of pixels in a file: few files, and one fits in memory


def write_ome_zarr(job: Job, path: Path) -> None:
    """Write OME-Zarr: one chunk a frame, many chunks a file; scale, units, and the time of each plane."""
    ome_writers = require("ome_writers", "exporting OME-Zarr", install="ome-writers[tensorstore]")
    require("tensorstore", "exporting OME-Zarr", install="ome-writers[tensorstore]")
    frames, height, width, *channels = job.window.shape
    dtype = job.window.dtype
    if dtype.name not in _DTYPES:
        raise ExportError(f"OME-Zarr is written with pixels of {', '.join(_DTYPES)}, not {dtype}: export to .npy")
    if not path.name.endswith(".ome.zarr"):
        raise ExportError(f"{path.name} must end in .ome.zarr, so that other programs know what it is")
    frame_bytes = height * width * dtype.itemsize
    step_y, step_x = job.pixel_um or (None, None)
    unit = "micrometer" if job.pixel_um is not None else None
    interval = job.interval_s
    if job.layout is not None:
        _write_arranged(ome_writers, job, job.layout, path)
        return
    dimensions = [
        ome_writers.Dimension(
            name="t",
            count=frames,
            type="time",
            chunk_size=1,
            shard_size_chunks=_shard_frames(frames, frame_bytes),
            unit="second" if interval is not None else None,
            scale=interval,
        ),
        *(ome_writers.Dimension(name="c", count=count, type="channel", chunk_size=1) for count in channels),
        ome_writers.Dimension(name="y", count=height, type="space", chunk_size=height, unit=unit, scale=step_y),
        ome_writers.Dimension(name="x", count=width, type="space", chunk_size=width, unit=unit, scale=step_x),
    ]
    times = job.times_s
    with _stream(ome_writers, job, path, dimensions) as stream:
        for frame, time_s in zip(job.counted(), times, strict=True):
            for plane in np.moveaxis(frame, -1, 0) if channels else (frame,):
                stream.append(np.ascontiguousarray(plane), frame_metadata=_time_of(time_s))


def _write_arranged(ome_writers: Any, job: Job, layout: Layout, path: Path) -> None:
    """Write the axes T, C, Z, and an image for each position."""
    positions, times, _, planes = layout.frames.shape
    _, height, width = job.window.shape
    step_y, step_x = job.pixel_um or (None, None)
    unit = "micrometer" if job.pixel_um is not None else None
    named = [
        ome_writers.Position(
            name=name, **({"x_coord": x_um, "y_coord": y_um} if np.isfinite((x_um, y_um)).all() else {})
        )
        for name, (x_um, y_um) in zip(layout.positions, layout.stage_um.tolist(), strict=True)
    ]
    of_z = {"unit": "micrometer", "scale": abs(layout.z_step_um)} if layout.z_step_um is not None else {}
    dimension = ome_writers.Dimension
    dimensions = [
        *([dimension(name="p", type="position", coords=named)] if positions > 1 else []),
        dimension(name="t", count=times, type="time", chunk_size=1),
        dimension(name="c", type="channel", chunk_size=1, coords=layout.channels),
        dimension(name="z", count=planes, type="space", chunk_size=1, **of_z),
        dimension(name="y", count=height, type="space", chunk_size=height, unit=unit, scale=step_y),
        dimension(name="x", count=width, type="space", chunk_size=width, unit=unit, scale=step_x),
    ]
    with _stream(ome_writers, job, path, dimensions) as stream:
        for position in range(positions):
            at_s = job.plane_times_s(layout.order(position))
            for plane, time_s in zip(job.planes_of(layout, position), at_s, strict=True):
                stream.append(plane, frame_metadata=_time_of(time_s))


@contextlib.contextmanager
def _stream(ome_writers: Any, job: Job, path: Path, dimensions: list[Any]) -> Iterator[Any]:
    """Yield what takes the planes in order; at its end it gets what is known beyond the scales."""
    settings = ome_writers.AcquisitionSettings(
        root_path=str(path),
        dimensions=dimensions,
        dtype=job.window.dtype.name,
        format={"name": "ome-zarr", "backend": "tensorstore"},
        compression="blosc-zstd" if job.compress else None,
    )
    with ome_writers.create_stream(settings) as stream:
        yield stream
        stream.set_global_metadata("mmspool", {"start_time": job.calibration.start_time, **job.facts()})


def _time_of(time_s: float) -> dict[str, float] | None:
    return {"delta_t": float(time_s)} if np.isfinite(time_s) else None


def _shard_frames(frames: int, frame_bytes: int) -> int:
    return max(1, min(frames, math.ceil(_SHARD_BYTES / frame_bytes)))
