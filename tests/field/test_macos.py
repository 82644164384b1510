"""Files and memory as macOS has them, imitated: what Linux alone has is taken away, and fcntl's calls are noted.

Nothing of this ran on macOS itself. What is imitated is what Apple documents in fcntl(2), open(2) and <sys/fcntl.h>.
"""

import errno
import os
import struct
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import h5py
import pytest
from support.paths import environment
from support.processes import run_python

from mmspool.persistence.system import posix_file

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="it imitates macOS with what Linux has")

F_PREALLOCATE, F_NOCACHE, F_FULLFSYNC = 42, 48, 51
F_ALLOCATEALL, F_PEOFPOSMODE = 4, 3


class Fcntl:
    """The `fcntl` module of macOS; ``refused`` has the error of each command that the file system does not know."""

    F_NOCACHE, F_FULLFSYNC = F_NOCACHE, F_FULLFSYNC

    def __init__(self) -> None:
        self.calls: list[tuple[int, Any]] = []
        self.refused: dict[int, int] = {}

    def fcntl(self, descriptor: int, command: int, argument: Any = 0) -> Any:
        """Note a call."""
        os.fstat(descriptor)
        self.calls.append((command, argument))
        if command in self.refused:
            raise OSError(self.refused[command], os.strerror(self.refused[command]))
        return argument


@pytest.fixture
def fcntl(monkeypatch: pytest.MonkeyPatch) -> Fcntl:
    """Let `posix_file` run as on macOS, and return what it calls."""
    fake = Fcntl()
    monkeypatch.setattr(posix_file, "fcntl", fake)
    monkeypatch.setattr(posix_file, "sys", SimpleNamespace(platform="darwin"))
    for name in ("O_DIRECT", "posix_fallocate", "fdatasync", "posix_fadvise"):
        monkeypatch.delattr(os, name)
    return fake


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Make a file of three bytes."""
    path = tmp_path / "file"
    path.write_bytes(b"abc")
    return path


@pytest.fixture
def descriptor(path: Path) -> Any:
    """Open the file for reading and writing."""
    descriptor = posix_file.open_file(path, os.O_RDWR)
    yield descriptor
    os.close(descriptor)


class TestDirectWrites:
    """F_NOCACHE stands for O_DIRECT."""

    def test_pages_are_not_kept(self, fcntl: Fcntl, path: Path) -> None:
        """A file for direct writes is opened and marked, and any memory can be written to any offset."""
        direct = posix_file.open_direct(path)
        assert direct is not None
        assert posix_file.write_direct_once(direct, memoryview(b"xy"), 1) == 2
        os.close(direct)
        assert fcntl.calls == [(F_NOCACHE, 1)]
        assert path.read_bytes() == b"axy"

    def test_a_file_system_that_does_not_know_it(self, fcntl: Fcntl, path: Path) -> None:
        """Where the mark is refused there are no direct writes, and no descriptor is left."""
        fcntl.refused = {F_NOCACHE: errno.ENOTSUP}
        before = len(list(Path("/proc/self/fd").iterdir()))
        assert posix_file.open_direct(path) is None
        assert len(list(Path("/proc/self/fd").iterdir())) == before

    def test_a_file_that_is_gone(self, fcntl: Fcntl, path: Path) -> None:
        """Other errors are not taken for a refusal."""
        fcntl.refused = {F_NOCACHE: errno.EIO}
        with pytest.raises(OSError) as caught:
            posix_file.open_direct(path)
        assert caught.value.errno == errno.EIO

    def test_nothing_is_dropped_from_the_cache(self, fcntl: Fcntl, descriptor: int) -> None:
        """Without posix_fadvise nothing is asked."""
        posix_file.drop_cached(descriptor, 0, 3)
        assert fcntl.calls == []


class TestRoom:
    """F_PREALLOCATE stands for fallocate."""

    def test_room_is_set_aside_and_the_end_moved(self, fcntl: Fcntl, descriptor: int, path: Path) -> None:
        """All bytes behind the end are allocated, as struct fstore says it, and read as zeros."""
        assert posix_file.allocate(descriptor, 3, 10_000)
        ((command, store),) = fcntl.calls
        assert (command, struct.unpack("=Iiqqq", store)) == (
            F_PREALLOCATE,
            (F_ALLOCATEALL, F_PEOFPOSMODE, 0, 10_000, 0),
        )
        assert len(store) == struct.calcsize("@Iiqqq"), "a C compiler puts no gaps into it"
        assert path.read_bytes() == b"abc" + bytes(10_000)

    @pytest.mark.parametrize("code", [errno.ENOTSUP, errno.EINVAL, errno.EPERM])
    def test_a_file_system_that_cannot(self, fcntl: Fcntl, descriptor: int, path: Path, code: int) -> None:
        """Where nothing is set aside the file is only made longer, and that is reported."""
        fcntl.refused = {F_PREALLOCATE: code}
        assert not posix_file.allocate(descriptor, 3, 100)
        assert path.stat().st_size == 103

    def test_a_full_disk(self, fcntl: Fcntl, descriptor: int, path: Path) -> None:
        """A disk without room is an error, and the file keeps its size."""
        fcntl.refused = {F_PREALLOCATE: errno.ENOSPC}
        with pytest.raises(OSError) as caught:
            posix_file.allocate(descriptor, 3, 100)
        assert caught.value.errno == errno.ENOSPC
        assert path.stat().st_size == 3


class TestSync:
    """F_FULLFSYNC stands for fdatasync, since fsync of macOS leaves the data in the drive's cache."""

    def test_the_drive_s_cache_is_emptied(self, fcntl: Fcntl, descriptor: int, monkeypatch: pytest.MonkeyPatch) -> None:
        """The drive is asked, and nothing else."""
        monkeypatch.setattr(os, "fsync", lambda _: pytest.fail("that is not enough"))
        posix_file.sync(descriptor)
        assert fcntl.calls == [(F_FULLFSYNC, 0)]

    @pytest.mark.parametrize("code", [errno.ENOTSUP, errno.EINVAL])
    def test_a_network_drive(self, fcntl: Fcntl, descriptor: int, monkeypatch: pytest.MonkeyPatch, code: int) -> None:
        """Where there is no drive to ask, the file is synced as on other systems."""
        synced: list[int] = []
        monkeypatch.setattr(os, "fsync", synced.append)
        fcntl.refused = {F_FULLFSYNC: code}
        posix_file.sync(descriptor)
        assert synced == [descriptor]

    def test_a_failing_drive(self, fcntl: Fcntl, descriptor: int) -> None:
        """An error of the drive is one."""
        fcntl.refused = {F_FULLFSYNC: errno.EIO}
        with pytest.raises(OSError) as caught:
            posix_file.sync(descriptor)
        assert caught.value.errno == errno.EIO


