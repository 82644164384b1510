"""Frames to one HDF5 file: any 2-D arrays, no camera needed."""

import importlib
from typing import TYPE_CHECKING, Any

from .camera_clock import CameraClock
from .camera_set import CameraSet, camera_name, member_paths, open, write_master
from .columns import MAX_COLUMNS, Column, is_column_name
from .compress import CompressReport, compress
from .detector_info import DetectorInfo
from .hdf5_file.codec import Compression
from .hdf5_file.output_path import check_output_path
from .joined import join
from .losses import Loss
from .options import OnFull, SpoolKeywords, SpoolOptions, refuse_unknown_options
from .places import expected_places, frames_by_place
from .plan import Plan, PlanLike
from .reader import Recording
from .repair import RepairReport, repair
from .results import SpoolResult, SpoolStats, describe_end
from .verify import VerifyReport, verify

if TYPE_CHECKING:
    from .shared_ring.memory import buffer_bytes_for
    from .spool import Spool

__all__ = [
    "MAX_COLUMNS",
    "CameraClock",
    "CameraSet",
    "Column",
    "CompressReport",
    "Compression",
    "DetectorInfo",
    "Loss",
    "OnFull",
    "Plan",
    "PlanLike",
    "Recording",
    "RepairReport",
    "Spool",
    "SpoolKeywords",
    "SpoolOptions",
    "SpoolResult",
    "SpoolStats",
    "VerifyReport",
    "buffer_bytes_for",
    "camera_name",
    "check_output_path",
    "compress",
    "describe_end",
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

_WRITING = {"Spool": ".spool", "buffer_bytes_for": ".shared_ring.memory"}


def __getattr__(name: str) -> Any:
    """Import what records when it is first used: reading a file needs neither shared memory nor processes."""
    if name not in _WRITING:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = globals()[name] = getattr(importlib.import_module(_WRITING[name], __name__), name)
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
