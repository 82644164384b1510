"""Micro-Manager cores as the driver sees them: one interface, its two backends, and a simulated core."""

from .colour import unpack_colours
from .connect import HeadlessKeywords, connect, headless, wrap
from .core_adapter import MAX_FRAMES, CoreAdapter, Frame, FramePath, Image, ImageFormat, Roi, owns_memory
from .java_bridge_adapter import JavaBridgeAdapter
from .mock import Faults, MockCore, MockKeywords, SteppedClock, frame_index
from .multi_camera import is_multi_camera, split_multi_camera
from .pco_stamp import STAMP_PIXELS, PcoStamp, read_pco_stamp
from .pycromanager_adapter import PymmcoreAdapter
from .python_core import DemoKeywords, demo, sequence_tester
from .tags import Counters, frame_metadata, timestamp_source

__all__ = [
    "MAX_FRAMES",
    "STAMP_PIXELS",
    "CoreAdapter",
    "Counters",
    "DemoKeywords",
    "Faults",
    "Frame",
    "FramePath",
    "HeadlessKeywords",
    "Image",
    "ImageFormat",
    "JavaBridgeAdapter",
    "MockCore",
    "MockKeywords",
    "PcoStamp",
    "PymmcoreAdapter",
    "Roi",
    "SteppedClock",
    "connect",
    "demo",
    "frame_index",
    "frame_metadata",
    "headless",
    "is_multi_camera",
    "owns_memory",
    "read_pco_stamp",
    "sequence_tester",
    "split_multi_camera",
    "timestamp_source",
    "unpack_colours",
    "wrap",
]
