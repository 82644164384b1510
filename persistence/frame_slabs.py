"""Reading frames, rows and columns out of the frames' dataset, each way as HDF5 does it fast."""

import math
from typing import Any

import h5py
import numpy as np
import numpy.typing as npt

Pixels = npt.NDArray[Any]

_BATCH_BYTES = 32 << 20  # of whole rows that are read for a window in them


def read_slab(data: h5py.Dataset, frames: range, rows: range, columns: range) -> Pixels:
    """Read frames, rows and columns, given as ranges of positive step, with all channels of their pixels.

    What HDF5 would read row by row, or with steps pixel by pixel, is cut out of whole rows of whole runs of frames.
    """
    (width, *channels), dtype = data.shape[2:], data.dtype
    scattered = len(rows) > 1 and (len(columns) < width or rows.step > 1 or columns.step > 1)
    keys = [slice(part.start, part.stop, part.step) if part else slice(0, 0) for part in (frames, rows, columns)]
    if not len(frames) or not len(columns) or (frames.step == 1 and not scattered):
        return data[tuple(keys)]  # type: ignore[no-any-return]  # h5py has no types
    if not scattered:
        return np.stack([data[(index, *keys[1:])] for index in frames])
    cut = np.empty((len(frames), len(rows), len(columns), *channels), dtype)
    band = slice(rows.start, rows[-1] + 1)
    band_bytes = (band.stop - band.start) * width * math.prod(channels) * dtype.itemsize
    run = max(1, _BATCH_BYTES // band_bytes) if frames.step == 1 else 1
    for first in range(0, len(frames), run):
        part = frames[first : first + run]
        read = data[part.start : part[-1] + 1, band]
        cut[first : first + run] = read[:, :: rows.step, keys[2]]
    return cut
