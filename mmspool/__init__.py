"""mmspool: a camera under Micro-Manager, spooled to one HDF5 file, with every lost frame counted."""

import importlib
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

if not (Path(__file__).parent / "driver").is_dir():
    # A checkout keeps the layers beside this package, where the installed package has them inside.
    __path__.append(str(Path(__file__).parent.parent))

from . import errors
from ._version import __version__
from .errors import *  # noqa: F403

if TYPE_CHECKING:
    from .adapters import Faults, MockCore, Roi, SteppedClock, frame_index, frame_metadata
    from .driver import (
        Camera,
        EndReason,
        MDASink,
        MDASpooling,
        Property,
        RecordResult,
        RecordStats,
        RunningRecording,
        record_cameras,
        spool_mda,
    )
    from .exporting import export
    from .live_window import live
    from .persistence import (
        CameraSet,
        Column,
        DetectorInfo,
        Loss,
        Recording,
        RepairReport,
        SpoolResult,
        SpoolStats,
        VerifyReport,
        compress,
        expected_places,
        frames_by_place,
        join,
        open,
        repair,
        verify,
    )
    from .reporting import report
    from .spool import Spool
    from .viewing import view
    from .watching import watch

__all__ = [
    "Camera",
    "CameraSet",
    "Column",
    "DetectorInfo",
    "EndReason",
    "Faults",
    "Loss",
    "MDASink",
    "MDASpooling",
    "MockCore",
    "Property",
    "RecordResult",
    "RecordStats",
    "Recording",
    "RepairReport",
    "Roi",
    "RunningRecording",
    "Spool",
    "SpoolResult",
    "SpoolStats",
    "SteppedClock",
    "VerifyReport",
    "__version__",
    "compress",
    "expected_places",
    "export",
    "frame_index",
    "frame_metadata",
    "frames_by_place",
    "join",
    "live",
    "open",
    "record_cameras",
    "repair",
    "report",
    "spool_mda",
    "verify",
    "view",
    "watch",
    *errors.__all__,
]

_LAYERS = {
    "adapters": ("Faults", "MockCore", "Roi", "SteppedClock", "frame_index", "frame_metadata"),
    "driver": (
        "Camera",
        "EndReason",
        "MDASink",
        "MDASpooling",
        "Property",
        "RecordResult",
        "RecordStats",
        "RunningRecording",
        "record_cameras",
        "spool_mda",
    ),
    "exporting": ("export",),
    "live_window": ("live",),
    "reporting": ("report",),
    "spool": ("Spool",),
    "viewing": ("view",),
    "watching": ("watch",),
}


def __getattr__(name: str) -> Any:
    """Import a public name when it is first used: reading a file needs neither cameras nor shared memory."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    layer = next((layer for layer, names in _LAYERS.items() if name in names), "persistence")
    value = globals()[name] = getattr(importlib.import_module(f".{layer}", __name__), name)
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})


if getattr(sys, "frozen", False) and "MMSPOOL_WRITER" in os.environ:
    # An application with a frozen interpreter can only start itself: this is the one that a spool started to write.
    importlib.import_module(".persistence.writer_process.main", __name__).main()
    sys.exit()
