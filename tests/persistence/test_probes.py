"""Measuring a disk and copies, with real files and real shared memory."""

import contextlib
import errno
import os
import re
import tempfile
from pathlib import Path

import numpy as np
import pytest

from mmspool import StorageError
from mmspool.persistence.capacity import probes
from mmspool.persistence.capacity.probes import measure_copy, measure_disk
from mmspool.persistence.hdf5_file import direct_file
from mmspool.persistence.shared_ring import buffer_size

SIZE = 32 << 20
SHM = Path("/dev/shm")


def quick(folder, **options):
    """Write little."""
    return measure_disk(folder, **({"seconds": 60.0, "max_bytes": SIZE} | options))


def no_room(*_):
    """Refuse as a full disk does."""
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


class TestDisk:
    """`measure_disk`."""

    def test_writes_what_it_may_and_leaves_nothing(self, tmp_path):
        """The disk test writes the given number of bytes, computes its rate from them, and leaves no file."""
        rate = quick(tmp_path)
        assert rate.size_bytes == SIZE
        assert 0 < rate.slowest_s <= rate.seconds
        assert rate.bytes_per_s > 0
        assert list(tmp_path.iterdir()) == []

    def test_ends_in_time(self, tmp_path):
        """One stretch is written however short the time."""
        assert 0 < quick(tmp_path, seconds=1e-9, max_bytes=None).size_bytes < SIZE

    def test_takes_no_more_than_a_quarter_of_what_is_free(self, tmp_path, mocker):
        """The disk test writes at most a quarter of the free space, whatever was asked for."""
        mocker.patch.object(probes.shutil, "disk_usage").return_value.free = 4 * SIZE
        assert quick(tmp_path, max_bytes=100 * SIZE).size_bytes == SIZE

    def test_tells_how_far_it_is(self, tmp_path):
        """Ever more, up to all of it."""
        told = []
        quick(tmp_path, progress=told.append)
        assert told == sorted(told)
        assert told[-1] == 1.0

    def test_the_file_has_no_name_while_it_is_written(self, tmp_path):
        """The scratch file has no name while it is written, so a kill leaves nothing behind."""
        seen = []
        quick(tmp_path, progress=lambda _: seen.extend(tmp_path.iterdir()))
        assert seen == []

    def test_where_open_files_keep_their_names(self, tmp_path, monkeypatch):
        """Where open files keep their names, as on Windows, the scratch file is removed at the end."""
        unlink, refused = Path.unlink, []

        def refuse_once(path, **options):
            if not refused:
                refused.append(path)
                raise PermissionError(errno.EACCES, "in use")
            unlink(path, **options)

        monkeypatch.setattr(Path, "unlink", refuse_once)
        seen = []
        quick(tmp_path, progress=lambda _: seen.extend(tmp_path.iterdir()))
        assert refused[0] in seen
        assert list(tmp_path.iterdir()) == []

    @pytest.mark.parametrize("why", ["open", "write"])
    def test_where_direct_io_is_refused(self, tmp_path, monkeypatch, why):
        """The page cache is used, and said to be."""
        if why == "open":
            monkeypatch.setattr(direct_file, "open_direct", lambda _: None)
        else:
            monkeypatch.setattr(direct_file.DirectFile, "_write_direct", refuse_direct)
        rate = quick(tmp_path)
        assert (rate.direct, rate.size_bytes) == (False, SIZE)

    def test_progress_that_raises_ends_it(self, tmp_path):
        """Which is how Ctrl-C ends it; nothing is left."""

        def interrupt(_):
            raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            quick(tmp_path, progress=interrupt)
        assert list(tmp_path.iterdir()) == []


def refuse_direct(file, _data, _offset):
    """Do what `DirectFile` does when a file system takes O_DIRECT and then no such write."""
    file.direct = False
    return 0


