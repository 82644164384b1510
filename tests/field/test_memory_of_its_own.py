"""Memory that is not the machine's, and shared memory that somebody tidies away."""

import logging
import os
import signal
import subprocess
import sys

import numpy as np
import pytest
from support.processes import shared_memory_names

import mmspool
from mmspool import Spool, StorageError
from mmspool.persistence.capacity import ring_frames
from mmspool.persistence.shared_ring import buffer_size

GIB = 1 << 30


@pytest.fixture
def groups(tmp_path, monkeypatch):
    """Return a function that imitates control groups: lines of /proc/self/cgroup, and files below its folder."""

    def imitate(lines, files):
        root = tmp_path / "cgroup"
        for name, content in files.items():
            place = root / name
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_text(str(content))
        listed = tmp_path / "self"
        listed.write_text(lines)
        monkeypatch.setattr(buffer_size, "_CGROUPS", root)
        monkeypatch.setattr(buffer_size, "_OWN_GROUPS", listed)

    return imitate


def files(group, limit, used, cache, names=("memory.max", "memory.current", "inactive_file")):
    """Return the files of a group."""
    return {
        f"{group}/{names[0]}": limit,
        f"{group}/{names[1]}": used,
        f"{group}/memory.stat": f"anon 1\n{names[2]} {cache}\nslab 3\n",
    }


V1 = ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file")
GROUPS = {
    "version 2": ("0::/job/step\n", files("job/step", 600, 200, 50), [450]),
    "version 2, the limit is the parent's": (
        "0::/job/step\n",
        files("job/step", "max", 100, 0) | files("job", 500, 450, 100),
        [150],
    ),
    "version 1": (
        "5:cpu:/x\n3:hugetlb,memory:/job\n",
        files("memory/job", 1000, 900, 30, V1) | files("memory", 9223372036854771712, 5000, 0, V1),
        [130, 9223372036854766712],
    ),
    "a container sees its own group as the root": ("0::/\n", files(".", 700, 100, 0), [600]),
    "the path is one of another container": ("3:memory:/docker/abc\n", files("memory", 800, 900, 0, V1), [0]),
    "no limit": ("0::/job\n", files("job", "max", 100, 0), []),
    "none": ("", {}, []),
}


@pytest.mark.parametrize("case", GROUPS)
def test_what_control_groups_leave(groups, case):
    """Every limit above this process counts, with what the page cache can give back."""
    lines, tree, left = GROUPS[case]
    groups(lines, tree)
    assert list(buffer_size._cgroups_free()) == left


def test_the_default_ring_fits_and_says_that_it_is_small(groups, tmp_path, caplog):
    """A quarter of what the group leaves; the log and `stats` tell its size, and the recording works."""
    groups("0::/job\n", files("job", 512 << 20, 128 << 20, 0))
    with caplog.at_level(logging.WARNING), Spool(tmp_path / "run.h5") as spool:
        spool.put(np.zeros((512, 512), "u2"))
        assert spool.stats.ring_bytes == 80 << 20
    assert "the ring has only 83,886,080 bytes, because the memory limit" in caplog.text


def test_a_large_frame_gets_a_larger_ring(tmp_path, monkeypatch):
    """The default ring holds four frames at least, whether the shape was announced or comes with the first frame."""
    monkeypatch.setattr(buffer_size, "_DEFAULT_BYTES", 4 << 20)
    image = np.arange(1 << 21, dtype="u2").reshape(1024, -1)
    with Spool(tmp_path / "announced.h5", shape=image.shape, dtype=image.dtype) as announced:
        assert announced.stats.ring_frames == 4
        announced.put(image)
    with Spool(tmp_path / "first.h5") as first:
        first.record_loss(3, "camera")
        for _ in range(9):
            first.put(image)
        assert first.stats.ring_frames == 4
        assert first.stats.ring_bytes > 4 * image.nbytes
    assert (first.result.frames_written, first.result.frames_lost) == (9, 3)
    with mmspool.open(first.path) as recording:
        assert (recording[8] == image).all()
        assert recording.losses[0].before_frame == 0


@pytest.mark.parametrize(("free_gb", "frames"), [(22, 4), (4, 3), (3, 2)])
def test_frames_of_half_a_gigabyte(monkeypatch, free_gb, frames):
    """The default ring holds four frames of 537 MB where half of the free memory is enough for that, else fewer."""
    monkeypatch.setattr(buffer_size, "available", lambda: (free_gb * 10**9, "this computer's memory"))
    shape, dtype = (16384, 16384), np.dtype("u2")
    size = buffer_size.default_buffer_bytes(16384 * 16384 * 2)
    assert ring_frames(shape, dtype, size) == frames
    assert size <= free_gb * 10**9 / 2


def test_a_frame_for_which_the_limit_is_too_low(groups, tmp_path):
    """The message names the limit and what it leaves, not an option that would be refused too."""
    groups("0::/job\n", files("job", 80 << 20, 0, 0))
    with pytest.raises(StorageError, match=r"up to half of what the memory limit .* leaves, 16,777,216 bytes"):
        Spool(tmp_path / "run.h5", shape=(2048, 2048), dtype="u2")
    assert not list(tmp_path.glob("*.h5"))


LIMITED = """
import sys
import numpy as np
from mmspool import Spool
with Spool("run.h5") as spool:
    for index in range(300):
        spool.put(np.zeros((512, 512), "u2"))
print(spool.result.state, spool.stats.ring_bytes)
"""


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such limits")
@pytest.mark.parametrize("limit", [3 * GIB])
def test_a_limited_address_space(start, limit):
    """As under ``ulimit -v``: both processes fit."""
    done = start(f"import resource; resource.setrlimit(resource.RLIMIT_AS, ({limit}, {limit}))\n" + LIMITED).end()
    assert done.out.startswith("complete"), done.err


@pytest.mark.skipif(sys.platform != "linux" or os.geteuid() != 0, reason="only root can mount")
def test_small_shared_memory_is_no_limit(tmp_path):
    """With Docker's usual 64 MB of /dev/shm the ring is as large as anywhere: it is not there."""
    mount = 'mount -t tmpfs -o size=64m tmpfs /dev/shm && exec "$@"'
    command = ["unshare", "-m", "--propagation", "private", "sh", "-c", mount, "sh", sys.executable, "-c", LIMITED]
    from support.paths import environment

    done = subprocess.run(command, cwd=tmp_path, env=environment(), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert int(done.stdout.split()[1]) > 64 << 20


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere shared memory is no files")
def test_shared_memory_is_tidied_away(tmp_path):
    """Whatever has a name in /dev/shm is removed, and the writer killed: the next one takes over all the same."""
    with Spool(tmp_path / "run.h5", buffer_bytes=1 << 20) as spool:
        for index in range(50):
            spool.put(np.full((24, 32), index, "u2"))
        assert not shared_memory_names(os.getpid(), spool._client.writer.pid), "there is a name to be removed"
        os.kill(spool._client.writer.pid, signal.SIGKILL)
        for index in range(50, 100):
            spool.put(np.full((24, 32), index, "u2"))
    assert (spool.result.state, spool.result.stats.writer_restarts) == ("complete", 1)
    with mmspool.open(spool.path) as recording:
        assert recording[:, 0, 0].tolist() == list(range(100))
