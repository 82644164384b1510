"""Machines that are busy: taking frames from the camera comes before compressing them."""

import os
import sys
from pathlib import Path

import numpy as np
import pytest
from support.waiting import wait_until

from mmspool import Spool
from mmspool.persistence.writer_process import compressed_blocks

SHAPE = (192, 128)


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
            spool.put(np.full(SHAPE, index, "u2"))
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
