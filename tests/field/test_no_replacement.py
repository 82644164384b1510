"""The writer dies and no other can be started: the recording ends as with a writer that fails."""

import errno
import os
import sys

import numpy as np
import pytest
from support.processes import ended, kill
from support.waiting import wait_until

import mmspool
from mmspool import Spool, WriterError
from mmspool.persistence import repair, verify
from mmspool.persistence.writer_process import supervisor

FAULTS = {
    "no descriptors": OSError(errno.EMFILE, os.strerror(errno.EMFILE)),
    "no processes": BlockingIOError(errno.EAGAIN, os.strerror(errno.EAGAIN)),
    "no memory": OSError(errno.ENOMEM, os.strerror(errno.ENOMEM)),
    "not allowed": PermissionError(errno.EPERM, os.strerror(errno.EPERM)),
    "no threads": RuntimeError("can't start new thread"),
    "no memory for Python": MemoryError(),
}


def put_on(spool, first, shape):
    """Put numbered frames until the spool raises."""
    for index in range(first, 60_000):
        spool.put(np.full(shape, index, "u2"))


def refuse(error):
    """Return what stands for a writer process that cannot be started."""

    def start(*_):
        raise error

    return start


@pytest.mark.parametrize("compression", [None, "fast"])
@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("idle", [True, False], ids=["idle", "putting"])
def test_no_other_writer_can_be_started(tmp_path, monkeypatch, fault, compression, idle):
    """All that was put is in the file, which says why it ended; the error has the cause, and so have later calls."""
    shape = (192, 128)
    spool = Spool(tmp_path / "run.h5", buffer_bytes=4 << 20, compression=compression)
    for index in range(30):
        spool.put(np.full(shape, index, "u2"))
    spool.record_loss(2, "core")

    monkeypatch.setattr(supervisor, "WriterProcess", refuse(FAULTS[fault]))
    kill(spool._client.writer.pid)
    if idle:
        wait_until(lambda: spool._life.error is not None)
    with pytest.raises(WriterError, match="no other could be started") as caught:
        put_on(spool, 30, shape)
    assert caught.value.__cause__ is FAULTS[fault]
    with pytest.raises(WriterError) as again:
        spool.close()
    assert again.value is caught.value
    put = spool.stats.frames_put
    with mmspool.open(spool.path) as recording:
        assert recording.state == "interrupted"
        assert "no other could be started" in recording.end_reason
        assert recording.file["entry/instrument/detector/ledger/writer_failed"][()] == 1
        assert recording[:, 0, 0].tolist() == list(range(put))
        assert recording.frames_lost == spool.stats.frames_lost == 2
    assert verify(spool.path).intact
    assert not repair(spool.path).needed


def test_before_the_first_frame(tmp_path, monkeypatch):
    """The first put says so, and no file is left."""
    spool = Spool(tmp_path / "run.h5", buffer_bytes=1 << 20)
    writer = spool._client.writer.pid
    monkeypatch.setattr(supervisor, "WriterProcess", refuse(OSError(errno.EMFILE, "too many")))
    kill(writer)
    with pytest.raises(WriterError, match=r"no other could be started: .*too many"):
        put_on(spool, 0, (24, 32))
    assert not list(tmp_path.iterdir())


@pytest.mark.skipif(sys.platform != "linux", reason="it counts descriptors as Linux lists them")
def test_descriptors_run_out(start, closed):
    """A script that leaks descriptors until there is none, whose writer is then killed."""
    done = start("""
        import resource
        from mmspool import WriterError
        spool = Spool("run.h5", buffer_bytes=1 << 20)
        for index in range(30):
            spool.put(frame(index))
        resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64))
        leaked = []
        try:
            while True:
                leaked.append(os.open(os.devnull, os.O_RDONLY))
        except OSError:
            pass
        os.kill(spool._client.writer.pid, signal.SIGKILL)
        try:
            index = 30
            while True:
                spool.put(frame(index))
                index += 1
        except WriterError as error:
            print(type(error.__cause__).__name__, getattr(error, "__notes__", ""), spool.stats.frames_put, flush=True)
    """).end()
    assert done.out.startswith("OSError"), (done.out, done.err)
    state, frames = closed()
    assert state == "interrupted"
    assert frames == int(done.out.split()[-1])


def test_the_watching_thread_survives(tmp_path, monkeypatch):
    """An error on the way ends the recording, not the thread that has to notice it; the writer's zombie is gone."""
    spool = Spool(tmp_path / "run.h5", buffer_bytes=1 << 20)
    spool.put(np.zeros((24, 32), "u2"))
    writer = spool._client.writer.pid
    monkeypatch.setattr(supervisor, "WriterProcess", refuse(OSError(errno.ENOMEM, "none")))
    kill(writer)
    wait_until(lambda: spool._life.error is not None)
    assert ended(writer)
    with pytest.raises(WriterError):
        spool.close()
