"""Frames to one HDF5 file: any 2-D arrays, no camera needed."""

from .detector_info import DetectorInfo
from .hdf5_file.codec import Compression
from .losses import Loss
from .reader import Recording, open
from .repair import RepairReport, repair
from .results import SpoolResult, SpoolStats
from .shared_ring.memory import buffer_bytes_for
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
