"""How the writer goes through the ring: in this process, where what the disk does can be chosen."""

import contextlib
import errno

import pytest

import mmspool
from mmspool import Loss, StorageError
from mmspool.persistence import block_layout, repair
from mmspool.persistence.hdf5_file import recording_file
from mmspool.persistence.hdf5_file.closed_file import FileClosed
from mmspool.persistence.hdf5_file.direct_file import DirectFile
from mmspool.persistence.hdf5_file.journaled_file import JournaledFile
from mmspool.persistence.hdf5_file.nexus_schema import LEDGER
from mmspool.persistence.hdf5_file.recording_file import RecordingFile
from mmspool.persistence.shared_ring.ring import RingField
from mmspool.persistence.writer_process import raw_blocks
from mmspool.persistence.writer_process.main import read_outcome


@pytest.fixture
def bench(make_bench):
    """Return a bench for blocks as they are."""
    return make_bench()


@pytest.mark.parametrize(("share", "at_most_s", "blocks"), [(4, 1e9, 2), (1, 1e9, 8), (1, 0.0, 2)])
def test_blocks_are_counted_together(bench, mocker, share, at_most_s, blocks):
    """A share of the ring is counted at once, or what is under way when it has waited long enough."""
    assert bench.blocks == 8
    mocker.patch.object(raw_blocks, "_RING_SHARE", share)
    mocker.patch.object(raw_blocks, "_COUNT_S", at_most_s)
    writer = bench.writer()
    count = mocker.spy(writer, "_publish_count")
    writer.write_to(frames := bench.put(bench.frames))
    assert [call.args[0] for call in count.call_args_list] == [
        first + blocks * bench.per_block for first in range(0, frames, blocks * bench.per_block)
    ]
    assert bench.finish(writer, interrupted=False, end_reason="closed") == (frames, 0, "complete")
    bench.check(bench.path, frames)


def test_what_was_written_before_a_failure_counts(bench, mocker):
    """When a block of several fails, those before it are in the file, and the error is the disk's."""
    mocker.patch.object(raw_blocks, "_RING_SHARE", 1)
    writer = bench.writer()
    write, written = DirectFile.write_block, []

    def fail(file, data, offset):
        if len(written) == 3:
            raise OSError(errno.EIO, "the disk failed")
        written.append(offset)
        write(file, data, offset)

    mocker.patch.object(DirectFile, "write_block", fail)
    with pytest.raises(OSError, match="the disk failed"):
        writer.write_to(bench.put(bench.frames))
    kept = 3 * bench.per_block
    assert bench.ring.counters[RingField.WRITTEN] == kept
    lost = bench.frames - kept
    assert bench.finish(writer, interrupted=True, end_reason="it failed") == (kept, lost, "interrupted")
    bench.check(bench.path, kept)


def test_the_ring_goes_round(bench):
    """Blocks on both sides of the ring's end, and parts of blocks, are where they belong."""
    writer = bench.writer()
    for count in (5 * bench.per_block + 7, 6 * bench.per_block, 1, 7 * bench.per_block - 8, 11):
        writer.write_to(frames := bench.put(count))
    assert bench.finish(writer, interrupted=False, end_reason="closed") == (frames, 0, "complete")
    assert frames > bench.frames
    bench.check(bench.path, frames)


@pytest.fixture
def small_increments(mocker, make_bench):
    """Return a bench whose file grows by 100 frames, of which its ring holds many times as many."""
    mocker.patch.object(block_layout, "_MIN_GROWTH_BYTES", 1)
    bench = make_bench()
    assert bench.begin.layout.growth_frames == bench.per_block < bench.frames // 4
    return bench


def test_it_grows_by_what_waits_in_the_ring(small_increments, mocker):
    """Frames that came faster than they were written get room all at once, then the file is one increment ahead."""
    bench = small_increments
    writer = bench.writer()
    grow = mocker.spy(RecordingFile, "grow")
    writer.write_to(frames := bench.put(bench.frames))
    assert 1 <= grow.call_count <= 2, "each growth holds up the writes"
    assert bench.finish(writer, interrupted=False, end_reason="closed") == (frames, 0, "complete")
    bench.check(bench.path, frames)


