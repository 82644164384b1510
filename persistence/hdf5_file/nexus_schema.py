"""The structure of a recording's file, as it is made before the first frame; see docs/format.md for the why."""

import json
import math
from datetime import datetime
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from ..._version import __version__
from ..block_layout import PAGE, BlockLayout
from ..camera_clock import NAMES as CLOCK_NAMES
from ..detector_info import DetectorInfo
from ..losses import MAX_LOSSES, STAGES
from ..plan import Plan
from ..system.os_file import boot
from .checksum import ALGORITHM, NO_CHECKSUMS
from .codec import Codec
from .datasets import create_allocated, create_column, create_group, create_images, create_text
from .journal import HALF_BYTES
from .performance_log import FIELDS, empty_log
from .plan_schema import create_plan
from .user_columns import DETECTOR as DETECTOR
from .user_columns import create_user_columns

LEDGER = f"{DETECTOR}/ledger"
DATA = f"{DETECTOR}/data"
CAMERA_CLOCK = f"{DETECTOR}/camera/clock"
END_TIME = "/entry/end_time"
METADATA = "/entry/metadata/json"

GROUPS = (
    "/entry",
    "/entry/data",
    "/entry/instrument",
    DETECTOR,
    *(f"{DETECTOR}/{g}" for g in ("frames", "camera", "module")),
)
"""The groups that every recording has, beside the ledger."""

PLOT = ("/data", *(f"/entry/data/{name}" for name in ("data", "time", "y", "x")))
"""What viewers open."""

COLUMN_PATHS = {
    "sequence_number": f"{DETECTOR}/sequence_number",
    "time": "/entry/data/time",
    "start_time": f"{DETECTOR}/start_time",
    "image_number": f"{DETECTOR}/frames/image_number",
    "camera_frame_number": f"{DETECTOR}/frames/camera_frame_number",
    "camera_timestamp": f"{DETECTOR}/frames/camera_timestamp",
    "host_timestamp": f"{DETECTOR}/frames/host_timestamp",
    "checksum": f"{DETECTOR}/frames/checksum",
}
"""Where each per-frame column lies."""

COLUMN_FILLS = {name: np.array(-1, "<i8") for name in COLUMN_PATHS}
COLUMN_FILLS |= {
    "time": np.array(math.nan, "<f8"),
    "start_time": np.array(math.nan, "<f8"),
    "checksum": np.array(0, "<u8"),
}
"""What a column holds where no frame is; its dtype is the column's."""

CLOCK_STEP = "clock_step_ns"
"""How far the wall clock was set during the recording; the only counter that may be negative."""

COUNTERS = (
    "frames_written",
    "frames_durable",
    "frames_put",
    "frames_lost",
    "frames_raw",
    "writer_restarts",
    "writer_failed",
    CLOCK_STEP,
)
LOSS_COLUMNS = ("loss_before_frame", "loss_count", "loss_stage")
TIME_LABEL = np.array("time (s)", "S20")
TIME_LABELS = {"camera": "camera time (s)", "arrival": "arrival time (s)"}
"""What the time axis is called before a frame shows where its times come from, and after."""

# What NeXus' NXdetector allows; a camera's own word for its mode is in ``camera/info``.
_ACQUISITION_MODES = ("gated", "triggered", "summed", "event", "histogrammed", "decimated", "pulse counting")

CAMERAS = "mmspool_cameras"
"""The attribute of a master file that lists its cameras."""

CHANNELS = ("red", "green", "blue")
"""What the last axis of colour frames holds."""

_SPARE = "spare"
_SPARE_CHUNKS = 5000  # 2 ms and half a megabyte

STATE_BYTES = 16
REASON_BYTES = 512
TIME_BYTES = 40

HDF5_OPTIONS: dict[str, Any] = {
    "libver": ("v108", "v108"),
    "alignment_threshold": PAGE,
    "alignment_interval": PAGE,
    "meta_block_size": 1 << 20,
    "rdcc_nbytes": 0,
}
"""How HDF5 writes every recording."""


