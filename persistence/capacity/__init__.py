"""What this machine can record: its disk's rate, the copy into shared memory, and the rings that it has memory for."""

from ..shared_ring.buffer_size import available, default_buffer_bytes
from .checkup import Finding, examine_folder, examine_memory, examine_system
from .disk_rate import DiskRate
from .probes import check_folder, measure_copy, measure_disk
from .sizing import file_bytes, initial_allocation_bytes, ring_bytes, ring_frames

__all__ = [
    "DiskRate",
    "Finding",
    "available",
    "check_folder",
    "default_buffer_bytes",
    "examine_folder",
    "examine_memory",
    "examine_system",
    "file_bytes",
    "initial_allocation_bytes",
    "measure_copy",
    "measure_disk",
    "ring_bytes",
    "ring_frames",
]
