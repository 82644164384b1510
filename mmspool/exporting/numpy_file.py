"""NumPy's own file."""

from pathlib import Path

import numpy as np

from .job import Job


def write_npy(job: Job, path: Path) -> None:
    """Write ``.npy``: the pixels alone, shaped as in the file; `numpy.load` maps it with ``mmap_mode="r"``."""
    array = np.lib.format.open_memmap(path, mode="w+", dtype=job.window.dtype, shape=job.window.shape)
    for index, frame in enumerate(job.counted()):
        array[index] = frame
    array.flush()
