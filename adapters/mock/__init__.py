"""A simulated Micro-Manager core with one sCMOS camera."""

from .camera import frame_index
from .clock import Clock, SteppedClock
from .core import MockCore, MockKeywords
from .faults import Faults

__all__ = ["Clock", "Faults", "MockCore", "MockKeywords", "SteppedClock", "frame_index"]
