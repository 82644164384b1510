"""Compressed recordings whose writer dies at the worst moment: in this process, where it can be chosen."""

import contextlib
import shutil

import pytest

import mmspool
from mmspool.persistence import repair
from mmspool.persistence.shared_ring.ring import RingField


@pytest.fixture
def bench(make_bench):
    """Return a bench for compressed chunks."""
    return make_bench("fast")


def test_chunks_that_were_not_counted_are_taken_over(bench, mocker):
    """After a kill between a commit and its count the next writer goes on behind the chunks that are there."""
    count = bench.put(bench.frames // 2)
    first = bench.writer()
    mocker.patch.object(first, "_publish_count", side_effect=KeyboardInterrupt)
    with pytest.raises(KeyboardInterrupt):
        first.write_to(count)  # as many chunks as are committed at once
    first.close()
    assert bench.ring.counters[RingField.WRITTEN] == 0
    second = bench.writer(resume=True)
    count = bench.put(5)
    second.write_to(count)
    assert bench.finish(second, interrupted=False, end_reason="closed") == (count, 0, "complete")
    bench.check(bench.path, count)


def test_before_the_commit_nothing_has_changed(bench, mocker, tmp_path):
    """A writer that is killed while chunks are stored leaves the frames of the last commit, right."""
    durable = bench.put(3)
    writer = bench.writer()
    while bench.ring.counters[RingField.DURABLE] < durable:
        writer.write_to(durable)
    count = bench.put(bench.frames - durable)
    commit = mocker.patch.object(writer._recording_file, "commit", side_effect=KeyboardInterrupt)
    with contextlib.suppress(KeyboardInterrupt):
        writer.write_to(count)
    assert writer._stored > durable
    killed = tmp_path / "killed.h5"
    shutil.copyfile(bench.path, killed)
    bench.check(killed, durable)
    assert repair(killed).frames_written == durable
    bench.check(killed, durable)
    mocker.stop(commit)
    writer.close()


def test_what_is_stored_is_counted_once(bench, mocker):
    """A writer that takes over counts what it finds in the file and was not counted, as it lies there."""
    count = bench.put(bench.frames // 2)
    first = bench.writer()
    mocker.patch.object(first, "_publish_count", side_effect=KeyboardInterrupt)
    with pytest.raises(KeyboardInterrupt):
        first.write_to(count)  # as many chunks as are committed at once
    first.close()
    assert (bench.ring.counters[RingField.BYTES], bench.ring.counters[RingField.RAW]) == (0, 0)
    second = bench.writer(resume=True)
    second.write_to(count)
    second.finish(interrupted=False, end_reason="closed")
    with mmspool.open(bench.path) as recording:
        data = recording.file["data"].id
        sizes = [data.get_chunk_info(index).size for index in range(data.get_num_chunks())]
    assert bench.ring.counters[RingField.BYTES] == sum(sizes)
