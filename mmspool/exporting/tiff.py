"""OME-TIFF, and multi-page TIFF as ImageJ reads it."""

import math
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ..errors import ExportError
from ..packages import require
from .job import Job
from .layout import Layout

_OME_DTYPES = ("bool", "int8", "int16", "int32", "uint8", "uint16", "uint32", "float32", "float64")
_IMAGEJ_DTYPES = ("uint8", "uint16", "float32")
_CLASSIC_BYTES = (4 << 30) - (64 << 20)  # 32-bit offsets, less what the tags and the metadata may take


def write_ome_tiff(job: Job, path: Path) -> None:
    """Write OME-TIFF: pixel size, time of each plane, exposure, settings; one file, BigTIFF where it must be."""
    tifffile = require("tifffile", "exporting OME-TIFF")
    if job.window.dtype.name not in _OME_DTYPES:
        raise ExportError(
            f"OME-TIFF has no pixels of {job.window.dtype}, only {', '.join(_OME_DTYPES)}: export to .npy"
        )
    metadata: dict[str, Any] = {
        "axes": _axes(job),
        "Name": job.calibration.name,
        "AcquisitionDate": job.calibration.start_time,
        "Channel": {"Name": [job.calibration.camera or "camera"]},
        "Plane": _plane_facts(job, job.times_s),
        "MapAnnotation": job.facts(),
    }
    if job.calibration.bit_depth and job.window.dtype == job.window.source_dtype:
        metadata["SignificantBits"] = job.calibration.bit_depth
    if job.pixel_um is not None:
        for axis, size in zip("YX", job.pixel_um, strict=True):
            metadata[f"PhysicalSize{axis}"], metadata[f"PhysicalSize{axis}Unit"] = size, "µm"
    if job.layout is not None:
        _write_arranged(tifffile, job, job.layout, path, metadata)
        return
    if job.interval_s is not None:
        metadata["TimeIncrement"], metadata["TimeIncrementUnit"] = job.interval_s, "s"
    _write(tifffile, job, path, metadata, ome=True)


def _write_arranged(tifffile: Any, job: Job, layout: Layout, path: Path, metadata: dict[str, Any]) -> None:
    """Write an image for each position, with the axes T, C, Z."""
    positions, *planes = layout.frames.shape
    pages = layout.frames.size * (math.prod(job.window.shape[1:]) * job.window.dtype.itemsize + 512)
    with tifffile.TiffWriter(path, bigtiff=pages > _CLASSIC_BYTES, ome=True) as tiff:
        for position, (name, stage) in enumerate(zip(layout.positions, layout.stage_um, strict=True)):
            facts = metadata | {"axes": "TCZYX", "Channel": {"Name": layout.channels}}
            if positions > 1:
                facts["Name"] = f"{job.calibration.name} {name}"
            if layout.z_step_um is not None:
                facts["PhysicalSizeZ"], facts["PhysicalSizeZUnit"] = abs(layout.z_step_um), "µm"
            facts["Plane"] = _plane_facts(job, job.plane_times_s(layout.order(position)))
            if facts["Plane"] and np.isfinite(stage).all():
                for axis, place in zip("XY", stage.tolist(), strict=True):
                    facts["Plane"][f"Position{axis}"] = [place] * math.prod(planes)
                    facts["Plane"][f"Position{axis}Unit"] = ["µm"] * math.prod(planes)
            tiff.write(
                job.planes_of(layout, position),
                shape=(*planes, *job.window.shape[1:]),
                dtype=job.window.dtype,
                photometric="minisblack",
                metadata=facts,
                software="mmspool",
                **_compression(job),
            )


def write_tiff(job: Job, path: Path) -> None:
    """Write multi-page TIFF: an ImageJ hyperstack where ImageJ can read it, plain pages otherwise."""
    tifffile = require("tifffile", "exporting TIFF")
    if job.window.dtype.name not in _imagej_dtypes(job) or _image_bytes(job) > _CLASSIC_BYTES or job.compress:
        metadata: dict[str, Any] | None = {"axes": _axes(job)}
        _write(tifffile, job, path, metadata, ome=False)
        return
    metadata = {"axes": _axes(job), "Info": "\n".join(f"{name} = {value}" for name, value in job.facts().items())}
    if job.interval_s is not None:
        metadata["finterval"], metadata["fps"] = job.interval_s, 1 / job.interval_s
    if job.pixel_um is not None:
        metadata["unit"] = "um"
    _write(tifffile, job, path, metadata, imagej=True)


def _write(tifffile: Any, job: Job, path: Path, metadata: dict[str, Any] | None, **kind: bool) -> None:
    options = _compression(job)
    if job.pixel_um is not None and not kind.get("ome"):
        options["resolution"] = (1 / job.pixel_um[1], 1 / job.pixel_um[0])
    with tifffile.TiffWriter(path, bigtiff=_image_bytes(job) > _CLASSIC_BYTES, **kind) as tiff:
        tiff.write(
            job.counted(),
            shape=job.window.shape,
            dtype=job.window.dtype,
            photometric="rgb" if job.window.channels else "minisblack",
            metadata=metadata,
            software="mmspool",
            **options,
        )


def _compression(job: Job) -> dict[str, Any]:
    return {"compression": "zlib", "predictor": True} if job.compress else {}


def _axes(job: Job) -> str:
    return "TYXS" if job.window.channels else "TYX"


def _imagej_dtypes(job: Job) -> tuple[str, ...]:
    return _IMAGEJ_DTYPES[:1] if job.window.channels else _IMAGEJ_DTYPES


def _plane_facts(job: Job, times: npt.NDArray[np.float64]) -> dict[str, Any]:
    """Return what is known of each plane; a missing one has the time of the one before."""
    known = np.flatnonzero(np.isfinite(times))
    if len(known):
        times = times[known[np.maximum(np.searchsorted(known, np.arange(len(times)), "right") - 1, 0)]]
    if not np.isfinite(times).all():
        return {}
    count = len(times)
    planes: dict[str, Any] = {"DeltaT": times.tolist(), "DeltaTUnit": ["s"] * count}
    if job.calibration.exposure_s is not None:
        planes |= {"ExposureTime": [job.calibration.exposure_s] * count, "ExposureTimeUnit": ["s"] * count}
    return planes


def _image_bytes(job: Job) -> int:
    frames, *frame = job.window.shape
    return frames * (math.prod(frame) * job.window.dtype.itemsize + 512)  # a page's tags, and its metadata
