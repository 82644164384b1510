"""Controlling a camera and recording it."""

from .camera import Camera
from .mda import MDASink, MDASpooling, spool_mda
from .process_fn import ProcessFn
from .properties import Properties, Property
from .result import EndReason, RecordResult, RecordStats
from .running import RunningRecording

__all__ = [
    "Camera",
    "EndReason",
    "MDASink",
    "MDASpooling",
    "ProcessFn",
    "Properties",
    "Property",
    "RecordResult",
    "RecordStats",
    "RunningRecording",
    "spool_mda",
]