TAKEN_AWAY = """
import atexit, fcntl, os
from pathlib import Path
for name in ("O_DIRECT", "O_TMPFILE", "memfd_create", "posix_fallocate", "posix_fadvise", "fdatasync"):
    if hasattr(os, name):
        delattr(os, name)
fcntl.F_NOCACHE, fcntl.F_FULLFSYNC = 48, 51
counts, real = {42: 0, 48: 0, 51: 0}, fcntl.fcntl

def imitated(descriptor, command, argument=0):
    if command not in counts:
        return real(descriptor, command, argument)
    counts[command] += 1
    return os.fsync(descriptor) if command == 51 else 0

fcntl.fcntl = imitated
log = Path(__file__).with_name(f"calls-{os.getpid()}")
atexit.register(lambda: log.write_text(" ".join(map(str, counts.values()))))
"""
"""A `sitecustomize` for the script's process and the writer's."""

SCRIPT = """
import os
import numpy as np
from mmspool import Spool
with Spool("run.h5", buffer_bytes=8 << 20) as spool:
    print(spool._client.writer.pid)
    for index in range(300):
        spool.put(np.full((192, 128), index, "u2"))
    print([name for name in os.listdir("/dev/shm") if name.startswith("mmspool")])
print(spool.result.state)
"""


def test_a_recording_as_on_macos(processes: None, tmp_path: Path) -> None:
    """With shm_open, F_NOCACHE, F_PREALLOCATE and F_FULLFSYNC a recording is whole, and its memory has no name."""
    (tmp_path / "sitecustomize.py").write_text(TAKEN_AWAY)
    path = os.pathsep.join([str(tmp_path), environment().get("PYTHONPATH", "")])
    done = run_python("-c", SCRIPT, cwd=tmp_path, env=environment(PYTHONPATH=path))
    assert done.code == 0, done.err
    writer, blocks, state = done.out.splitlines()
    assert (blocks, state) == ("[]", "complete")
    rooms, uncached, syncs = map(int, (tmp_path / f"calls-{writer}").read_text().split())
    assert rooms >= 3
    assert uncached == 1
    assert syncs >= 2
    with h5py.File(tmp_path / "run.h5") as file:
        assert [int(frame[0, 0]) for frame in file["data"]] == list(range(300))
