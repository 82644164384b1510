"""The same script with mmspool: the process, its function and the queue are gone, and two lines took their place."""

import sys
import time

import numpy as np

from mmspool import Spool  # added

frames, side = int(sys.argv[1]), int(sys.argv[2])
images = np.random.default_rng(0).integers(0, 4000, (8, side, side), "u2")
start = time.monotonic()
with Spool("spooled.h5") as spool:  # changed: in place of the queue and the process
    for i in range(frames):
        spool.put(images[i % 8])  # changed: in place of queue.put
print(f"{frames / (time.monotonic() - start):.1f} frames/s")
