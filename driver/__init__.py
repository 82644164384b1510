"""Controlling a camera and recording it."""

from .camera import Camera
from .properties import Properties, Property
from .result import EndReason, RecordResult, RecordStats
from .running import RunningRecording

__all__ = ["Camera", "EndReason", "Properties", "Property", "RecordResult", "RecordStats", "RunningRecording"]
