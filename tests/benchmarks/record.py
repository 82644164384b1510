"""Record so many frames of a shape; the tests of counted work trace it.

Arguments: path, frames, height, width, and the seconds between two syncs.
"""

import sys
from pathlib import Path

import numpy as np

from mmspool import Spool


def main() -> None:
    """Record what the command line says."""
    path, *numbers, interval = sys.argv[1:]
    frames, height, width = map(int, numbers)
    image = np.random.default_rng(1).integers(0, 4096, (height, width), dtype=np.uint16)
    options = {"buffer_bytes": 256 << 20, "sync_interval_s": float(interval)}  # holds all: put never waits
    with Spool(path, shape=image.shape, dtype=image.dtype, **options) as spool:
        Path("first put").exists()  # for the log alone: what lies between the two is the work of `put`
        for _ in range(frames):
            spool.put(image)
        Path("last put").exists()


if __name__ == "__main__":
    main()
