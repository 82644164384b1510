"""The ring is the only buffer: as large as asked for and no larger, or refused."""

import contextlib
import errno
import gc
import os
from pathlib import Path

import numpy as np
import psutil
import pytest

from mmspool import StorageError
from mmspool.persistence.shared_ring import buffer_size, hugepages, shared_memory


@pytest.fixture(autouse=True)
def no_other_ring():
    """Free the rings that errors of earlier tests hold, by the arrays in their tracebacks."""
    gc.collect()


def ring_sizes():
    """Return the sizes of the rings that this process has, from the kernel's own account."""
    sizes = []
    for link in Path("/proc/self/fd").iterdir():
        with contextlib.suppress(FileNotFoundError):  # the one that lists them
            if "/memfd:mmspool" in str(link.readlink()):
                sizes.append(link.stat().st_size)
    return sizes


def is_mapped():
    """Return whether a ring is mapped into this process."""
    return "/memfd:mmspool" in Path("/proc/self/maps").read_text()


@pytest.mark.parametrize("buffer_bytes", [300_000, 1 << 20, 5_000_001])
def test_the_ring_is_never_larger_than_asked_for(make_spool, frames, buffer_bytes):
    """Before, during and after the first frame there is one ring, of at most `buffer_bytes`."""
    with make_spool(buffer_bytes=buffer_bytes) as spool:
        (before,) = ring_sizes()
        for index in range(200):
            spool.put(frames(index))
        assert ring_sizes() == [before] == [spool.stats.ring_bytes]
        assert buffer_bytes - 4096 < before <= buffer_bytes
        stats = spool.stats
        assert stats.ring_frames * 24 * 32 * 2 < buffer_bytes
        assert stats.ring_peak <= stats.ring_frames
    assert not ring_sizes()
    assert not is_mapped(), "the memory is given back when close returns"


def test_a_system_that_cannot_map_pages_ahead(make_spool, frames, mocker):
    """Where the kernel does not know how to populate a mapping, every page is looked at instead."""
    mocker.patch.object(hugepages, "_POPULATE_WRITE", 9999)
    touch = mocker.spy(shared_memory, "touch")
    with make_spool() as spool:
        assert touch.call_count == 1
        spool.put(frames(0))
    frames.check(spool.path, 1)


def test_memory_that_cannot_be_mapped(make_spool, tmp_path, mocker):
    """A ring that cannot be mapped is an error with the reason, and its memory is freed."""
    mocker.patch.object(shared_memory, "AlignedMap", side_effect=OSError(errno.ENOMEM, os.strerror(errno.ENOMEM)))
    with pytest.raises(StorageError, match=r"cannot make a ring of 1,048,576 bytes.*Cannot allocate memory"):
        make_spool(buffer_bytes=1 << 20)
    assert not ring_sizes()
    assert not list(tmp_path.iterdir())


def test_too_small_for_two_frames(make_spool, tmp_path):
    """A ring too small for two frames is refused at the first frame, with the size that would do."""
    spool = make_spool(buffer_bytes=200_000)
    with pytest.raises(StorageError, match=r"cannot hold 2 frames of 1000x1000 uint16, which take [\d,]+ bytes"):
        spool.put(np.zeros((1000, 1000), np.uint16))
    assert not list(tmp_path.iterdir())


def test_too_small_for_announced_frames(make_spool, tmp_path):
    """With the shape announced, the same is refused at once."""
    with pytest.raises(StorageError, match="cannot hold 2 frames of 1000x1000 uint16"):
        make_spool(buffer_bytes=200_000, shape=(1000, 1000), dtype="u2")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("buffer_bytes", [0, -5, 1, 50_000])
def test_too_small_for_anything(make_spool, tmp_path, buffer_bytes):
    """A ring without room beside its header is refused, naming the size it would need."""
    with pytest.raises(StorageError, match=rf"buffer_bytes is {buffer_bytes:,}; the ring needs 106,496 bytes"):
        make_spool(buffer_bytes=buffer_bytes)
    assert not list(tmp_path.iterdir())


def test_larger_than_memory(make_spool, tmp_path):
    """A ring larger than the memory there is, is refused with both figures, and leaves nothing."""
    asked = psutil.virtual_memory().total * 2 // 4096 * 4096
    with pytest.raises(
        StorageError,
        match=rf"a ring of {asked:,} bytes does not fit in this computer's memory, which leaves [\d,]+ bytes",
    ):
        make_spool(buffer_bytes=asked)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("limit", ["this computer's memory", "the memory limit of this process's control group"])
def test_larger_than_a_limit(make_spool, tmp_path, mocker, limit):
    """A ring larger than any limit is refused with both figures and the limit's name, and leaves nothing."""
    mocker.patch.object(buffer_size, "_limits", return_value=[(1 << 40, "another"), (2_000_000, limit)])
    with pytest.raises(StorageError, match=rf"3,997,696 bytes does not fit in {limit}, which leaves 2,000,000 bytes"):
        make_spool(buffer_bytes=4_000_000)
    assert not list(tmp_path.iterdir())


def test_shared_memory_that_is_gone_when_it_is_taken(make_spool, tmp_path, mocker):
    """Shared memory that another program takes at the last moment is an error, not a crash at the first frame."""
    mocker.patch.object(os, "posix_fallocate", side_effect=OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)))
    with pytest.raises(StorageError, match=r"no shared memory for a ring of 1,048,576 bytes.*No space left"):
        make_spool(buffer_bytes=1 << 20)
    assert not list(tmp_path.iterdir())


def test_shared_memory_that_the_system_refuses(make_spool, tmp_path):
    """A ring that the system refuses to create is an error with the system's reason."""
    import resource  # not on Windows

    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, hard))
    try:
        with pytest.raises(
            StorageError, match=r"2,097,152 bytes does not fit in the largest file allowed \(ulimit -f\)"
        ):
            make_spool(buffer_bytes=2 << 20)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert not list(tmp_path.iterdir())


def test_the_default_fits_beside_what_is_there(make_spool, frames):
    """Without a size the ring takes a share of what is free."""
    with make_spool(buffer_bytes=None) as spool:
        (size,) = ring_sizes()
        assert size <= min(1 << 30, psutil.virtual_memory().total // 4)
        spool.put(frames(0))
    frames.check(spool.path, 1)


def test_a_failed_start_leaves_the_old_file(make_spool, tmp_path):
    """Where the ring cannot be created, a file that was to be replaced is still there."""
    old = Path(tmp_path / "run.h5")
    old.write_text("old")
    with pytest.raises(StorageError):
        make_spool(buffer_bytes=1, overwrite=True)
    with pytest.raises(StorageError):
        make_spool(buffer_bytes=200_000, overwrite=True, shape=(1000, 1000), dtype="u2")
    assert old.read_text() == "old"