def test_a_disk_without_room_for_all_of_them_takes_some(small_increments, mocker):
    """Where there is no room for all frames that wait, the file grows increment by increment, until it is full."""
    bench = small_increments
    reserve, room = DirectFile.reserve, 5 * bench.per_block * bench.begin.layout.frame_bytes + recording_file._SLACK

    def reserve_some(file, start, length):
        if start + length > room:
            raise StorageError(errno.ENOSPC, "no room", str(bench.path))
        reserve(file, start, length)

    writer = bench.writer()
    mocker.patch.object(DirectFile, "reserve", reserve_some)
    with pytest.raises(StorageError, match="the disk is full"):
        writer.write_to(bench.put(bench.frames))
    kept = bench.ring.counters[RingField.WRITTEN]
    assert 3 * bench.per_block <= kept <= 5 * bench.per_block
    assert bench.finish(writer, interrupted=True, end_reason="full") == (kept, bench.frames - kept, "interrupted")
    bench.check(bench.path, kept)


def test_a_count_never_goes_back(bench, mocker):
    """A writer that takes over counts on from what the file says, of which the ring may not have heard."""
    counted = bench.put(2 * bench.per_block)
    first = bench.writer()
    write_count = RecordingFile.write_count

    def be_killed(layout, name, value):
        write_count(layout, name, value)
        if name == "frames_written":
            raise KeyboardInterrupt

    mocker.patch.object(RecordingFile, "write_count", be_killed)
    with pytest.raises(KeyboardInterrupt):
        first.write_to(counted)
    first.close()
    assert bench.ring.counters[RingField.WRITTEN] == 0
    mocker.stopall()
    second = bench.writer(resume=True)
    assert bench.ring.counters[RingField.WRITTEN] == counted
    written = bench.put(1)
    second.write_to(written)
    assert bench.finish(second, interrupted=False, end_reason="closed") == (written, 0, "complete")
    bench.check(bench.path, written)


@pytest.mark.parametrize("compression", [None, "fast"])
@pytest.mark.parametrize("torn", [False, True], ids=["whole", "in its last change"])
def test_a_file_that_was_ended_is_not_ended_again(make_bench, mocker, compression, torn):
    """A writer that takes over a closed file completes the closing change and reports the recorded outcome."""
    bench = make_bench(compression)
    frames = bench.put(bench.per_block + 1)
    bench.ring.add_loss(frames, 3, "core")
    writer = bench.writer()
    writer.write_to(frames)
    writer.close()
    assert read_outcome(bench.path, bench.ring.counters) is None
    writer = bench.writer(resume=True)
    writer.write_to(frames)
    apply = JournaledFile._apply

    def be_killed(file):
        if any(b"the end" in content for content in file.writes()):
            raise KeyboardInterrupt
        apply(file)

    if torn:
        mocker.patch.object(JournaledFile, "_apply", be_killed)
    with pytest.raises(KeyboardInterrupt) if torn else contextlib.nullcontext():
        writer.finish(interrupted=False, end_reason="the end")
    writer.close()
    mocker.stopall()
    bench.ring.counters[RingField.WRITTEN] = bench.ring.counters[RingField.DURABLE] = 0
    bench.ring.counters[RingField.RESTARTS] = 2
    for _ in range(2):
        end = read_outcome(bench.path, bench.ring.counters)
        assert end == FileClosed(
            frames_written=frames,
            frames_durable=frames,
            frames_lost=3,
            state="incomplete",
            end_reason="the end",
            file_bytes=bench.path.stat().st_size,
        )
        assert bench.ring.counters[RingField.WRITTEN] == bench.ring.counters[RingField.DURABLE] == frames
    bench.check(bench.path, frames)
    with mmspool.open(bench.path) as recording:
        assert recording.file[f"{LEDGER}/writer_restarts"][()] == 2
        assert recording.losses == (Loss(frames, 3, "core"),)
    assert not repair(bench.path).needed


def test_no_frame_is_durable_after_a_sync_that_failed(bench, mocker):
    """Not even for a writer that takes over, whose syncs succeed: the kernel forgot what it could not write."""
    writer = bench.writer()
    writer.write_to(bench.put(bench.per_block))
    mocker.patch.object(DirectFile, "sync", side_effect=OSError(errno.EIO, "the disk failed"))
    with pytest.raises(OSError, match="the disk failed"):
        writer.finish(interrupted=False, end_reason="closed")
    durable = bench.ring.counters[RingField.DURABLE]
    writer.close()
    mocker.stopall()
    second = bench.writer(resume=True)
    frames = bench.put(bench.per_block)
    second.write_to(frames)
    assert bench.finish(second, interrupted=False, end_reason="closed") == (frames, 0, "complete")
    with mmspool.open(bench.path) as recording:
        assert recording.file[f"{LEDGER}/frames_durable"][()] == durable < frames
