"""What frames need, against the geometry that a recording would have."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mmspool import Spool, StorageError
from mmspool.persistence.block_layout import GROW_FRAMES, RECORD_BYTES, RING_HEADER_BYTES, plan_blocks
from mmspool.persistence.capacity.sizing import file_bytes, initial_allocation_bytes, ring_bytes, ring_frames

SHAPES = st.tuples(st.integers(1, 4096), st.integers(1, 4096))
DTYPES = st.sampled_from([np.dtype(name) for name in ("u1", "u2", "f4", "f8")])


@given(shape=SHAPES, dtype=DTYPES, frames=st.integers(1, 10**6))
def test_ring_carries_the_frames(shape, dtype, frames):
    """Beside the frames it has a block that is written and one that was partly filled, and is hardly larger."""
    size = ring_bytes(shape, dtype, frames)
    per_block = plan_blocks(shape, dtype, size - RING_HEADER_BYTES, GROW_FRAMES).frames_per_block
    assert ring_frames(shape, dtype, size) >= frames + 2 * per_block
    frame_bytes = shape[0] * shape[1] * dtype.itemsize + RECORD_BYTES
    assert size <= 1.2 * (frames + 20) * frame_bytes + (64 << 20)


@given(shape=SHAPES, dtype=DTYPES, frames=st.integers(1, 10**5), more=st.integers(1, 10**5))
def test_more_frames_need_no_smaller_ring(shape, dtype, frames, more):
    """However blocks are rounded, but for one block."""
    g = plan_blocks(shape, dtype, ring_bytes(shape, dtype, frames) - RING_HEADER_BYTES, GROW_FRAMES)
    assert ring_bytes(shape, dtype, frames + more) + g.block_stride + (1 << 20) > ring_bytes(shape, dtype, frames)


def test_ring_for_too_large_a_frame():
    """An impossible ring raises the same error as a recording would."""
    with pytest.raises(StorageError, match="HDF5 stores at most"):
        ring_bytes((70_000, 70_000), np.dtype("u1"), 1)


def test_ring_without_room_for_two():
    """An impossible ring raises the same error as a recording would."""
    with pytest.raises(StorageError, match="cannot hold 2 frames of 2048x2048 uint16"):
        ring_frames((2048, 2048), np.dtype("u2"), 8 << 20)


@pytest.mark.parametrize("shape", [(512, 512), (103, 77)])
@pytest.mark.usefixtures("processes")
def test_file_is_as_large_as_foretold(tmp_path, shape):
    """A file of whole chunks has its structure, and so much for each frame."""
    dtype, count = np.dtype("u2"), 800
    with Spool(tmp_path / "run.h5", shape=shape, dtype=dtype, buffer_bytes=128 << 20) as spool:
        first = spool.path.stat().st_size
        frame = np.ones(shape, dtype)
        for _ in range(count):
            spool.put(frame)
    size = spool.path.stat().st_size
    assert size == pytest.approx(count * file_bytes(shape, dtype), abs=8 << 20)
    assert first == pytest.approx(initial_allocation_bytes(shape, dtype), abs=8 << 20)
