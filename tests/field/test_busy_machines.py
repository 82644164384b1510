"""Machines that are busy: taking frames from the camera comes before compressing them."""

import os
import sys
import threading
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from support.in_process_writer import InProcessWriter
from support.processes import LIMIT_S
from support.waiting import wait_until

import mmspool
from mmspool import Camera, Spool, persistence
from mmspool.persistence.shared_ring.ring import RingField
from mmspool.persistence.writer_process import compressed_blocks

SHAPE = (192, 128)


def image(index):
    """Make frame ``index``, which can be compressed."""
    return np.full(SHAPE, index, "u2")


def priorities(pid):
    """Return the niceness of each thread of a process, by its name."""
    found = {}
    for task in Path(f"/proc/{pid}/task").iterdir():
        fields = (task / "stat").read_text().rpartition(")")[2].split()
        found.setdefault(int(fields[16]), []).append(int(task.name))
    return found


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere threads have no priority of their own")
def test_the_codecs_threads_give_way(tmp_path):
    """They run at a lower priority than the writer's other threads, and leave one processor to the acquisition."""
    own = os.getpriority(os.PRIO_PROCESS, 0)
    with Spool(tmp_path / "run.h5", buffer_bytes=16 << 20, compression="fast") as spool:
        for index in range(50):
            spool.put(image(index))
        wait_until(lambda: spool.stats.frames_written == 50)
        found = priorities(spool._client.writer.pid)
    lower = found[own + compressed_blocks._NICENESS]
    assert 1 <= len(lower) <= max(1, len(os.sched_getaffinity(0)) - 1)
    assert spool._client.writer.pid in found[own]


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="elsewhere a process is not bound to processors")
def test_on_one_processor(start, closed):
    """All of it shares one processor with two processes that compute: nothing is lost."""
    done = start("""
        import subprocess
        os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
        busy = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(2)]
        try:
            with Spool("run.h5", buffer_bytes=16 << 20, compression="fast") as spool:
                for index in range(60):
                    spool.put(np.full((192, 128), index, "u2"))
            print(spool.result.state, spool.result.frames_lost, flush=True)
        finally:
            for process in busy:
                process.kill()
                process.wait()
    """).end()
    assert (done.code, done.out) == (0, "complete 0\n"), done.err
    assert closed() == ("complete", 60)


def test_more_priority_than_is_allowed(tmp_path, monkeypatch):
    """Where the priority cannot be lowered any more, compressing works as well."""
    monkeypatch.setattr(os, "setpriority", lambda *_: (_ for _ in ()).throw(PermissionError(1, "not allowed")), False)
    compressed_blocks._give_way()


def test_a_buffer_that_fills_before_the_ring(tmp_path):
    """While the camera's own buffer fills, frames are stored as they are; afterwards they are compressed again."""
    stored_raw = []
    with Spool(tmp_path / "run.h5", buffer_bytes=16 << 20, compression="fast") as spool:
        for share in (0.0, 0.25, 1.0, 0.1):
            spool.report_backlog(share)
            for _ in range(20):
                spool.put(image(spool.stats.frames_put))
            wait_until(lambda: spool.stats.frames_written == spool.stats.frames_put)
            stored_raw.append(spool.stats.frames_raw)
    assert stored_raw == [0, 20, 40, 40]
    with mmspool.open(spool.path) as recording:
        assert recording[:, 0, 0].tolist() == list(range(80))


def test_a_recording_that_asked_to_wait_for_the_codec(tmp_path):
    """With ``raw_if_slow=False`` every frame is compressed, however full the buffers are."""
    with Spool(tmp_path / "run.h5", buffer_bytes=1 << 20, compression="fast", raw_if_slow=False) as spool:
        for index in range(60):
            spool.report_backlog(1.0)
            spool.put(image(index))
    assert spool.result.stats.frames_raw == 0


def test_the_acquisition_reports_the_cores_buffer(tmp_path, mocker):
    """The loop that takes frames from the core lets the writer know how full the core's buffer is."""
    report = mocker.spy(persistence.Spool, "report_backlog")
    with Camera.mock(width=128, height=64) as camera:
        camera.record(tmp_path / "run.h5", frames=50)
    shares = [call.args[1] for call in report.call_args_list]
    assert all(0 <= share <= 1 for share in shares)
    assert max(shares) > 0


def test_a_codec_that_gets_no_time(tmp_path):
    """The writer does not wait for the codec while the ring is nearly full, and compresses again when it has room."""
    bench = InProcessWriter(tmp_path / "run.h5", "fast")
    writer, held = bench.writer(), threading.Event()
    codec = writer._blocks._codec

    def encode(data, out):
        assert held.wait(LIMIT_S)
        return codec.encode(data, out)

    writer._blocks._codec = replace(codec, encode=encode)
    put = bench.put(bench.frames)
    writing = threading.Thread(target=writer.write_to, args=(put,))
    writing.start()
    try:
        wait_until(lambda: bench.ring.counters[RingField.WRITTEN] >= put // 5, "a fifth is written without the codec")
    finally:
        held.set()
        writing.join()
    assert bench.finish(writer) == (put, 0, "complete")
    bench.check(tmp_path / "run.h5", put)
    bench.ring.close()
