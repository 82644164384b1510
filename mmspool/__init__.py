"""mmspool: a camera under Micro-Manager, spooled to one HDF5 file, with every lost frame counted."""

from pathlib import Path

if not (Path(__file__).parent / "driver").is_dir():
    # A checkout keeps the layers beside this package, where the installed package has them inside.
    __path__.append(str(Path(__file__).parent.parent))

from . import errors
from ._version import __version__
from .adapters import Faults, MockCore, Roi, SteppedClock, frame_index, frame_metadata
from .driver import Camera, EndReason, Property, RecordResult, RecordStats, RunningRecording
from .errors import *  # noqa: F403
from .persistence import DetectorInfo, Loss, Recording, Spool, SpoolResult, SpoolStats, open

__all__ = [
    "Camera",
    "DetectorInfo",
    "EndReason",
    "Faults",
    "Loss",
    "MockCore",
    "Property",
    "RecordResult",
    "RecordStats",
    "Recording",
    "Roi",
    "RunningRecording",
    "Spool",
    "SpoolResult",
    "SpoolStats",
    "SteppedClock",
    "__version__",
    "frame_index",
    "frame_metadata",
    "open",
    *errors.__all__,
]
