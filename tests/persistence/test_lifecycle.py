"""A spool from its making to its end: results, figures, threads, several at once."""

import dataclasses
import gc
import os
import threading

import numpy as np
import psutil
import pytest

import mmspool
from mmspool import SpoolClosedError, SpoolResult, SpoolStats


class TestClose:
    """What `close` gives, and what comes after it."""

    def test_it_is_idempotent(self, make_spool, frames):
        """However often and however it is called, the result is that of the first time."""
        spool = make_spool()
        for index in range(10):
            spool.put(frames(index))
        result = spool.close(end_reason="ten frames")
        assert spool.close(interrupted=True, end_reason="another") is result
        with spool:
            pass
        assert spool.close() is result
        with mmspool.open(spool.path) as recording:
            assert (recording.state, recording.end_reason) == ("complete", "ten frames")

    def test_the_result(self, make_spool, frames):
        """The result describes the file and is immutable."""
        with make_spool() as spool:
            for index in range(10):
                spool.put(frames(index))
        result = spool.close()
        assert result == SpoolResult(
            path=spool.path,
            frames_written=10,
            frames_lost=0,
            losses=(),
            state="complete",
            end_reason="closed",
            file_bytes=spool.path.stat().st_size,
            stats=spool.stats,
        )
        assert result.complete
        assert spool.result is result
        with pytest.raises(dataclasses.FrozenInstanceError):
            result.frames_written = 11

    def test_nothing_can_be_put_afterwards(self, make_spool, frames):
        """A closed spool refuses frames and losses, and says that it is closed; the file stays as it is."""
        with make_spool() as spool:
            spool.put(frames(0))
        for call in (lambda: spool.put(frames(1)), lambda: spool.record_loss(1, "core")):
            with pytest.raises(SpoolClosedError, match=r"run\.h5 is closed"):
                call()
        frames.check(spool.path, 1)

    def test_without_any_frame(self, make_spool, tmp_path):
        """A recording without frames leaves no file; closing it again, and putting, is as with any other."""
        spool = make_spool()
        result = spool.close(end_reason="nothing came")
        assert (result.frames_written, result.file_bytes, result.end_reason) == (0, 0, "nothing came; no frame was put")
        assert spool.close() is result
        with pytest.raises(SpoolClosedError):
            spool.put(np.zeros((4, 4)))
        assert not list(tmp_path.iterdir())

    def test_shape_and_dtype_are_known_afterwards(self, make_spool, frames):
        """What the recording holds can still be asked."""
        with make_spool() as spool:
            spool.put(frames(0, dtype=">i4"))
        assert (spool.shape, spool.dtype) == (frames.shape, np.dtype(">i4"))

    def test_the_path_can_be_recorded_again(self, make_spool, frames):
        """After `close` the path can be recorded to again."""
        for count in (3, 2):
            with make_spool(overwrite=True) as spool:
                for index in range(count):
                    spool.put(frames(index))
            frames.check(spool.path, count)


class TestStats:
    """The figures: a snapshot each time."""

    def test_they_do_not_change(self, make_spool, frames, wait_until):
        """A snapshot of `stats` does not change; the next one includes what happened since."""
        with make_spool() as spool:
            before = spool.stats
            assert isinstance(before, SpoolStats)
            assert (before.frames_put, before.frames_written, before.ring_frames, before.elapsed_s) == (0, 0, 0, 0.0)
            for index in range(25):
                spool.put(frames(index))
            wait_until(lambda: spool.stats.frames_written == 25)
            during = spool.stats
            spool.put(frames(25))
            assert (before.frames_put, during.frames_put, spool.stats.frames_put) == (0, 25, 26)
            with pytest.raises(dataclasses.FrozenInstanceError):
                during.frames_put = 0
        after = spool.stats
        assert spool.stats is after
        assert (after.frames_put, after.frames_written, after.frames_lost, after.ring_used) == (26, 26, 0, 0)
        assert during.elapsed_s < after.elapsed_s == spool.stats.elapsed_s

    def test_figures(self, make_spool, frames):
        """Bytes, rates and the slowest write are those of the frames."""
        with make_spool() as spool:
            for index in range(64):
                spool.put(frames(index))
        stats = spool.stats
        assert stats.bytes_written == 64 * frames(0).nbytes
        assert stats.frames_per_s == 64 / stats.elapsed_s
        assert stats.mb_per_s == stats.bytes_written / 1e6 / stats.elapsed_s
        assert 0 < stats.slowest_write_s < stats.elapsed_s
        assert stats.writer_restarts == stats.frames_dropped == 0

    def test_rates_before_the_first_frame(self, make_spool):
        """Rates are zero while there is nothing to divide."""
        with make_spool() as spool:
            assert (spool.stats.frames_per_s, spool.stats.mb_per_s) == (0.0, 0.0)

    def test_durable_follows(self, make_spool, frames, wait_until, ledger_of):
        """`durable` reaches what was put, in the file too, while the recording goes on, and is exact at its end."""
        with make_spool(sync_interval_s=0.01) as spool:
            assert spool.durable == 0
            for index in range(30):
                spool.put(frames(index))
            wait_until(lambda: spool.durable == 30)
            wait_until(lambda: ledger_of(spool.path)["frames_durable"] == 30)
            spool.put(frames(30))
        assert spool.durable == spool.stats.frames_durable == 31

    def test_another_thread_may_ask_while_it_closes(self, make_spool, frames, mocker):
        """A thread that has begun to ask when the spool is closed is answered with the last figures."""
        spool, answers = make_spool(), []
        asking, closed = threading.Event(), threading.Event()
        asker = threading.Thread(target=lambda: answers.append(spool.stats))
        now = spool._client.stats

        def late():
            if threading.current_thread() is asker:
                asking.set()
                closed.wait(20)
            return now()

        spool.put(frames(0))
        mocker.patch.object(spool._client, "stats", late)
        asker.start()
        assert asking.wait(20)
        spool.close()
        closed.set()
        asker.join(20)
        assert answers == [spool.stats]


