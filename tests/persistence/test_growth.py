"""How the file grows while it is written, and what remains at the end."""

import h5py
import numpy as np
import pytest
from support.paths import allocated_bytes

import mmspool

BIG = (420, 420)  # 100 such frames of uint16 are more than 32 MiB, so that growth is not a multiple
BIG_BYTES = 420 * 420 * 2
STRUCTURE_BYTES = 4 << 20


def capacity_when(wait_until, ledger_of, path, written):
    """Wait until the file itself, read with h5py, counts so many frames; return the dataset's length then."""
    seen = {}

    def counted():
        seen.update(ledger_of(path) or {"frames_written": -1})
        return seen["frames_written"] >= written

    wait_until(counted)
    assert seen["frames_written"] == written
    return seen["capacity"]


def test_it_grows_by_a_hundred_frames_and_ahead(make_spool, frames, wait_until, ledger_of):
    """The dataset has room for whole hundreds of frames, one more than are needed, and is trimmed at the end."""
    with make_spool(buffer_bytes=8 << 20, shape=BIG, dtype="<u2") as spool:
        capacities = []
        for index in range(102):
            spool.put(frames(index, BIG))
            if index in (0, 99, 100, 101):
                capacities.append(capacity_when(wait_until, ledger_of, spool.path, index + 1))
        assert {capacity % 100 for capacity in capacities} == {0}
        assert capacities[0] in (100, 200)  # the next increment is made beside the writing
        wait_until(lambda: ledger_of(spool.path)["capacity"] == 300)
        assert spool.path.stat().st_size > 300 * BIG_BYTES
        assert allocated_bytes(spool.path) > 300 * BIG_BYTES, "the disk did not set the room aside"
    frames.check(spool.path, 102)


@pytest.mark.parametrize("grow_frames", [3, 8])
def test_the_increment_can_be_chosen(make_spool, frames, wait_until, ledger_of, grow_frames):
    """`grow_frames` is the increment, where so many frames are not too few bytes to be worth one."""
    shape = (4096, 4096)
    with make_spool(buffer_bytes=80 << 20, grow_frames=grow_frames) as spool:
        spool.put(frames(0, shape, "u1"))
        assert ledger_of(spool.path)["capacity"] % grow_frames == 0
        wait_until(lambda: ledger_of(spool.path)["capacity"] == 2 * grow_frames)
    frames.check(spool.path, 1)


def test_tiny_frames_grow_by_a_multiple(make_spool, frames, ledger_of):
    """A growth is at least 32 MiB of pixels, a multiple of the increment."""
    with make_spool(shape=(64, 64), dtype="<u2", grow_frames=7) as spool:
        capacity = ledger_of(spool.path)["capacity"]
        assert capacity % 7 == 0
        assert capacity * 64 * 64 * 2 >= 32 << 20
        spool.put(frames(0, (64, 64)))


@pytest.mark.parametrize("count", [1, 101, 150, 200])
def test_the_file_is_trimmed_to_what_it_holds(make_spool, frames, count):
    """A closed file has exactly its frames and little beside them, however much was set aside."""
    with make_spool(buffer_bytes=8 << 20) as spool:
        for index in range(count):
            spool.put(frames(index, BIG))
    result = spool.close()
    assert result.file_bytes == spool.path.stat().st_size
    with h5py.File(spool.path, "r", locking=False) as file:
        assert file["data"].shape == (count, *BIG)
        chunk = file["data"].chunks[0]
    last_chunk = -count % chunk * BIG_BYTES
    assert count * BIG_BYTES < result.file_bytes <= count * BIG_BYTES + last_chunk + STRUCTURE_BYTES
    assert allocated_bytes(spool.path) <= result.file_bytes + STRUCTURE_BYTES, "room is still set aside"


def test_the_capacity_may_be_filled_exactly(make_spool, frames):
    """A recording that ends where an increment ends is like any other."""
    shape = (64, 64)
    with (
        make_spool(shape=shape, dtype="<u2", buffer_bytes=4 << 20) as spool,
        h5py.File(spool.path, "r", locking=False) as file,
    ):
        count = file["data"].shape[0]
    assert spool.close().frames_written == 0
    path = spool.path.with_name("full.h5")
    with make_spool(path.name, shape=shape, dtype="<u2", buffer_bytes=4 << 20) as spool:
        frame = np.zeros(shape, "<u2")
        for index in range(count):
            frame[0] = index & 0xFFFF, *[index >> 16] * 63
            spool.put(frame)
    with mmspool.open(path) as recording:
        assert recording.shape == (count, *shape)
        assert (recording[:, 0, 0] == np.arange(count)).all()


@pytest.mark.parametrize("compression", [None, "fast"])
@pytest.mark.parametrize(("shape", "count"), [(BIG, 10), (BIG, 103), ((64, 64), 10), ((24, 32), 1)])
def test_no_room_is_allocated_for_more_than_are_expected(make_spool, frames, shape, count, compression):
    """A recording of n frames never takes more of the disk than n frames and its structure."""
    frame_bytes = shape[0] * shape[1] * 2
    with make_spool(
        shape=shape, dtype="<u2", buffer_bytes=8 << 20, expected_frames=count, compression=compression
    ) as spool:
        for index in range(count):
            assert allocated_bytes(spool.path) <= count * frame_bytes + 2 * STRUCTURE_BYTES
            spool.put(frames(index, shape))
    assert spool.result.file_bytes <= count * frame_bytes + STRUCTURE_BYTES
    frames.check(spool.path, count)


@pytest.mark.parametrize("compression", [None, "fast"])
def test_more_frames_than_expected(make_spool, frames, compression):
    """Frames that come beyond the expected number are recorded too."""
    with make_spool(buffer_bytes=8 << 20, expected_frames=7, compression=compression) as spool:
        for index in range(250):
            spool.put(frames(index, BIG))
    frames.check(spool.path, 250)