class TestDiskFails:
    """One clear error each, and nothing left."""

    def test_no_folder(self, tmp_path):
        """A missing folder is named in the error."""
        message = re.escape(f"{tmp_path / 'none'}: the folder does not exist: create it first")
        with pytest.raises(StorageError, match=message):
            quick(tmp_path / "none")

    def test_a_file(self, tmp_path):
        """A file in place of a folder is refused."""
        (tmp_path / "run.h5").touch()
        with pytest.raises(StorageError, match="this is not a folder: name the one that recordings go to"):
            quick(tmp_path / "run.h5")

    def test_no_permission(self):
        """Where no file may be created, the error gives the system's reason."""
        with tempfile.TemporaryDirectory(prefix="mmspool-") as name:
            Path(name).chmod(0o555)
            with unprivileged(), pytest.raises(StorageError, match="Permission denied") as caught:
                quick(Path(name))
        assert caught.value.errno == errno.EACCES

    def test_hardly_any_room(self, tmp_path, mocker):
        """A disk that is full already is not filled for a test."""
        mocker.patch.object(probes.shutil, "disk_usage").return_value.free = 1000
        with pytest.raises(StorageError, match="1,000 bytes are free, too little to test the disk with"):
            quick(tmp_path)

    def test_room_that_is_gone_meanwhile(self, tmp_path, monkeypatch):
        """Another program took it, or a quota forbids it."""
        monkeypatch.setattr(direct_file, "allocate", no_room)
        with pytest.raises(StorageError, match=r"no room for [\d,]+ more bytes") as caught:
            quick(tmp_path)
        assert caught.value.errno == errno.ENOSPC
        assert list(tmp_path.iterdir()) == []

    def test_disk_that_fails(self, tmp_path, monkeypatch):
        """For a disk that fails, the error names the folder and the system's reason."""

        def fail(_):
            raise OSError(errno.EIO, os.strerror(errno.EIO))

        monkeypatch.setattr(direct_file, "sync", fail)
        message = re.escape(f"{tmp_path}: the disk failed in the test (Input/output error)")
        with pytest.raises(StorageError, match=message) as caught:
            quick(tmp_path)
        assert caught.value.errno == errno.EIO
        assert list(tmp_path.iterdir()) == []


@contextlib.contextmanager
def unprivileged():
    """Drop root's privileges, which no permission stops, meanwhile."""
    root = os.geteuid() == 0
    if root:
        os.setresuid(65534, 65534, 0)
    try:
        yield
    finally:
        if root:
            os.setresuid(0, 0, 0)


class TestCopy:
    """`measure_copy`."""

    @pytest.fixture(autouse=True)
    def short(self, monkeypatch):
        """Copy once, into a ring of 64 MB."""
        monkeypatch.setattr(probes, "_COPY_S", 1e-9)
        monkeypatch.setattr(probes, "_COPY_RING_BYTES", 64 << 20)

    @pytest.mark.parametrize(("shape", "dtype"), [((1024, 1024), "uint16"), ((64, 64), "uint8"), ((1, 1), "bool")])
    def test_takes_some_time(self, shape, dtype):
        """Any frame can be measured, and the ring is gone afterwards."""
        assert 0 < measure_copy(shape, np.dtype(dtype)) < 60

    def test_shared_memory_is_too_small(self, mocker):
        """Shared memory too small for the test, as in a container, is the error that a recording would raise."""
        mocker.patch.object(buffer_size, "_limits", return_value=[(1_000_000, "/dev/shm")])
        with pytest.raises(StorageError, match="cannot hold 2 frames of 2048x2048 uint16"):
            measure_copy((2048, 2048), np.dtype("uint16"))

    def test_shared_memory_that_is_gone_when_it_is_taken(self, monkeypatch):
        """Shared memory that vanishes during the test is an error, and the ring is removed."""
        monkeypatch.setattr(os, "posix_fallocate", no_room)
        with pytest.raises(StorageError, match="there is no shared memory for a ring of"):
            measure_copy((64, 64), np.dtype("uint16"))