class TestThreads:
    """Several threads, one spool."""

    def test_each_frame_is_there_exactly_once(self, make_spool):
        """Eight threads put at once; all frames are in the file, and those of each thread in its order."""
        each, count = 150, 8

        def put(thread):
            for number in range(each):
                frame = np.full((24, 32), thread * each + number, np.uint32)
                spool.put(frame, {"image_number": thread * each + number})

        with make_spool(buffer_bytes=1 << 19) as spool:
            threads = [threading.Thread(target=put, args=(thread,)) for thread in range(count)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
        assert spool.close().frames_written == each * count
        with mmspool.open(spool.path) as recording:
            stored = recording[:]
            assert (stored == stored[:, :1, :1]).all(), "frames were mixed"
            values = stored[:, 0, 0]
            assert sorted(values) == list(range(each * count))
            assert recording.frame_table()["image_number"].tolist() == values.tolist(), "columns are another frame's"
            assert recording.frame_table()["sequence_number"].tolist() == list(range(each * count))
            for thread in range(count):
                assert (np.diff(values[values // each == thread].astype(int)) == 1).all()

    def test_threads_that_make_spools_at_once(self, make_spool, frames):
        """Several recordings may start at the same moment in one process, and run beside each other."""
        spools, start = {}, threading.Barrier(4)

        def record(number):
            start.wait(20)
            with make_spool(f"{number}.h5") as spool:
                for index in range(100):
                    spool.put(frames(index))
            spools[number] = spool

        threads = [threading.Thread(target=record, args=(number,)) for number in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert [spools[number].close().frames_written for number in range(4)] == [100] * 4
        for spool in spools.values():
            frames.check(spool.path, 100)

    def test_a_close_while_others_put(self, make_spool):
        """What was put before `close` is in the file; what comes later is refused. Nothing lies between."""
        put, started = [], threading.Event()

        def produce():
            try:
                while True:
                    spool.put(np.full((24, 32), len(put), np.uint32))
                    put.append(None)
                    started.set()
            except SpoolClosedError:
                pass

        spool = make_spool()
        producer = threading.Thread(target=produce)
        producer.start()
        assert started.wait(20)
        result = spool.close()
        producer.join(20)
        assert result.frames_written == len(put)
        with mmspool.open(spool.path) as recording:
            assert recording[:, 0, 0].tolist() == list(range(len(put)))


def test_several_at_once(make_spool, frames):
    """Spools of different formats run side by side in one process, each into its own file."""
    kinds = {"a.h5": ((24, 32), "<u2"), "b.h5": ((10, 10), ">f4"), "c.h5": ((64, 64), "u1")}
    spools = {name: make_spool(name) for name in kinds}
    for index in range(100):
        for name, kind in kinds.items():
            spools[name].put(frames(index, *kind))
    for name in sorted(kinds, reverse=True):
        assert spools[name].close().frames_written == 100
        frames.check(spools[name].path, 100)


def test_nothing_of_the_system_is_kept(make_spool, frames, wait_until):
    """After a spool is gone, this process has as many descriptors and threads as before."""
    process = psutil.Process()

    def record(number):
        with make_spool(f"{number}.h5", overwrite=True) as spool:
            spool.put(frames(0))

    def kept():
        gc.collect()
        return (process.num_handles() if os.name == "nt" else process.num_fds()) + threading.active_count()

    record(0)  # the first one starts multiprocessing's resource tracker
    make_spool.forget()
    before = kept()
    for number in range(4):
        record(number)
    make_spool.forget()
    wait_until(lambda: kept() <= before)
