"""Numbered frames: what is read back shows which frame it is, and any wrong pixel."""

import math
from typing import Any

import numpy as np
import numpy.typing as npt

Pixels = npt.NDArray[Any]

SHAPE = (24, 32)
_PART_BYTES = 8 << 20


def stack(first: int, count: int, shape: tuple[int, ...] = SHAPE, dtype: npt.DTypeLike = "<u2") -> Pixels:
    """Return frames ``first`` to ``first + count``, ``(T, Y, X)`` or in colour ``(T, Y, X, 3)``.

    Value ``k`` of frame ``i`` is ``i + 3 k``, modulo 65,536: the first pixel is the frame's number, every pixel differs
    from that of the frames beside it, and no sector of a disk holds what another one does.
    """
    index = np.arange(first, first + count).astype(np.uint16)
    pixels = index[:, None] + (3 * np.arange(math.prod(shape))).astype(np.uint16)
    return pixels.astype(dtype, copy=False).reshape(count, *shape)


def frame(index: int, shape: tuple[int, ...] = SHAPE, dtype: npt.DTypeLike = "<u2") -> Pixels:
    """Return frame ``index`` ``(Y, X)``."""
    return stack(index, 1, shape, dtype)[0]


def noise(index: int, shape: tuple[int, ...] = SHAPE) -> npt.NDArray[np.uint16]:
    """Return frame ``index`` ``(Y, X)`` of pixels that no codec makes smaller."""
    return np.random.default_rng(index).integers(0, 2**16, shape, np.uint16)


def check_frames(data: Any, count: int) -> None:
    """Compare every pixel of frames 0 to ``count`` of a dataset.

    Raises
    ------
    AssertionError
        Some differ; the message has their numbers.
    """
    shape = data.shape[1:]
    step = max(1, _PART_BYTES // max(1, data.dtype.itemsize * math.prod(shape)))
    for first in range(0, count, step):
        part = data[first : min(count, first + step)]
        right = part == stack(first, len(part), shape, data.dtype)
        if not right.all():
            wrong = np.flatnonzero(~right.reshape(len(right), -1).all(axis=1)) + first
            raise AssertionError(f"{len(wrong)} of {count} frames have wrong pixels: {wrong[:5]}")
