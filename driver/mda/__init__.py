"""Recording what pymmcore-plus acquires; nothing here imports it."""

from .spooling import MDASpooling, spool_mda

__all__ = ["MDASpooling", "spool_mda"]
