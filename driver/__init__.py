"""Controlling a camera and recording it."""

from .camera import Camera
from .properties import Properties, Property
from .recording import RunningRecording
from .result import EndReason, RecordResult, RecordStats

__all__ = ["Camera", "EndReason", "Properties", "Property", "RecordResult", "RecordStats", "RunningRecording"]
