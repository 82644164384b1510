"""Controlling a camera and recording it."""

from .camera import Camera
from .cameras import CamerasResult, record_cameras
from .interrupts import StopOnInterrupt, end_recordings_on_signals
from .live import LiveFrame
from .mda import MDASink, MDASpooling, spool_mda
from .options import RecordingKeywords
from .process_fn import ProcessFn
from .properties import Properties, Property
from .recording_events import RecordingEvent
from .result import EndReason, RecordResult, RecordStats
from .running import RunningRecording
from .saved_settings import SettingsReport, load_settings
from .time_lapse import TimeLapseResult

__all__ = [
    "Camera",
    "CamerasResult",
    "EndReason",
    "LiveFrame",
    "MDASink",
    "MDASpooling",
    "ProcessFn",
    "Properties",
    "Property",
    "RecordResult",
    "RecordStats",
    "RecordingEvent",
    "RecordingKeywords",
    "RunningRecording",
    "SettingsReport",
    "StopOnInterrupt",
    "TimeLapseResult",
    "end_recordings_on_signals",
    "load_settings",
    "record_cameras",
    "spool_mda",
]
