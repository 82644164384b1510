"""Compressed recordings whose writer dies at the worst moment: in this process, where it can be chosen."""

import shutil
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

import mmspool
from mmspool import DetectorInfo
from mmspool.persistence import repair, verify
from mmspool.persistence.geometry import plan
from mmspool.persistence.messages import Begin
from mmspool.persistence.packedwriter import PackedWriter
from mmspool.persistence.ring import Counter, Ring

SHAPE = (24, 32)


def noise(index: int) -> npt.NDArray[np.uint16]:
    """Make frame ``index``, which cannot be compressed."""
    return np.random.default_rng(index).integers(0, 2**16, SHAPE, np.uint16)


class Bench:
    """A ring and what its writer is told, without processes."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.ring = Ring.create(8 << 20)
        geometry = plan(SHAPE, np.dtype("<u2"), self.ring.room, 100, packed=True)
        self.ring.lay_out(geometry)
        self.per_block = geometry.frames_per_block
        self.begin = Begin(
            path=path,
            geometry=geometry,
            info=DetectorInfo(),
            metadata_json="{}",
            start=datetime.now(UTC),
            start_ns=0,
            direct=True,
            checksum=True,
            sync_interval_s=0.0,
            compression="fast",
            raw_if_slow=True,
        )
        path.touch()

    def put(self, count: int) -> int:
        """Put so many frames; return how many there are."""
        counters = self.ring.counters
        for index in range(counters[Counter.PUT], counters[Counter.PUT] + count):
            block, place = divmod(index, self.per_block)
            self.ring.blocks[block, place] = noise(index)
            self.ring.write_record(index, (index, -1, -1, -1, index))
            counters[Counter.PUT] = index + 1
        return counters[Counter.PUT]

    def writer(self, *, resume: bool = False) -> PackedWriter:
        """Return a new writer."""
        return PackedWriter(self.ring, replace(self.begin, resume=resume))

    def check(self, path: Path, count: int) -> None:
        """Look at a file that holds so many frames."""
        with mmspool.open(path) as recording:
            assert len(recording) == count
            assert (recording[:] == np.stack([noise(index) for index in range(count)])).all()
        assert verify(path).intact


@pytest.fixture
def bench(tmp_path) -> Iterator[Bench]:
    """Return a bench whose ring is gone afterwards."""
    made = Bench(tmp_path / "run.h5")
    yield made
    made.ring.close()
    made.ring.unlink()


def test_chunks_that_were_not_counted_are_taken_over(bench, mocker):
    """After a kill between a commit and its count the next writer goes on behind the chunks that are there."""
    count = bench.put(40 * bench.per_block + 7)
    first = bench.writer()
    mocker.patch.object(first, "_count", side_effect=KeyboardInterrupt)
    with pytest.raises(KeyboardInterrupt):
        first.finish(interrupted=False, reason="closed")
    first.close()
    assert bench.ring.counters[Counter.WRITTEN] == 0
    second = bench.writer(resume=True)
    count = bench.put(5)
    second.write_to(count)
    assert second.finish(interrupted=False, reason="closed")[:3] == (count, 0, "complete")
    bench.check(bench.path, count)


def test_no_other_chunk_takes_the_place_of_a_part(bench, mocker, tmp_path):
    """Before the commit that replaces a part of a block, the file has the frames of that part, right."""
    durable = bench.put(bench.per_block + 1)
    writer = bench.writer()
    while bench.ring.counters[Counter.DURABLE] < durable:
        writer.write_to(durable)
    bench.put(3 * bench.per_block)
    commit = mocker.patch.object(writer._layout, "commit", side_effect=KeyboardInterrupt)
    with pytest.raises(KeyboardInterrupt):
        writer.write_to(durable)
    killed = tmp_path / "killed.h5"
    shutil.copyfile(bench.path, killed)
    bench.check(killed, durable)
    assert repair(killed).frames == durable
    bench.check(killed, durable)
    mocker.stop(commit)
    writer.close()


def test_what_is_stored_raw_is_counted_once(bench):
    """A writer that takes over counts what is in the file, not what it has not written."""
    bench.put(2 * bench.per_block)
    first = bench.writer()
    first.write_to(2 * bench.per_block)
    first._commit()
    first.close()
    stored = bench.ring.counters[Counter.BYTES]
    bench.ring.counters[Counter.WRITTEN] = 0
    second = bench.writer(resume=True)
    second.write_to(2 * bench.per_block)
    second.finish(interrupted=False, reason="closed")
    with mmspool.open(bench.path) as recording:
        data = recording.file["data"].id
        sizes = [data.get_chunk_info(index).size for index in range(data.get_num_chunks())]
    assert bench.ring.counters[Counter.BYTES] - stored == sizes[0] + sizes[1]
