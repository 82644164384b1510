"""Frames to one HDF5 file: any 2-D arrays, no camera needed."""

import importlib
from typing import TYPE_CHECKING, Any

from .camera_clock import CameraClock
from .columns import MAX_COLUMNS, Column, is_column_name
from .detector_info import DetectorInfo
from .hdf5_file.codec import Compression
from .losses import Loss, LossStage
from .options import SpoolKeywords, SpoolOptions, StorageKeywords, refuse_unknown_options
from .plan import Plan, PlanLike
from .reading.reader import Recording
from .repair import RepairReport, repair
from .results import SpoolResult, SpoolStats, describe_end
from .verify import VerifyReport, verify

if TYPE_CHECKING:
    from .compress_file import CompressReport, compress
    from .hdf5_file.output_path import check_output_path
    from .reading.camera_set import CameraSet, camera_name, member_paths, open, write_master
    from .reading.joined import join
    from .reading.places import expected_places, frames_by_place
    from .shared_ring.buffer_size import buffer_bytes_for
    from .spool import Spool
    from .system.new_file import discard_file

__all__ = [
    "MAX_COLUMNS",
    "CameraClock",
    "CameraSet",
    "Column",
    "CompressReport",
    "Compression",
    "DetectorInfo",
    "Loss",
    "LossStage",
    "Plan",
    "PlanLike",
    "Recording",
    "RepairReport",
    "Spool",
    "SpoolKeywords",
    "SpoolOptions",
    "SpoolResult",
    "SpoolStats",
    "StorageKeywords",
    "VerifyReport",
    "buffer_bytes_for",
    "camera_name",
    "check_output_path",
    "compress",
    "describe_end",
    "discard_file",
    "expected_places",
    "frames_by_place",
    "is_column_name",
    "join",
    "member_paths",
    "open",
    "refuse_unknown_options",
    "repair",
    "verify",
    "write_master",
]

_WHEN_USED = {
    ".compress_file": ("CompressReport", "compress"),
    ".hdf5_file.output_path": ("check_output_path",),
    ".reading.camera_set": ("CameraSet", "camera_name", "member_paths", "open", "write_master"),
    ".reading.joined": ("join",),
    ".reading.places": ("expected_places", "frames_by_place"),
    ".shared_ring.buffer_size": ("buffer_bytes_for",),
    ".spool": ("Spool",),
    ".system.new_file": ("discard_file",),
}


def __getattr__(name: str) -> Any:
    """Import a name when it is first used: reading a file needs no shared memory, and writing one no reader."""
    module = next((module for module, names in _WHEN_USED.items() if name in names), None)
    if module is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = globals()[name] = getattr(importlib.import_module(module, __name__), name)
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
