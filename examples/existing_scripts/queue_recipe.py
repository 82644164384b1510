"""The recipe that many scripts have: frames go through a Queue to a process, which writes them with h5py."""

import multiprocessing
import sys
import time

import h5py
import numpy as np


def write(queue, path, shape):
    """Write what comes out of the queue, until None comes."""
    with h5py.File(path, "w") as file:
        dset = file.create_dataset("data", (*shape, 0), "u2", maxshape=(*shape, None), chunks=True)
        while (img := queue.get()) is not None:
            dset.resize(dset.shape[2] + 1, axis=2)
            dset[:, :, -1] = img


if __name__ == "__main__":
    frames, side = int(sys.argv[1]), int(sys.argv[2])
    images = np.random.default_rng(0).integers(0, 4000, (8, side, side), "u2")
    start, queue = time.monotonic(), multiprocessing.Queue()
    process = multiprocessing.Process(target=write, args=(queue, "recipe.h5", (side, side)))
    process.start()
    for img in [*(images[i % 8] for i in range(frames)), None]:
        queue.put(img)
    process.join()
    print(f"{frames / (time.monotonic() - start):.1f} frames/s")
