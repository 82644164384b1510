"""Systems that refuse what others have: sandboxes, containers, kernels of long ago."""

import os
import shutil
import subprocess
import sys

import pytest
from support.paths import environment
from support.strace import need_strace

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="it imitates kernels by strace")

SCRIPT = """
import os, signal, sys
import numpy as np
from mmspool import Spool
spool = Spool("run.h5", buffer_bytes=8 << 20, compression="fast" if "compressed" in sys.argv else None)
for index in range(60):
    if index == 30:
        os.kill(spool._client.writer.pid, signal.SIGKILL)
    spool.put(np.full((192, 128), index, "u2"))
print(spool.close().state, spool.result.stats.writer_restarts, spool.result.stats.ring_bytes)
"""

REFUSED = {
    "no memfd (seccomp)": "memfd_create:error=EPERM",
    "no memfd (old kernel)": "memfd_create:error=ENOSYS",
    "no advice on memory": "madvise:error=EINVAL",
    "no advice on memory (seccomp)": "madvise:error=EPERM",
    "no priorities": "setpriority:error=EPERM",
    "no affinity": "sched_getaffinity:error=ENOSYS",
    "no advice on files": "fadvise64:error=ENOSYS",
    "no preallocation": "fallocate:error=EOPNOTSUPP",
}


@pytest.mark.parametrize("stored", ["as it is", "compressed"])
@pytest.mark.parametrize("refused", REFUSED)
def test_a_kernel_that_refuses(tmp_path, closed, refused, stored):
    """Both processes live without it, and a writer that is killed is replaced."""
    fault = REFUSED[refused]
    command = [need_strace(), "-f", "-qq", "-o", str(tmp_path / "log"), "-e", f"trace={fault.partition(':')[0]}"]
    command += ["-e", f"inject={fault}", sys.executable, "-c", SCRIPT, stored]
    done = subprocess.run(command, cwd=tmp_path, env=environment(), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split()[:2] == ["complete", "1"]
    assert closed() == ("complete", 60)


def test_proc_is_not_mounted(tmp_path, closed):
    """Without /proc, as in a bare chroot, a ring is made and the file is right."""
    if shutil.which("unshare") is None:
        pytest.skip("unshare is not installed")
    mount = 'mount -t tmpfs tmpfs /proc && exec "$@"'
    command = ["unshare", "-m", "--propagation", "private", "sh", "-c", mount, "sh"]
    probe = subprocess.run([*command, "true"], capture_output=True, check=False)
    if probe.returncode:
        pytest.skip("no mounts of one's own here")
    done = subprocess.run(
        [*command, sys.executable, "-c", SCRIPT, "as it is"],
        cwd=tmp_path,
        env=environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.split()[:2] == ["complete", "1"]
    assert closed() == ("complete", 60)


def test_python_without_shared_memory(start, closed, tmp_path, monkeypatch):
    """A Python that was built without POSIX shared memory has the ring in a memfd all the same, as has the writer."""
    site = tmp_path / "site"
    site.mkdir()
    (site / "sitecustomize.py").write_text("import sys\nsys.modules['_posixshmem'] = None\n")
    monkeypatch.setenv("PYTHONPATH", str(site), prepend=os.pathsep)
    done = start("""
        with Spool("run.h5", buffer_bytes=1 << 20) as spool:
            for index in range(30):
                spool.put(frame(index))
        print(spool.result.state, flush=True)
    """).end()
    assert (done.code, done.out) == (0, "complete\n"), done.err
    assert closed() == ("complete", 30)


_PUTTING = """
spool = Spool("run.h5", buffer_bytes=1 << 20)
spool.put(frame(0))
def put():
    index = 1
    while True:
        spool.put(frame(index % 60_000))
        index += 1
thread = threading.Thread(target=put, daemon=True)
"""


def test_the_interpreter_ends_with_a_spool_in_another_thread(start, closed):
    """A daemon thread puts while the script ends: the file is closed as interrupted, and nothing hangs."""
    done = start(_PUTTING + "thread.start()\ntime.sleep(0.2)").end(limit_s=60)
    assert done.code == 0
    assert closed()[0] == "interrupted"


def test_no_error_in_a_daemon_thread_while_the_interpreter_ends(start, closed):
    """A daemon thread stops in its `put` while the script ends: a traceback at that moment can abort Python."""
    ending = """
import atexit, mmspool.persistence.spool_lifecycle
close = mmspool.persistence.spool_lifecycle._close_at_exit
atexit.unregister(close)
def end():
    close()
    thread.join(0.5)
    print("alive" if thread.is_alive() else "ended", spool.close().state, flush=True)
atexit.register(end)
thread.start()
"""
    done = start(_PUTTING + ending).end(limit_s=60)
    assert (done.code, done.err, done.out) == (0, "", "alive interrupted\n")
    assert closed()[0] == "interrupted"


def test_threads_that_the_system_refuses(tmp_path, mocker):
    """A spool that cannot have the thread that watches its writer is refused, and leaves nothing."""
    import threading

    from mmspool import Spool, StorageError

    start = threading.Thread.start

    def refuse(thread):
        if thread.name == "mmspool-watch":
            raise RuntimeError("can't start new thread")
        start(thread)

    mocker.patch.object(threading.Thread, "start", refuse)
    with pytest.raises(StorageError, match="the thread that watches the writer process could not be started"):
        Spool(tmp_path / "run.h5", buffer_bytes=1 << 20)
    assert not list(tmp_path.iterdir())
