"""Errors of Windows' calls have the numbers that Linux has for the same trouble, and recordings treat them alike."""

import ctypes
import errno
import mmap
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from mmspool.persistence.capacity import checkup
from mmspool.persistence.hdf5_file.direct_file import DirectFile
from mmspool.persistence.shared_ring import shared_memory
from mmspool.persistence.system import os_file, windows_calls, windows_file

PAGE = 4096

NUMBERS = {
    "a disk that failed": (errno.EIO, [20, 21, 22, 23, 25, 27, 29, 30, 31, 1110, 1111, 1117, 1127]),
    "a disk that is gone": (errno.EIO, [433, 995, 1006, 1167, 1617]),
    "a network drive that is gone": (errno.EIO, [51, 54, 55, 57, 59, 64, 1236]),
    "a device that does not answer": (errno.ETIMEDOUT, [121, 1460]),
    "memory that cannot be locked": (errno.ENOBUFS, [1450, 1453, 1816]),
    "a full disk": (errno.ENOSPC, [39, 112]),
    "a file in use": (errno.EBUSY, [32, 1224]),
    "a call that the volume does not have": (errno.EINVAL, list(windows_calls.REFUSED)),
}
"""Error numbers of <winerror.h>."""

Failing = Callable[..., None]


@pytest.fixture
def failing(monkeypatch: pytest.MonkeyPatch) -> Failing:
    """Return a function that lets a call of Windows fail with an error, a number of times; then it is itself again."""

    def fail(name: str, code: int, times: int = 100) -> None:
        call, left = getattr(windows_calls.kernel, name), [code] * times

        def replaced(*arguments: Any) -> int:
            if not left:
                return int(call(*arguments))
            ctypes.set_last_error(left.pop())
            return 0

        monkeypatch.setattr(windows_calls.kernel, name, replaced)

    return fail


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Make an empty file."""
    path = tmp_path / "file"
    path.touch()
    return path


@pytest.fixture
def file(path: Path) -> Iterator[DirectFile]:
    """Open the file as a recording does."""
    file = DirectFile(path)
    assert file.direct
    yield file
    file.close()


@pytest.fixture
def pages() -> memoryview:
    """Make two pages of memory on a page's boundary."""
    memory = mmap.mmap(-1, 2 * PAGE)
    memory[:] = b"\x11" * 2 * PAGE
    return memoryview(memory)


@pytest.mark.parametrize("trouble", NUMBERS)
def test_the_number_of_an_error(trouble: str) -> None:
    """Each of Windows' error numbers for the same trouble becomes that trouble's number, and stays beside it."""
    number, codes = NUMBERS[trouble]
    for code in codes:
        ctypes.set_last_error(code)
        with pytest.raises(OSError) as caught:
            windows_calls.check(0, "run.h5")
        assert (caught.value.errno, caught.value.winerror, caught.value.filename) == (number, code, "run.h5")


@pytest.mark.parametrize("code", [23, 31, 64, 121, 1117, 1167])
def test_a_device_that_recovers(file: DirectFile, path: Path, pages: memoryview, failing: Failing, code: int) -> None:
    """A direct write that a device refused for a moment is repeated, and later ones go past the page cache too."""
    failing("WriteFile", code, times=2)
    file.write_block(pages, PAGE)
    assert file.direct
    assert path.read_bytes() == bytes(PAGE) + bytes(pages)


def test_a_device_that_stays_broken(
    file: DirectFile, pages: memoryview, failing: Failing, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A device's error that does not pass is raised as such, not taken for a volume without direct writes."""
    monkeypatch.setattr(os_file, "_RETRY_S", (0.0,))
    failing("WriteFile", 1117)
    with pytest.raises(OSError) as caught:
        file.write_block(pages, 0)
    assert caught.value.errno == errno.EIO
    assert file.direct


@pytest.mark.parametrize("code", windows_calls.REFUSED)
def test_a_volume_that_refuses_direct_writes(
    file: DirectFile, path: Path, pages: memoryview, failing: Failing, code: int
) -> None:
    """Where the first direct write is refused everything goes through the page cache."""
    failing("WriteFile", code, times=1)
    file.write_block(pages, 0)
    assert not file.direct
    assert path.read_bytes() == bytes(pages)


@pytest.mark.parametrize(("lock", "unlock"), [(50, 50), (1, 158), (120, 158), (0, 158)])
def test_a_volume_without_locks(path: Path, failing: Failing, lock: int, unlock: int) -> None:
    """Where a volume has no locks no file is in use, and the doctor says so."""
    if lock:
        failing("LockFileEx", lock)
    failing("UnlockFileEx", unlock)
    assert not os_file.is_locked(path)
    if lock:
        assert checkup._locks(path).value == "this file system has none"


def test_a_file_that_is_refused_for_a_moment(path: Path, failing: Failing) -> None:
    """A file that Windows does not remove while a program maps it is removed after that."""
    failing("DeleteFileW", windows_calls.ACCESS_DENIED, times=2)
    os_file.remove_file(path)
    assert not path.exists()


def test_a_read_of_more_than_windows_takes_at_once(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A read returns no more than what one call can, as on Linux."""
    path.write_bytes(b"abcdef")
    monkeypatch.setattr(windows_file, "_LARGEST_READ", 4)
    descriptor = os_file.open_file(path, os.O_RDONLY)
    try:
        assert os_file.pread(descriptor, 10, 1) == b"bcde"
    finally:
        os.close(descriptor)


def test_a_ring_that_is_gone() -> None:
    """A name that no process holds any more is an error, not a new and empty ring."""
    with pytest.raises(FileNotFoundError):
        shared_memory.attach("mmspool-1-0123456789abcdef-1048576")
