"""One face for files on every system: the same tests over Linux' and Windows' implementation."""

import errno
import mmap
import os
import threading

import h5py
import pytest

from mmspool.persistence.system import os_file

PAGE = 4096


@pytest.fixture
def path(tmp_path):
    """Make an empty file."""
    path = tmp_path / "file"
    path.touch()
    return path


@pytest.fixture
def descriptor(path):
    """Open the file for reading and writing."""
    descriptor = os_file.open_file(path, os.O_RDWR)
    yield descriptor
    os.close(descriptor)


@pytest.fixture
def direct(path):
    """Open the file for direct writes."""
    descriptor = os_file.open_direct(path)
    assert descriptor is not None
    yield descriptor
    os.close(descriptor)


@pytest.fixture
def pages():
    """Make four pages of memory on a page's boundary, each of its own number."""
    memory = mmap.mmap(-1, 4 * PAGE)
    memory[:] = b"".join(bytes([number]) * PAGE for number in range(1, 5))
    return memoryview(memory)


class TestOffsets:
    """Reading and writing at offsets."""

    def test_bytes_are_read_where_they_were_written(self, descriptor):
        """A write at an offset is read back from there, and the gap before it as zeros."""
        os_file.pwrite_all(descriptor, b"abc", 10)
        assert os_file.pread(descriptor, 5, 8) == b"\0\0abc"

    def test_line_ends_and_the_end_of_text_stay_as_they_are(self, descriptor, path):
        """No byte is translated: neither line ends nor the end-of-file mark of text files."""
        data = bytes(range(256)) + b"\r\n\n\r\x1a"
        os_file.pwrite_all(descriptor, data, 0)
        assert path.read_bytes() == os_file.pread(descriptor, 1000, 0) == data

    def test_reading_beyond_the_end_gives_what_there_is(self, descriptor):
        """A read stops at the file's end, and there is nothing behind it."""
        os_file.pwrite_all(descriptor, b"abc", 0)
        assert os_file.pread(descriptor, 10, 1) == b"bc"
        assert os_file.pread(descriptor, 10, 3) == os_file.pread(descriptor, 10, 1000) == b""
        assert os_file.pread(descriptor, 0, 0) == b""

    @pytest.mark.parametrize("offset", [(1 << 31) - 2, (1 << 32) - 2, (1 << 33) + 5])
    def test_offsets_beyond_32_bits(self, descriptor, offset, path):
        """Offsets of more than 2 and 4 GiB are exact."""
        if path.stat().st_size < offset:
            os_file.truncate(descriptor, offset + 8)  # sparse on Linux, and under Wine
        os_file.pwrite_all(descriptor, b"four", offset)
        assert os_file.pread(descriptor, 6, offset - 1) == b"\0four\0"
        os_file.truncate(descriptor, 0)

    def test_threads_do_not_disturb_each_other(self, descriptor):
        """Writes of several threads through one descriptor all end where they belong."""

        def write(number):
            for place in range(number, 400, 4):
                os_file.pwrite_all(descriptor, bytes([number]) * 512, place * 512)

        threads = [threading.Thread(target=write, args=(number,)) for number in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert os_file.pread(descriptor, 400 * 512, 0) == b"".join(bytes([place % 4]) * 512 for place in range(400))

    def test_any_memory_can_be_written(self, descriptor):
        """Bytes, read-only views and parts of arrays are written as they are."""
        for data in (b"abcd", memoryview(b"abcd"), memoryview(bytearray(b"xabcdx"))[1:5]):
            os_file.truncate(descriptor, 0)
            os_file.pwrite_all(descriptor, data, 0)
            assert os_file.pread(descriptor, 10, 0) == b"abcd"

    def test_nothing_can_be_written(self, descriptor):
        """A write of no bytes is one that succeeds."""
        os_file.pwrite_all(descriptor, b"", 5)
        assert os.fstat(descriptor).st_size == 0

    def test_a_descriptor_for_reading_refuses_writes(self, path):
        """What may not be written raises the system's error at once."""
        descriptor = os_file.open_file(path, os.O_RDONLY)
        try:
            with pytest.raises(OSError) as caught:
                os_file.pwrite_all(descriptor, b"abc", 0)
        finally:
            os.close(descriptor)
        assert caught.value.errno in (errno.EBADF, errno.EACCES)


class TestDirect:
    """Writes past the page cache."""

    def test_pages_arrive(self, direct, descriptor, pages):
        """Whole pages are written in their place, and a plain reader sees them."""
        assert os_file.pwrite_direct(direct, pages, 2 * PAGE) == 4 * PAGE
        assert os_file.pread(descriptor, 6 * PAGE, 0) == bytes(2 * PAGE) + bytes(pages)

    def test_they_and_plain_writes_see_each_other(self, direct, descriptor, pages):
        """Direct and plain writes to the same pages leave what came last."""
        os_file.pwrite_all(descriptor, b"\xee" * 4 * PAGE, 0)
        os_file.pwrite_direct(direct, pages[:PAGE], PAGE)
        os_file.pwrite_all(descriptor, b"\xdd" * 10, PAGE)
        expected = b"\xee" * PAGE + b"\xdd" * 10 + b"\x01" * (PAGE - 10) + b"\xee" * 2 * PAGE
        assert os_file.pread(descriptor, 4 * PAGE, 0) == expected

    @pytest.mark.parametrize(("start", "stop", "offset"), [(1, PAGE + 1, 0), (0, 100, 0), (0, PAGE, 512 + 1)])
    def test_what_is_not_aligned_is_refused(self, direct, descriptor, pages, start, stop, offset):
        """Memory, length and offset have to be multiples of a page; nothing is written otherwise."""
        with pytest.raises(OSError) as caught:
            os_file.pwrite_direct(direct, pages[start:stop], offset)
        assert caught.value.errno == errno.EINVAL
        assert os.fstat(descriptor).st_size == 0


class TestSize:
    """Room for what is to come."""

    def test_allocating_extends_with_zeros(self, descriptor, path):
        """A file with room ahead has its new size, and zeros there."""
        os_file.pwrite_all(descriptor, b"abc", 0)
        os_file.allocate(descriptor, 3, 10_000)
        assert path.stat().st_size == 10_003
        assert os_file.pread(descriptor, 20_000, 0) == b"abc" + bytes(10_000)

    def test_more_than_any_disk_has_is_refused(self, descriptor, path):
        """Where there is no room the system says so, and the file can have its old size again."""
        os_file.pwrite_all(descriptor, b"abc", 0)
        with pytest.raises(OSError) as caught:
            os_file.allocate(descriptor, 3, 1 << 60)
        assert caught.value.errno in (errno.ENOSPC, errno.EFBIG)
        os_file.truncate(descriptor, 3)
        assert path.read_bytes() == b"abc"

    def test_the_end_moves_both_ways(self, descriptor, path):
        """A file can be cut, and what is cut off is zeros when it grows again."""
        os_file.pwrite_all(descriptor, b"abcdef", 0)
        os_file.truncate(descriptor, 2)
        os_file.truncate(descriptor, 4)
        assert path.read_bytes() == b"ab\0\0"

    def test_a_sync_returns(self, descriptor, path):
        """Syncing a file and its folder succeeds."""
        os_file.pwrite_all(descriptor, b"abc", 0)
        os_file.sync(descriptor)
        os_file.sync_folder(path.parent)


class TestNames:
    """Opening, creating and removing files."""

    def test_an_existing_file_is_not_created(self, path):
        """A name that is taken cannot be taken again."""
        with pytest.raises(FileExistsError) as caught:
            os_file.open_file(path, os.O_RDWR | os.O_CREAT | os.O_EXCL)
        assert caught.value.errno == errno.EEXIST
        assert str(caught.value.filename) == str(path)

    def test_a_missing_file_is_named(self, tmp_path):
        """The error of a missing file has its path."""
        with pytest.raises(FileNotFoundError, match="nothing"):
            os_file.open_file(tmp_path / "nothing", os.O_RDONLY)

    def test_children_do_not_get_descriptors(self, descriptor):
        """A process that is started later cannot keep the file open."""
        assert not os.get_inheritable(descriptor)

    def test_removing_twice(self, path):
        """A file can be removed, and once more."""
        os_file.remove_file(path)
        os_file.remove_file(path)
        assert not path.exists()


class TestLocks:
    """Files that are in use."""

    def test_it_is_seen_while_held(self, path, descriptor):
        """A file is in use from the lock until its descriptor is closed, however many have one."""
        assert not os_file.is_locked(path)
        os_file.lock_shared(descriptor)
        other = os_file.open_file(path, os.O_RDWR)
        os_file.lock_shared(other)
        assert os_file.is_locked(path)
        os.close(other)
        assert os_file.is_locked(path)

    def test_readers_hold_it_together(self, path):
        """Any number of readers may hold a file, and it is in use until the last of them lets go."""
        readers = [os_file.open_file(path, os.O_RDONLY) for _ in range(40)]
        for reader in readers:
            os_file.lock_for_reading(reader, being_written=False)
        while readers:
            assert os_file.is_locked(path)
            os.close(readers.pop())
        assert not os_file.is_locked(path)

    def test_a_reader_leaves_it_to_the_writer(self, path, descriptor):
        """While a writer holds the file its readers take no lock of their own."""
        os_file.lock_shared(descriptor)
        reader = os_file.open_file(path, os.O_RDONLY)
        os_file.lock_for_reading(reader, being_written=True)
        os_file.lock_shared(descriptor)
        os.close(reader)
        assert os_file.is_locked(path)

    def test_asking_does_not_hold_it(self, path):
        """The question whether a file is in use leaves no lock."""
        assert not os_file.is_locked(path)
        assert not os_file.is_locked(path)

    def test_the_data_can_be_used(self, path, descriptor):
        """While it is locked, others read and write the file as if it were not."""
        os_file.lock_shared(descriptor)
        os_file.pwrite_all(descriptor, b"abc", 0)
        with path.open("r+b") as other:
            assert other.read() == b"abc"
            other.write(b"def")
        assert os_file.pread(descriptor, 10, 0) == b"abcdef"

    def test_a_reader_with_hdf5_is_seen(self, tmp_path):
        """A file that is open in HDF5 is in use, unless HDF5 was asked not to lock it."""
        path = tmp_path / "file.h5"
        with h5py.File(path, "w") as file:
            file["x"] = 1
        with h5py.File(path, "r", locking=True):
            assert os_file.is_locked(path)
        assert not os_file.is_locked(path)

    def test_hdf5_reads_it_meanwhile(self, tmp_path):
        """A file in use can be read through HDF5 without its lock, and cannot be opened for writing with it."""
        path = tmp_path / "file.h5"
        with h5py.File(path, "w") as file:
            file["x"] = 1
        descriptor = os_file.open_file(path, os.O_RDWR)
        try:
            os_file.lock_shared(descriptor)
            with h5py.File(path, "r", locking=False) as file:
                assert file["x"][()] == 1
                os_file.pwrite_all(descriptor, os_file.pread(descriptor, 8, 0), 0)
            with pytest.raises(OSError, match="unable to lock file"):
                h5py.File(path, "r+", locking=True)
        finally:
            os.close(descriptor)