def create(
    file: h5py.File,
    path: Path,
    g: BlockLayout,
    info: DetectorInfo,
    metadata_json: str,
    start: datetime,
    *,
    checksums: bool,
    codec: Codec | None,
    plan: Plan | None = None,
) -> None:
    """Write everything a reader expects to find, before the first frame."""
    height, width, *colours = g.shape
    file.attrs.update(NX_class="NXroot", default="entry", creator="mmspool")
    file.attrs.update(file_name=_as_utf8(path.name), file_time=start.isoformat())
    _reserve_index_nodes(file, 1 + len(g.shape))
    entry = create_group(file, "entry", "NXentry", default="data")
    create_text(entry, "title", _as_utf8(path.stem))
    create_text(entry, "start_time", start.isoformat())
    create_allocated(entry, "end_time", np.array(b"", f"S{TIME_BYTES}"))
    create_text(entry, "program_name", "mmspool").attrs["version"] = __version__

    detector = create_group(create_group(entry, "instrument", "NXinstrument"), "detector", "NXdetector")
    create_group(detector, "frames", "NXcollection")
    axes = ["time", "y", "x", *(["channel"] if colours else [])]
    plot = create_group(entry, "data", "NXdata", signal="data", axes=axes)
    plot.attrs.update({f"{name}_indices": axis for axis, name in enumerate(axes)})
    for name, where in COLUMN_PATHS.items():
        create_column(file, where, COLUMN_FILLS[name])
    create_user_columns(file, g.columns)
    file[COLUMN_PATHS["checksum"]].attrs["algorithm"] = np.bytes_(ALGORITHM if checksums else NO_CHECKSUMS)
    file[COLUMN_PATHS["start_time"]].attrs.update(units="s", start=start.isoformat())
    file[COLUMN_PATHS["time"]].attrs.update(units="s", long_name=TIME_LABEL)
    for name in ("camera_timestamp", "host_timestamp"):
        file[COLUMN_PATHS[name]].attrs["units"] = "ns"
    data = create_images(detector, "data", 0, (g.frames_per_block, *g.shape), g.dtype, codec)
    data.attrs["compression"] = np.bytes_(f"{codec.name}: {codec.note}" if codec else "none")
    step_y, step_x = info.sample_pixel_um or (1.0, 1.0)
    data.attrs.update(units="counts", long_name="camera frames", target=DATA)
    # silx, which shows 16 bits too, asks the group where the dataset has nothing to say; h5web asks the dataset alone,
    # and takes the numbers of an rgba-image for 0 to 255.
    wide = colours and g.dtype.itemsize > 1
    (plot if wide else data).attrs["interpretation"] = "rgba-image" if colours else "image"
    if info.sample_pixel_um:  # else Fiji would take what is not known for micrometres
        data.attrs["element_size_um"] = np.array([1, step_y, step_x], np.float32)
    tags = [_axis("t", 8), _axis("y", 2), _axis("x", 2), *([_axis("c", 1)] if colours else [])]
    data.attrs["axistags"] = json.dumps({"axes": tags})
    _ledger(detector, g)  # with the journal, which is searched near the file's start: before text of any length
    _describe(detector, g, info)
    create_plan(file, plan)
    create_text(create_group(entry, "metadata", "NXcollection"), "json", metadata_json)

    plot["data"] = data
    units = "um" if info.sample_pixel_um else "pixel"
    for name, size, step in (("y", height, step_y), ("x", width, step_x)):
        plot.create_dataset(name, data=np.arange(size) * step).attrs.update(units=units, long_name=f"{name} ({units})")
    if colours:
        plot.create_dataset("channel", data=np.arange(len(CHANNELS))).attrs["long_name"] = ", ".join(CHANNELS)
        data.attrs["channels"] = list(CHANNELS)
    if wide:
        plot.attrs["default_slice"] = ["0", ".", ".", "0"]  # of the channels, a viewer shows one at a time
    for axis, name in enumerate(axes):
        plot[name].make_scale(name)  # by which netCDF and xarray find the axes
        data.dims[axis].attach_scale(plot[name])
    file["data"] = h5py.SoftLink(DATA)
    del file[_SPARE]


