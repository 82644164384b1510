"""Micro-Manager cores as the driver sees them: one protocol, its two backends, and a simulated core."""

from .connect import connect, demo, headless, sequence_tester, wrap
from .mock import MockCore
from .mock_faults import Faults, SteppedClock
from .mock_sensor import frame_index
from .protocol import MAX_FRAMES, CoreAdapter, Frame, Image, ImageFormat, Roi
from .pycro import JavaCore, PythonCore
from .tags import frame_metadata, timestamp_source

__all__ = [
    "MAX_FRAMES",
    "CoreAdapter",
    "Faults",
    "Frame",
    "Image",
    "ImageFormat",
    "JavaCore",
    "MockCore",
    "PythonCore",
    "Roi",
    "SteppedClock",
    "connect",
    "demo",
    "frame_index",
    "frame_metadata",
    "headless",
    "sequence_tester",
    "timestamp_source",
    "wrap",
]
