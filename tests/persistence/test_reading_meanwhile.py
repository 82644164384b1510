"""Plain h5py beside the writer: at every moment it finds all frames that are counted, and they are right."""

import h5py
import numpy as np
import pytest
from support.frames import SHAPE, noise

from mmspool.persistence import block_layout
from mmspool.persistence.hdf5_file import journaled_file
from mmspool.persistence.hdf5_file.nexus_schema import LEDGER
from mmspool.persistence.shared_ring.ring import RingField

FRAME_BYTES = 2 * SHAPE[0] * SHAPE[1]
LOOK_AT = 40


@pytest.fixture
def looks(bench, monkeypatch):
    """Look at the file after each of HDF5's writes to it; return how many frames were counted each time."""
    seen = []
    applying = []
    write, apply = journaled_file.pwrite_all, journaled_file.JournaledFile._apply

    def look():
        with h5py.File(bench.path, "r", locking=False) as file:
            counted = int(file[f"{LEDGER}/frames_written"][()])
            assert file["data"].shape[0] >= counted
            first = max(0, counted - LOOK_AT)
            np.testing.assert_array_equal(file["data"][first:counted], stack(first, counted))
            seen.append(counted)

    def write_and_look(descriptor, data, offset):
        write(descriptor, data, offset)
        if applying:
            look()

    def apply_looking(file):
        if file._journal is not None:  # there is something to read
            applying.append(file)
        try:
            apply(file)
        finally:
            applying.clear()

    monkeypatch.setattr(journaled_file, "pwrite_all", write_and_look)
    monkeypatch.setattr(journaled_file.JournaledFile, "_apply", apply_looking)
    return seen


@pytest.fixture
def bench(request, make_bench, monkeypatch):
    """Return a bench for a compression and so many frames a block, with growths of 100 frames."""
    compression, per_block = request.param
    monkeypatch.setattr(block_layout, "_MIN_GROWTH_BYTES", 1)
    for name in ("_BLOCK_BYTES",):
        monkeypatch.setattr(block_layout, name, per_block * FRAME_BYTES)
    return make_bench(compression)


def stack(first, stop):
    """Return frames ``first`` to ``stop``."""
    return np.stack([noise(index) for index in range(first, stop)]) if stop > first else np.empty((0, *SHAPE), "<u2")


def record(bench, writer, count, batch):
    """Put and write frames, counted after each batch, until there are ``count``."""
    while (put := bench.ring.counters[RingField.PUT]) < count:
        stop = bench.put(min(batch, count - put))
        while bench.ring.counters[RingField.WRITTEN] < stop:
            writer.write_to(stop)


@pytest.mark.slow
@pytest.mark.parametrize("bench", [(None, 1), ("fast", 10), ("small", 10), ("universal", 10)], indirect=True)
def test_between_any_two_writes(bench, looks):
    """Growths, commits, blocks that are written again with more frames, and the end."""
    writer = bench.writer()
    record(bench, writer, 260, batch=23)
    assert bench.finish(writer, interrupted=False, end_reason="closed") == (260, 0, "complete")
    assert len(looks) > 50
    assert looks[-1] == 260
    bench.check(bench.path, 260)


@pytest.mark.parametrize("bench", [(None, 1)], indirect=True)
def test_while_the_index_gets_another_level(bench, looks):
    """HDF5's tree of chunks splits its inner nodes, at about every 3,700 chunks."""
    writer = bench.writer()
    record(bench, writer, 3_500, batch=500)
    del looks[:]
    record(bench, writer, 3_800, batch=7)
    assert len(looks) > 30
    writer.close()


@pytest.mark.parametrize("bench", [("fast", 10), ("small", 10), ("universal", 10)], indirect=True)
def test_a_reader_that_stays_open(bench):
    """A reader that stays open still finds its frames after more frames were added to their block."""
    writer = bench.writer()
    record(bench, writer, 17, batch=17)
    with h5py.File(bench.path, "r", locking=False) as reader:
        data = reader["data"]
        np.testing.assert_array_equal(data[0], noise(0))  # now it has the index, but no other chunk
        record(bench, writer, 90, batch=30)
        np.testing.assert_array_equal(data[:17], stack(0, 17))
    writer.finish(interrupted=False, end_reason="closed")
