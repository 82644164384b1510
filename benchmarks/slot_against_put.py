"""Frames that are filled in their place against frames that are put, in turns within one run.

``python benchmarks/slot_against_put.py [--rounds 5] [--folder /dev/shm]`` prints the processor time that a frame costs
the caller, microseconds, the median of the rounds. What fills the frame, such as a vendor's SDK, is not counted.
"""

import argparse
import statistics
import tempfile
import time
from pathlib import Path

import numpy as np

from mmspool import Spool

SHAPES = ((64, 64), (512, 512), (2048, 2048))
_BYTES = 1 << 30  # of frames a round, at most
_FRAMES = 20_000


def measure(path: Path, shape: tuple[int, int], *, slots: bool) -> float:
    """Return what a frame costs its caller, microseconds of processor time."""
    frame = np.zeros(shape, np.uint16)
    frames = min(_FRAMES, _BYTES // frame.nbytes)
    with Spool(path, shape=shape, dtype=frame.dtype, buffer_bytes=512 << 20, overwrite=True) as spool:
        began = time.thread_time()
        for _ in range(frames):
            if slots:
                with spool.slot():
                    pass
            else:
                spool.put(frame)
        took = time.thread_time() - began
    path.unlink()
    return took / frames * 1e6


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--folder", type=Path, default=Path(tempfile.gettempdir()))
    options = parser.parse_args()
    path = options.folder / "slot-against-put.h5"
    print("shape          put        slot   (us a frame)")
    for shape in SHAPES:
        rounds = [[measure(path, shape, slots=slots) for slots in (False, True)] for _ in range(options.rounds)]
        put, slot = (statistics.median(each) for each in zip(*rounds, strict=True))
        print(f"{shape[0]:>4}x{shape[1]:<4} {put:10.1f} {slot:10.1f}")


if __name__ == "__main__":
    main()
