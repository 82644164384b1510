"""File systems that are not ext4: recorded right, never written twice, or refused at start in a sentence."""

import contextlib
import errno
import os
import subprocess
from pathlib import Path

import numpy as np
import pytest
from support.mounts import MAKERS, can_mount

import mmspool
from mmspool import Spool, StorageError, verify
from mmspool.persistence import posix_file
from mmspool.persistence.hdf5_file.direct_file import DirectFile

pytestmark = pytest.mark.usefixtures("processes")

SHAPE = (512, 1024)
FRAMES = 40
FULL_OF = "no room"
KINDS = [kind for kind in (*MAKERS, "tmpfs", "overlay", "bindfs", "sshfs") if can_mount(kind)]
"""Those that can be mounted here; .ci/packages has their programs. What vfat lacks is imitated below."""


def frame(index):
    """Make frame ``index``."""
    return np.full(SHAPE, index + 1, "u2")


def record(path, frames=FRAMES, **options):
    """Record, and check what was recorded."""
    with Spool(path, buffer_bytes=32 << 20, **options) as spool:
        for index in range(frames):
            spool.put(frame(index))
    result = spool.close()
    assert (result.complete, result.frames_written) == (True, frames)
    with mmspool.open(path) as recording:
        for index in range(frames):
            np.testing.assert_array_equal(recording[index], frame(index))
    report = verify(path)
    assert report.complete, report
    return result


@pytest.mark.parametrize("compression", [None, "fast"])
@pytest.mark.parametrize("kind", KINDS)
def test_recorded_right(mounted, kind, compression):
    """Whatever a file system lacks, every frame is in the file."""
    place = mounted(kind)
    record(place / "run.h5", compression=compression)
    record(place / "run.h5", compression=compression, overwrite=True)


def bytes_written(device):
    """Return what a block device has been given to write."""
    return int(Path(f"/sys/block/{Path(device).name}/stat").read_text().split()[6]) * 512


@pytest.mark.parametrize("kind", [kind for kind in ("ext2", "ext3", "xfs", "btrfs") if kind in KINDS])
def test_nothing_is_written_twice(mounted, kind):
    """Where room cannot be allocated ahead, it is not filled with zeros either."""
    place = mounted(kind)
    device = next(line.split()[0] for line in Path("/proc/mounts").read_text().splitlines() if f" {place} " in line)
    subprocess.run(["sync", "-f", place], check=True)
    before = bytes_written(device)
    result = record(place / "run.h5", frames=100)
    subprocess.run(["sync", "-f", place], check=True)
    pixels = result.stats.bytes_written
    assert pixels <= bytes_written(device) - before < 1.3 * pixels + (8 << 20)


@pytest.mark.parametrize("kind", [kind for kind in ("ext3", "xfs", "tmpfs") if kind in KINDS])
def test_a_disk_without_room_is_refused_at_start(mounted, kind):
    """A file that cannot fit is refused before the first frame, whether room can be allocated ahead or not."""
    place = mounted(kind)
    with (place / "filler").open("wb") as file, contextlib.suppress(OSError):
        while True:
            file.write(bytes(1 << 20))
    with pytest.raises(StorageError, match=FULL_OF):
        Spool(place / "run.h5", shape=(2048, 2048), dtype="u2", buffer_bytes=64 << 20)
    assert not (place / "run.h5").exists()


@pytest.mark.parametrize("code", [errno.EOPNOTSUPP, errno.ENOSYS, errno.EPERM, errno.EINVAL])
def test_allocating_is_refused(tmp_path, monkeypatch, code):
    """The file gets its length all the same, without a byte being written."""

    def refuse(_descriptor, _start, _length):
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(posix_file, "_fallocate", refuse)
    path = tmp_path / "file"
    path.touch()
    file = DirectFile(path)
    try:
        file.reserve(0, 50 << 20)
        assert path.stat().st_size == 50 << 20
        assert path.stat().st_blocks == 0
        with pytest.raises(StorageError, match=FULL_OF):
            file.reserve(50 << 20, 1 << 50)
        assert path.stat().st_size == 50 << 20
    finally:
        file.close()
