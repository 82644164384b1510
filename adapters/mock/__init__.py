"""A simulated Micro-Manager core with one sCMOS camera."""

from .camera import frame_index
from .clock import Clock, SteppedClock
from .core import MockCore
from .faults import Faults

__all__ = ["Clock", "Faults", "MockCore", "SteppedClock", "frame_index"]
