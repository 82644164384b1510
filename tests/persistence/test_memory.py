"""The ring is the only buffer: as large as asked for and no larger, or refused."""

import errno
import os
import threading
from pathlib import Path

import numpy as np
import psutil
import pytest

from mmspool import StorageError
from mmspool.persistence import spool as spools
from mmspool.persistence.shared_ring import hugepages, memory
from mmspool.persistence.shared_ring import ring as rings
from mmspool.persistence.writer_process.client import WriterClient


def mapped_rings():
    """Return the places of the shared memory that this process has mapped."""
    places = {each.path for each in psutil.Process().memory_maps() if each.path.startswith("/dev/shm/")}
    return [Path(place) for place in places if "sem." not in place]


@pytest.mark.parametrize("buffer_bytes", [300_000, 1 << 20, 5_000_001])
def test_the_ring_is_never_larger_than_asked_for(make_spool, frames, wait_until, buffer_bytes):
    """Before, during and after the first frame there is one ring, of at most `buffer_bytes`."""
    with make_spool(buffer_bytes=buffer_bytes) as spool:
        (ring,) = mapped_rings()
        before = ring.stat().st_size
        for index in range(200):
            spool.put(frames(index))
        assert mapped_rings() == [ring]
        assert ring.stat().st_size == before
        assert buffer_bytes - 4096 < before <= buffer_bytes
        stats = spool.stats
        assert stats.ring_frames * 24 * 32 * 2 < buffer_bytes
        assert stats.ring_peak <= stats.ring_frames
    assert not ring.exists()
    wait_until(lambda: not mapped_rings())


def test_the_next_ring_waits_for_the_memory_of_the_one_before(make_spool, frames, mocker):
    """What a closed spool held is given back behind its caller's back, but before another spool takes memory."""
    happened, next_begins = [], threading.Event()
    give_back, new_ring = WriterClient.give_back, rings.Ring.create

    def late(feed):
        next_begins.wait(20.0)
        give_back(feed)
        happened.append("given back")

    def create(size):
        happened.append("new ring")
        return new_ring(size)

    mocker.patch.object(WriterClient, "give_back", late)
    mocker.patch.object(rings.Ring, "create", create)
    with make_spool("first.h5") as spool:
        spool.put(frames(0))
    from_keywords = spools.SpoolOptions.from_keywords
    mocker.patch.object(
        spools.SpoolOptions, "from_keywords", lambda **given: next_begins.set() or from_keywords(**given)
    )
    with make_spool("second.h5"):
        assert happened == ["new ring", "given back", "new ring"]


def test_a_system_that_cannot_map_pages_ahead(make_spool, frames, mocker):
    """Where the kernel does not know how to populate a mapping, every page is looked at instead."""
    mocker.patch.object(hugepages, "_POPULATE_WRITE", 9999)
    touch = mocker.spy(rings.Ring, "touch")
    with make_spool() as spool:
        assert touch.call_count == 1
        spool.put(frames(0))
    frames.check(spool.path, 1)


def test_memory_that_cannot_be_mapped(make_spool, tmp_path, mocker):
    """A ring that cannot be mapped is an error with the reason, and its memory is freed."""
    before = set(Path("/dev/shm").glob("mmspool-*"))
    mocker.patch.object(rings, "AlignedMap", side_effect=OSError(errno.ENOMEM, os.strerror(errno.ENOMEM)))
    with pytest.raises(StorageError, match=r"cannot make a ring of 1,048,576 bytes.*Cannot allocate memory"):
        make_spool(buffer_bytes=1 << 20)
    assert set(Path("/dev/shm").glob("mmspool-*")) <= before
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
    with pytest.raises(StorageError, match=rf"a ring of {asked:,} bytes does not fit in memory, of which [\d,]+ bytes"):
        make_spool(buffer_bytes=asked)
    assert not list(tmp_path.iterdir())


def test_larger_than_shared_memory(make_spool, tmp_path, mocker):
    """A ring larger than /dev/shm, as in a container, is refused with both figures, and leaves nothing."""
    mocker.patch.object(memory, "shm_free", return_value=2_000_000)
    with pytest.raises(StorageError, match=r"3,997,696 bytes does not fit in /dev/shm, which has 2,000,000 bytes free"):
        make_spool(buffer_bytes=4_000_000)
    assert not list(tmp_path.iterdir())


def test_shared_memory_that_is_gone_when_it_is_taken(make_spool, tmp_path, mocker):
    """Shared memory that another program takes at the last moment is an error, not a crash at the first frame."""
    mocker.patch.object(os, "posix_fallocate", side_effect=OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)))
    with pytest.raises(StorageError, match=r"no room for a ring of 1,048,576 bytes.*No space left"):
        make_spool(buffer_bytes=1 << 20)
    assert not list(tmp_path.iterdir())


def test_shared_memory_that_the_system_refuses(make_spool, tmp_path):
    """A ring that the system refuses to create is an error with the system's reason."""
    import resource  # not on Windows

    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, hard))
    try:
        with pytest.raises(StorageError, match=r"cannot make a ring of 2,097,152 bytes.*File too large"):
            make_spool(buffer_bytes=2 << 20)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert not list(tmp_path.iterdir())


def test_the_default_fits_beside_what_is_there(make_spool, frames):
    """Without a size the ring takes a share of what is free."""
    with make_spool(buffer_bytes=None) as spool:
        (ring,) = mapped_rings()
        assert ring.stat().st_size <= min(1 << 30, psutil.virtual_memory().total // 4)
        spool.put(frames(0))
    frames.check(spool.path, 1)


def test_a_failed_start_leaves_the_old_file(make_spool, tmp_path):
    """Where the ring cannot be made, a file that was to be replaced is still there."""
    old = Path(tmp_path / "run.h5")
    old.write_text("old")
    with pytest.raises(StorageError):
        make_spool(buffer_bytes=1, overwrite=True)
    with pytest.raises(StorageError):
        make_spool(buffer_bytes=200_000, overwrite=True, shape=(1000, 1000), dtype="u2")
    assert old.read_text() == "old"
