"""What goes in comes out: every dtype, byte order and memory layout, to the bit."""

import sys
from typing import get_args

import h5py
import hdf5plugin  # noqa: F401 - for plain h5py to read what is compressed
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import mmspool
from mmspool import Spool
from mmspool.persistence.hdf5_file.codec import Compression

SIZED = ["i2", "i4", "i8", "u2", "u4", "u8", "f2", "f4", "f8"]
DTYPES = ["?", "i1", "u1", *(order + kind for kind in SIZED for order in "<>")]


def noise(seed, shape, dtype):
    """Return values with every bit pattern that the dtype has, NaNs of all kinds too."""
    dtype = np.dtype(dtype)
    raw = np.random.default_rng(seed).integers(0, 256, (*shape, dtype.itemsize), np.uint8)
    return raw.view(dtype).reshape(shape) if dtype.kind != "b" else raw[..., 0] > 127


def assert_same(stored, expected):
    """Compare dtype, byte order included, shape and every bit."""
    assert stored.dtype.str == expected.dtype.str
    assert stored.shape == expected.shape
    assert stored.tobytes() == expected.tobytes()


@pytest.mark.parametrize("dtype", DTYPES)
def test_every_dtype_keeps_its_bits(make_spool, dtype):
    """Each dtype comes back bit by bit, in its byte order, through h5py and through `mmspool.open`."""
    stack = noise(1, (5, 11, 7), dtype)
    with make_spool() as spool:
        for frame in stack:
            spool.put(frame)
    with h5py.File(spool.path, "r") as file:
        assert_same(file["data"][:], stack)
    with mmspool.open(spool.path) as recording:
        assert recording.dtype == stack.dtype
        assert_same(recording[:], stack)


class Image(np.ndarray):
    """A subclass, as image libraries have them."""


def _in_a_bigger_one(frame, _):
    bigger = np.zeros((2 * frame.shape[0], 3 * frame.shape[1]), frame.dtype)
    bigger[1::2, ::3] = frame
    return bigger[1::2, ::3]


def _read_only(frame, _):
    frame.flags.writeable = False
    return frame


def _mapped(frame, folder):
    mapped = np.memmap(folder / "frame.raw", frame.dtype, "w+", shape=frame.shape)
    mapped[:] = frame
    return mapped


LAYOUTS = {
    "C": lambda frame, _: frame,
    "Fortran": lambda frame, _: np.asfortranarray(frame),
    "negative strides": lambda frame, _: frame[::-1, ::-1].copy()[::-1, ::-1],
    "slice of a bigger array": _in_a_bigger_one,
    "read-only": _read_only,
    "memmap": _mapped,
    "subclass": lambda frame, _: frame.view(Image),
    "list": lambda frame, _: frame.tolist(),
}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_every_memory_layout_is_stored_as_it_reads(make_spool, frames, tmp_path, layout):
    """However a frame lies in memory, row for row the same pixels are in the file."""
    with make_spool() as spool:
        for index in range(3):
            spool.put(LAYOUTS[layout](frames(index), tmp_path))
    frames.check(spool.path, 3)


def test_layouts_may_change_from_frame_to_frame(make_spool, frames, tmp_path):
    """Later frames may have another memory layout than the first one."""
    layouts = [layout for name, layout in LAYOUTS.items() if name != "list"]  # a list's numbers are int64
    with make_spool() as spool:
        for index, layout in enumerate(layouts):
            spool.put(layout(frames(index), tmp_path))
    frames.check(spool.path, len(layouts))


def test_the_callers_buffer_may_be_reused_at_once(make_spool, frames):
    """A frame is copied by `put`: overwriting its buffer does not reach the file, however full the ring is."""
    buffer = np.empty((64, 64), np.uint16)
    with make_spool(buffer_bytes=1 << 18) as spool:
        for index in range(400):
            buffer[:] = frames(index, buffer.shape)
            spool.put(buffer)
            buffer[:] = 0xDEAD
    frames.check(spool.path, 400)


@pytest.mark.parametrize("direct", [True, False], ids=["direct", "page cache"])
def test_both_ways_to_the_disk_store_the_same(make_spool, frames, direct):
    """Past the page cache and through it, whole pages and the rest of a block, the file is the same."""
    shape = (67, 61)  # 8,174 bytes: two pages less a few bytes
    with make_spool(direct=direct, buffer_bytes=1 << 18) as spool:
        for index in range(150):
            spool.put(frames(index, shape))
    frames.check(spool.path, 150)


@settings(max_examples=settings().max_examples // (10 if sys.platform == "win32" else 3))  # a start is slow there
@given(
    shape=st.tuples(st.integers(1, 40), st.integers(1, 40)),
    dtype=st.sampled_from(DTYPES),
    count=st.integers(1, 400),
    buffer_bytes=st.integers(150_000, 1_000_000),
    grow_frames=st.integers(1, 250),
    direct=st.booleans(),
    checksum=st.booleans(),
    quiet_after=st.integers(0, 400),
    compression=st.sampled_from((None, None, *get_args(Compression))),
)
@pytest.mark.usefixtures("processes")
def test_any_recording_comes_back(
    tmp_path_factory,
    wait_until,
    shape,
    dtype,
    count,
    buffer_bytes,
    grow_frames,
    direct,
    checksum,
    quiet_after,
    compression,
):
    """Whatever the frames' shape, dtype and number, the ring and the growth, each frame is in its place.

    After ``quiet_after`` frames the producer pauses until the writer has stored a block that is only partly filled.
    """
    stack = noise(count, (count, *shape), dtype)
    path = tmp_path_factory.mktemp("any") / "run.h5"
    with Spool(
        path,
        buffer_bytes=buffer_bytes,
        grow_frames=grow_frames,
        direct=direct,
        checksum=checksum,
        compression=compression,
        sync_interval_s=0.02,
    ) as spool:
        for index, frame in enumerate(stack):
            assert spool.put(frame)
            if index + 1 == quiet_after:
                wait_until(lambda: spool.stats.frames_written == quiet_after)
    result = spool.close()
    assert (result.frames_written, result.frames_lost, result.state) == (count, 0, "complete")
    with h5py.File(path, "r") as file:
        assert_same(file["data"][:], stack)
    with mmspool.open(path) as recording:
        assert recording.frame_table()["sequence_number"].tolist() == list(range(count))
    path.unlink()


@pytest.mark.parametrize(
    ("shape", "options"),
    [
        ((8, 8), {"buffer_bytes": 160_000, "grow_frames": 1}),
        ((64, 64), {"buffer_bytes": 150_000, "grow_frames": 5000}),
        ((64, 64), {"buffer_bytes": 8_000_000, "grow_frames": 5003}),
    ],
    ids=["tiny frames", "large increment", "prime increment"],
)
def test_growth_by_many_chunks(make_spool, frames, shape, options):
    """Frames may be tiny and increments large, even where the ring makes small chunks of them."""
    with make_spool(**options) as spool:
        for index in range(100):
            spool.put(frames(index, shape, "u1"))
    frames.check(spool.path, 100)
