"""Recording what pymmcore-plus acquires; nothing here imports it."""

from .sink import MDASink
from .spooling import MDASpooling, spool_mda

__all__ = ["MDASink", "MDASpooling", "spool_mda"]