def _reserve_index_nodes(file: h5py.File, axes: int) -> None:
    """Reserve room for the first B-tree nodes in front of the frames.

    HDF5 makes a node when the one before is full, behind the frames so far; there it would keep a short recording from
    giving back the room before it, and NTFS would fill the gap in front of it with zeros (docs/decisions/0020). A
    dataset of tiny chunks, deleted at the end, leaves room for nodes of that size.
    """
    create_images(file, _SPARE, _SPARE_CHUNKS, (1,) * axes, np.dtype(np.int8))


def _describe(detector: h5py.Group, g: BlockLayout, info: DetectorInfo) -> None:
    """Write what is known of the detector, in NeXus' words and, whole, as JSON."""
    times = {"count_time": info.count_time_s, "frame_time": info.frame_time_s}
    for name, value in (times | {"detector_readout_time": info.readout_time_s}).items():
        detector.create_dataset(name, data=value).attrs["units"] = "s"
    if info.sensor_pixel_um:
        for name, value in zip(("y_pixel_size", "x_pixel_size"), info.sensor_pixel_um, strict=True):
            detector.create_dataset(name, data=value).attrs["units"] = "um"
    if info.bit_depth:
        detector["bit_depth_readout"] = info.bit_depth
        if g.dtype.kind in "iu":  # floats have no highest value
            detector["saturation_value"] = 2**info.bit_depth - 1
    for name, text in (
        ("gain_setting", info.gain),
        ("acquisition_mode", info.acquisition_mode if info.acquisition_mode in _ACQUISITION_MODES else ""),
        ("description", info.description),
        ("serial_number", info.serial_number),
        ("type", "sCMOS"),
        ("depends_on", "."),
    ):
        if text:
            create_text(detector, name, text)
    camera = create_group(detector, "camera", "NXcollection")
    create_text(camera, "info", info.to_json()).attrs["content"] = "JSON"
    create_allocated(camera, "clock", np.full(len(CLOCK_NAMES), math.nan))
    camera["clock"].attrs["names"] = list(CLOCK_NAMES)
    module = create_group(detector, "module", "NXdetector_module")
    module["data_origin"] = np.array(info.roi_origin)
    module["data_size"] = np.array(g.shape[:2])


def _ledger(detector: h5py.Group, g: BlockLayout) -> None:
    """Create the ledger: every value at its final size, so that it can be written in place."""
    ledger = create_group(detector, "ledger", "NXcollection")
    for name in COUNTERS:
        create_allocated(ledger, name, np.array(0, "<i8"))
    create_allocated(ledger, "state", np.array(b"recording", f"S{STATE_BYTES}"))
    create_allocated(ledger, "end_reason", np.array(b"", f"S{REASON_BYTES}"))
    for name in LOSS_COLUMNS:
        create_column(ledger.file, f"{LEDGER}/{name}", np.array(-1, "<i8"), MAX_LOSSES)
    ledger["loss_stage"].attrs["stages"] = list(STAGES)
    ledger.attrs["growth_frames"] = g.growth_frames
    ledger.attrs["boot"] = np.bytes_(boot())
    create_allocated(ledger, "journal", np.zeros(2 * HALF_BYTES, np.uint8))
    create_allocated(ledger, "performance", empty_log())
    ledger["performance"].attrs.update(columns=[name.encode() for name in FIELDS], ring_frames=g.frames)


def _as_utf8(name: str) -> str:
    """Return a file's name as HDF5 can store it: bytes that are no UTF-8 become escapes."""
    return name.encode("utf-8", "backslashreplace").decode()


def _axis(key: str, flags: int) -> dict[str, Any]:
    """Return one axis as vigra's axistags spell it (8: time, 2: space, 1: channels)."""
    return {"key": key, "typeFlags": flags, "resolution": 0, "description": ""}
