"""File systems that are not ext4: recorded right, never written twice, or refused at start in a sentence."""

import contextlib
import errno
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from support.mounts import MAKERS, can_mount
from support.paths import environment
from support.strace import need_strace

import mmspool
from mmspool import Spool, StorageError, verify
from mmspool.persistence.hdf5_file.direct_file import DirectFile
from mmspool.persistence.system import posix_file

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


SCRIPT = """
import numpy as np
import mmspool
from mmspool import Spool
try:
    with Spool("run.h5", shape=(240, 320), dtype="u2", buffer_bytes=8 << 20, grow_frames=20) as spool:
        for index in range(500):
            spool.put(np.full((240, 320), index, "u2"))
    print(spool.result.state, spool.result.frames_written)
except mmspool.MmspoolError as error:
    print(type(error).__name__, error)
    print(*getattr(error.__cause__, "__notes__", ()))
"""


def run_refused(folder, *faults):
    """Run the script while the kernel refuses calls about its file; return what it printed."""
    command = [need_strace(), "-f", "-qq", "-o", os.devnull, "-P", folder / "run.h5"]
    for fault in faults:
        command += ["-e", f"trace={','.join(each.partition(':')[0] for each in faults)}", "-e", f"inject={fault}"]
    done = subprocess.run(
        [*map(str, command), sys.executable, "-c", SCRIPT],
        cwd=folder, env=environment(), capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize("error", ["EIO", "EDQUOT", "ESTALE"])
@pytest.mark.parametrize("first", range(1, 6))
def test_errors_at_close(tmp_path, first, error):
    """What NFS reports at close(2) was reported by the syncs before: a file that was synced is complete."""
    assert run_refused(tmp_path, f"close:error={error}:when={first}+") == "complete 500\n"
    assert verify(tmp_path / "run.h5").complete


CHANGING = "pwrite64,fdatasync,fsync,ftruncate,fallocate"


def test_a_handle_that_is_stale_at_start(tmp_path):
    """A server that forgets the file while it is made: refused in a sentence, and nothing is left."""
    said = run_refused(tmp_path, f"{CHANGING}:error=ESTALE:when=20+")
    assert said.startswith(f"StorageError {tmp_path / 'run.h5'}: the file cannot be created (Stale file handle)")
    assert not (tmp_path / "run.h5").exists()


def test_a_handle_that_becomes_stale(tmp_path):
    """A server that forgets the file later: an error says what to do, and repair finds every frame that counted."""
    said = run_refused(tmp_path, f"{CHANGING}:error=ESTALE:when=300+")
    assert said.startswith("WriterError")
    assert "Stale file handle" in said
    assert "use mmspool repair" in said
    report = mmspool.repair(tmp_path / "run.h5")
    with mmspool.open(tmp_path / "run.h5") as recording:
        assert len(recording) >= report.frames_counted > 20
        assert recording[:, 0, 0].tolist() == list(range(len(recording)))


LIMIT_BYTES = 64 << 20

# FAT: no allocation ahead, no holes, files made longer by writing alone, none of 4 GiB or more (here of 64 MiB), and no
# direct writes, as through FUSE.
FAT = f"""
import errno, os
_ftruncate, _pwrite, _open = os.ftruncate, os.pwrite, os.open
del os.posix_fallocate

def fail(code):
    raise OSError(code, os.strerror(code))

def recording(descriptor):
    return os.readlink(f"/proc/self/fd/{{descriptor}}").endswith(".h5")

def ftruncate(descriptor, size):
    if recording(descriptor) and size > os.fstat(descriptor).st_size:
        fail(errno.EPERM)
    _ftruncate(descriptor, size)

def pwrite(descriptor, data, offset):
    size = os.fstat(descriptor).st_size
    if recording(descriptor) and offset + len(data) >= {LIMIT_BYTES}:
        fail(errno.EFBIG)
    if recording(descriptor) and offset > size:
        _pwrite(descriptor, bytes(offset - size), size)
    return _pwrite(descriptor, data, offset)

def open(path, flags, mode=0o777, **options):
    if flags & os.O_DIRECT:
        fail(errno.EINVAL)
    return _open(path, flags, mode, **options)

os.ftruncate, os.pwrite, os.open = ftruncate, pwrite, open
"""

ON_FAT = """
import sys
import numpy as np
import mmspool
from mmspool import Spool
try:
    with Spool("run.h5", shape=(512, 1024), dtype="u2", buffer_bytes=32 << 20, compression=eval(sys.argv[2])) as spool:
        for index in range(int(sys.argv[1])):
            spool.put(np.random.default_rng(index).integers(0, 1 << 16, (512, 1024), "u2"))
    print(spool.result.state, spool.result.frames_written)
except mmspool.WriterError as error:
    print(error)
"""


@pytest.mark.parametrize("compression", [None, "fast"])
@pytest.mark.parametrize("frames", [40, 100])
def test_fat(tmp_path, frames, compression):
    """On FAT a recording is right, and one that would be too large for it ends as on a full disk."""
    site = tmp_path / "site"
    site.mkdir()
    (site / "sitecustomize.py").write_text(FAT)
    done = subprocess.run(
        [sys.executable, "-c", ON_FAT, str(frames), repr(compression)],
        cwd=tmp_path, env=environment(PYTHONPATH=str(site)), capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    with mmspool.open(tmp_path / "run.h5") as recording:
        if frames == 40:
            assert done.stdout == "complete 40\n"
        else:
            assert "there is no room for the next frame (no room" in done.stdout, done.stdout
            assert "File too large" in done.stdout
            assert 40 <= len(recording) < LIMIT_BYTES >> 20
        for index, image in enumerate(recording):
            np.testing.assert_array_equal(image, np.random.default_rng(index).integers(0, 1 << 16, SHAPE, "u2"))
    assert verify(tmp_path / "run.h5").intact


@pytest.mark.parametrize("kind", [kind for kind in ("exfat", "ntfs") if kind in KINDS])
def test_names_that_differ_in_case(mounted, kind):
    """Where RUN.H5 is run.h5, the one is refused while the other exists, and may replace it."""
    place = mounted(kind)
    record(place / "run.h5", frames=3)
    if (place / "RUN.H5").exists():
        with pytest.raises(StorageError, match="the file exists"):
            Spool(place / "RUN.H5")
    record(place / "RUN.H5", frames=4, overwrite=True)
