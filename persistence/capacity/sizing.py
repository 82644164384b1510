"""What frames of one shape and dtype need: of a ring, and of a disk."""

import math
from typing import Any

import numpy as np

from ..block_layout import GROW_FRAMES, PAGE, RECORD_BYTES, RING_HEADER_BYTES, BlockLayout, plan_blocks
from ..hdf5_file.nexus_schema import COLUMN_PATHS

_COLUMN_BYTES = 8  # a value of any column
_AMPLE_BYTES = 128 << 20  # from here on blocks of small frames grow no more
_AMPLE_FRAMES = 16


def ring_frames(shape: tuple[int, ...], dtype: np.dtype[Any], buffer_bytes: int) -> int:
    """Return how many frames a ring of ``buffer_bytes`` holds.

    Raises
    ------
    StorageError
        It cannot hold two, or a frame is larger than an HDF5 chunk can be.
    """
    return plan_blocks(shape, dtype, buffer_bytes - RING_HEADER_BYTES, GROW_FRAMES).frames


def ring_bytes(shape: tuple[int, ...], dtype: np.dtype[Any], frames: int) -> int:
    """Return the size of a ring that takes ``frames`` frames while the writer is stuck.

    It has two blocks more than those frames: the one that the writer is at, and one that was partly filled before.

    Raises
    ------
    StorageError
        A frame is larger than an HDF5 chunk can be.
    """
    wanted = frames * (math.prod(shape) * dtype.itemsize + RECORD_BYTES) + PAGE
    size = RING_HEADER_BYTES + max(_least_bytes(shape, dtype), wanted)
    while True:
        g = plan_blocks(shape, dtype, size - RING_HEADER_BYTES, GROW_FRAMES)
        missing = frames + 2 * g.frames_per_block - g.frames
        if missing <= 0:
            return size
        size += -(-missing // g.frames_per_block) * (g.block_stride + g.frames_per_block * RECORD_BYTES)


def file_bytes(shape: tuple[int, ...], dtype: np.dtype[Any]) -> float:
    """Return how much a file grows by with each frame: its pixels, the rounding of chunks to pages, its columns."""
    g = _usual_plan(shape, dtype)
    return g.block_stride / g.frames_per_block + len(COLUMN_PATHS) * _COLUMN_BYTES


def initial_allocation_bytes(shape: tuple[int, ...], dtype: np.dtype[Any]) -> float:
    """Return how much disk space a file allocates before its first frame."""
    return _usual_plan(shape, dtype).growth_frames * file_bytes(shape, dtype)


def _usual_plan(shape: tuple[int, ...], dtype: np.dtype[Any]) -> BlockLayout:
    """Return the layout of any ring that is not so small that blocks shrink."""
    return plan_blocks(shape, dtype, max(_AMPLE_BYTES, _least_bytes(shape, dtype)), GROW_FRAMES)


def _least_bytes(shape: tuple[int, ...], dtype: np.dtype[Any]) -> int:
    """Return ring bytes that hold two blocks, however large or small a frame is."""
    return _AMPLE_FRAMES * (math.prod(shape) * dtype.itemsize + RECORD_BYTES + PAGE)
