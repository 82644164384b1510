"""Locks that bind, are refused, or are not there: recorded all the same, and readers do not get in the way."""

import errno
import fcntl
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import mmspool
from mmspool import RecordingError, Spool, StorageError, repair, verify
from mmspool.persistence.system import posix_file

pytestmark = pytest.mark.usefixtures("processes")

HOME = str(Path(mmspool.__file__).parents[1])

# A drive, below a folder, on which nobody can write to a file while any lock is held on it: SMB, and NFS of Windows.
BINDING = """
import errno, fcntl, os, threading
below, flock, pwrite = os.environ["BINDING_BELOW"], fcntl.flock, os.pwrite
probing = threading.Lock()  # or one thread's probe would be what another one finds

def bound(descriptor, data, offset):
    name = os.readlink(f"/proc/self/fd/{descriptor}")
    if name.startswith(below):
        with probing:
            probe = os.open(name, os.O_RDWR)
            try:
                flock(probe, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise PermissionError(errno.EACCES, os.strerror(errno.EACCES)) from None
            finally:
                os.close(probe)
    return pwrite(descriptor, data, offset)

os.pwrite = bound
"""

# A drive whose locks fail with an error.
REFUSING = """
import errno, fcntl, os
code = int(os.environ["LOCKS_FAIL_WITH"])

def refuse(descriptor, operation):
    raise OSError(code, os.strerror(code))

fcntl.flock = refuse
"""

SCRIPT = """
import sys
import numpy as np
import mmspool
from mmspool import Spool

with Spool(sys.argv[1], shape=(64, 64), dtype="u2", buffer_bytes=8 << 20, sync_interval_s=0.05) as spool:
    for index in range(300):
        spool.put(np.full((64, 64), index, "u2"))
        if index % 50 == 0:
            with mmspool.open(sys.argv[1]) as early:
                early.refresh()
                spool.put(np.full((64, 64), index, "u2"))
result = spool.close()
report = mmspool.verify(sys.argv[1])
print(result.state, result.frames_written, report.complete)
"""


def record(folder, imitated, **environment):
    """Run a script that records and reads, on an imitated drive."""
    site = folder / "site"
    site.mkdir()
    (site / "sitecustomize.py").write_text(imitated)
    (folder / "drive").mkdir()
    return subprocess.run(
        [sys.executable, "-c", SCRIPT, str(folder / "drive" / "run.h5")],
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(site), HOME]), **environment},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def test_locks_that_bind(tmp_path):
    """A shared lock that would keep the writer from writing is not held, neither by the spool nor by a reader."""
    done = record(tmp_path, BINDING, BINDING_BELOW=str(tmp_path / "drive"))
    assert done.stdout.split() == ["complete", "306", "True"], done.stderr
    assert "the file is not locked" in done.stderr


@pytest.mark.parametrize("code", [errno.ENOTSUP, errno.ENOLCK, errno.ENOSYS, errno.EINVAL, errno.EPERM])
def test_no_locks(tmp_path, code):
    """Where locks are refused, there are none."""
    done = record(tmp_path, REFUSING, LOCKS_FAIL_WITH=str(code))
    assert done.stdout.split() == ["complete", "306", "True"], done.stderr


def test_a_lock_of_another_program(tmp_path):
    """A file that another program holds for itself is not repaired, read or replaced, and that is said."""
    path = tmp_path / "run.h5"
    with Spool(path, buffer_bytes=8 << 20) as spool:
        spool.put(np.zeros((4, 6), "u2"))
    with path.open("rb+") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        with pytest.raises(RecordingError, match="in use"):
            repair(path)
        with pytest.raises(RecordingError, match="locked by another program"):
            mmspool.open(path)
        with pytest.raises(StorageError, match="in use"):
            Spool(path, overwrite=True)
    assert verify(path).complete


@pytest.mark.parametrize("code", [errno.EAGAIN, errno.EACCES])
def test_a_lock_is_held(tmp_path, monkeypatch, code):
    """Both errors that file systems give for a lock that another holds are taken for that."""
    path = tmp_path / "file"
    path.touch()
    monkeypatch.setattr(fcntl, "flock", lambda *_: (_ for _ in ()).throw(OSError(code, os.strerror(code))))
    with path.open("rb") as file:
        assert posix_file.is_held(file.fileno())
        assert not posix_file.lock(file.fileno(), reading=False)


def test_nfs_locks_only_what_is_open_for_writing(tmp_path, monkeypatch):
    """A file that can only be read cannot be locked exclusively on NFS: nobody is taken to hold it."""
    path = tmp_path / "file"
    path.touch()
    monkeypatch.setattr(fcntl, "flock", lambda *_: (_ for _ in ()).throw(OSError(errno.EBADF, "bad")))
    with path.open("rb") as file:
        assert not posix_file.is_held(file.fileno())


def test_looking_for_locks_that_bind_changes_nothing(tmp_path):
    """The byte that is written to find out is the one that was there."""
    for content in (b"", b"\x89HDF and more"):
        path = tmp_path / f"file{len(content)}"
        path.write_bytes(content)
        assert not posix_file.lock_binds(path)
        assert path.read_bytes() == content
