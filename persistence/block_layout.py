"""How frames of one shape and dtype are packed into blocks, in the ring and in the file.

A block is a run of whole frames and exactly one HDF5 chunk, ``(frames_per_block, Y, X)``. In the ring each block
starts on a page boundary, as its chunk does in the file, so one block is one aligned write.
"""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..errors import StorageError
from .columns import StoredColumn
from .losses import MAX_LOSSES

PAGE = 4096
"""Alignment that direct I/O needs, bytes: no device in use has larger logical blocks."""

COLUMNS = ("sequence_number", "image_number", "camera_frame_number", "camera_timestamp", "host_timestamp")
"""The per-frame columns that travel through the ring, int64 each, in this order."""

RECORD_BYTES = 8 * len(COLUMNS)
"""Of a frame's record in the ring, where the recording has no columns of the user's own."""

LOSS_FIELDS = 3
RING_HEADER_BYTES = PAGE + MAX_LOSSES * LOSS_FIELDS * 8
"""Of the ring's header: its counters and its ledger of losses."""

GROW_FRAMES = 100
"""By how many frames the dataset grows at a time, unless the user says otherwise."""

_BLOCK_BYTES = 8 << 20  # large enough that a write's fixed cost vanishes, small enough that a ring holds many
LEAST_COMPRESSED_BYTES = 48 << 10
"""Smaller frames are never compressed: they would share chunks, each written again and again as it fills."""

_MIN_BLOCKS = 2  # one is filled while the other is written
_MAX_FRAMES_PER_BLOCK = 1000  # bounds what a column write and the last, partly filled chunk cost with tiny frames
_MIN_GROWTH_BYTES = 32 << 20  # a growth costs about a millisecond: rarer than 100 times a second at any disk's rate
MAX_COMMIT_CHUNKS = 1000
"""Chunks that the structure grows by at once: their index entries, about 75 kB, fit in half of the journal."""

_MAX_CHUNK_BYTES = (1 << 32) - 1  # HDF5's own limit


def round_up(value: int, multiple: int) -> int:
    """Return the smallest multiple of ``multiple`` that is at least ``value``."""
    return -(-value // multiple) * multiple


@dataclass(frozen=True, kw_only=True, slots=True)
class BlockLayout:
    """Sizes that the producer, the ring, the writer and the file agree on.

    Attributes
    ----------
    shape
        ``(Y, X)`` of a frame, pixels, or ``(Y, X, 3)`` in colour.
    dtype
        Of a frame, byte order included.
    frames_per_block
        Frames in a block, which is one HDF5 chunk.
    blocks
        Blocks in the ring.
    growth_frames
        By how many frames the dataset grows at a time; a multiple of ``frames_per_block``.
    compressed
        Whether blocks, of one frame each then, are compressed in the file.
    expected_frames
        How many frames will come, if that is known.
    columns
        Of the user's own; their values follow those of `COLUMNS` in a frame's record.
    """

    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    frames_per_block: int
    blocks: int
    growth_frames: int
    compressed: bool = False
    expected_frames: int | None = None
    columns: tuple[StoredColumn, ...] = ()

    @property
    def expected_capacity(self) -> int | None:
        """Frames that fit in the blocks which the expected ones take, if their number is known."""
        return None if self.expected_frames is None else round_up(self.expected_frames, self.frames_per_block)

    @property
    def frame_bytes(self) -> int:
        """Size of a frame's pixels."""
        return math.prod(self.shape) * self.dtype.itemsize

    @property
    def block_bytes(self) -> int:
        """Size of a block's pixels, and of its chunk in the file."""
        return self.frames_per_block * self.frame_bytes

    @property
    def block_stride(self) -> int:
        """Distance of two blocks in the ring, whole pages."""
        return round_up(self.block_bytes, PAGE)

    @property
    def frames(self) -> int:
        """Frames the ring holds."""
        return self.blocks * self.frames_per_block

    @property
    def frame_strides(self) -> tuple[int, ...]:
        """Distance of two neighbours along each axis of a frame, bytes."""
        return tuple(math.prod(self.shape[axis + 1 :]) * self.dtype.itemsize for axis in range(len(self.shape)))

    @property
    def record_bytes(self) -> int:
        """Size of a frame's record in the ring."""
        return _record_bytes(self.columns)

    @property
    def columns_bytes(self) -> int:
        """Size of the ring's column records, whole pages."""
        return round_up(self.frames * self.record_bytes, PAGE)

    @property
    def ring_bytes(self) -> int:
        """Size of the records and blocks in the ring, without its header."""
        return self.columns_bytes + self.blocks * self.block_stride


def _record_bytes(columns: tuple[StoredColumn, ...]) -> int:
    return round_up(RECORD_BYTES + sum(column.dtype.itemsize for column in columns), 8)


def plan_blocks(
    shape: tuple[int, ...],
    dtype: np.dtype[Any],
    usable_bytes: int,
    grow_frames: int,
    *,
    compressed: bool = False,
    expected_frames: int | None = None,
    columns: tuple[StoredColumn, ...] = (),
) -> BlockLayout:
    """Choose the layout for frames of ``shape`` and ``dtype`` in a ring with ``usable_bytes`` for records and blocks.

    ``compressed`` frames have a block each, which is written once. No block has more than ``expected_frames``.

    Raises
    ------
    StorageError
        The ring cannot hold two frames, or a frame is larger than an HDF5 chunk can be.
    """
    frame_bytes = math.prod(shape) * dtype.itemsize
    most = min(_MAX_FRAMES_PER_BLOCK, expected_frames or _MAX_FRAMES_PER_BLOCK)
    grow_frames = min(grow_frames, expected_frames or grow_frames)
    if frame_bytes > _MAX_CHUNK_BYTES:
        raise StorageError(
            f"a frame of {'x'.join(map(str, shape))} {dtype.name} has {frame_bytes:,} bytes; HDF5 stores at most "
            f"{_MAX_CHUNK_BYTES:,} bytes in a chunk: record a smaller region"
        )
    record_bytes = _record_bytes(columns)
    fitting = 1 if compressed else min(_BLOCK_BYTES // frame_bytes, usable_bytes // 8 // (frame_bytes + record_bytes))
    frames_per_block = _common_step(min(max(1, fitting), most), grow_frames)
    per_block = round_up(frames_per_block * frame_bytes, PAGE) + frames_per_block * record_bytes
    blocks = (usable_bytes - PAGE) // per_block  # a page for rounding up the records
    if blocks < _MIN_BLOCKS:
        needed = _MIN_BLOCKS * per_block + PAGE
        raise StorageError(
            f"a ring with room for {max(0, usable_bytes):,} bytes cannot hold {_MIN_BLOCKS} frames of "
            f"{'x'.join(map(str, shape))} {dtype.name}, which take {needed:,} bytes: give a larger buffer_bytes"
        )
    step = max(frames_per_block, grow_frames)
    steps = min(
        math.ceil(_MIN_GROWTH_BYTES / (step * frame_bytes)), max(1, MAX_COMMIT_CHUNKS * frames_per_block // step)
    )
    return BlockLayout(
        shape=shape,
        dtype=dtype,
        frames_per_block=frames_per_block,
        blocks=blocks,
        growth_frames=step * steps,
        compressed=compressed,
        expected_frames=expected_frames,
        columns=columns,
    )


def _common_step(limit: int, grow_frames: int) -> int:
    """Return the largest number up to ``limit`` that divides ``grow_frames`` or is a multiple of it."""
    if limit >= grow_frames:
        return limit // grow_frames * grow_frames
    return next(step for step in range(limit, 0, -1) if grow_frames % step == 0)
