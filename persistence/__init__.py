"""Frames to one HDF5 file: any 2-D arrays, no camera needed."""

from .codec import Compression
from .info import DetectorInfo
from .losses import Loss
from .memory import buffer_bytes_for
from .recording import Recording, open
from .repair import RepairReport, repair
from .result import SpoolResult, SpoolStats
from .spool import Spool
from .verify import VerifyReport, verify

__all__ = [
    "Compression",
    "DetectorInfo",
    "Loss",
    "Recording",
    "RepairReport",
    "Spool",
    "SpoolResult",
    "SpoolStats",
    "VerifyReport",
    "buffer_bytes_for",
    "open",
    "repair",
    "verify",
]
