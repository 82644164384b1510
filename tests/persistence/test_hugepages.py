"""Shared memory on a huge page's boundary, in huge pages where the kernel has them for anybody."""

import errno
import os
import platform
from pathlib import Path

import numpy as np
import psutil
import pytest

from mmspool.persistence import hugepages
from mmspool.persistence.hugepages import HUGE_PAGE, AlignedMap

SIZE = 5 * HUGE_PAGE + 12_288


@pytest.fixture
def shared_file():
    """Yield the descriptor of a file in shared memory, of `SIZE` bytes."""
    descriptor = os.memfd_create("mmspool-test")
    os.ftruncate(descriptor, SIZE)
    yield descriptor
    os.close(descriptor)


@pytest.fixture
def mapped(shared_file):
    """Yield the file, mapped."""
    made = AlignedMap(shared_file, SIZE)
    yield made
    made.close()


def address(view):
    """Return where a view's bytes lie."""
    return np.frombuffer(view, np.uint8).__array_interface__["data"][0]


def kilobytes_in_huge_pages(view):
    """Return how much of a mapping is mapped as huge pages, kB, from the kernel's own account."""
    lines = iter(Path("/proc/self/smaps").read_text().splitlines())
    for line in lines:
        if line.startswith(f"{address(view):x}-"):
            return next(int(each.split()[1]) for each in lines if each.startswith("ShmemPmdMapped"))
    raise AssertionError("the mapping is not there")


def test_it_starts_on_a_boundary_and_is_the_file(mapped, shared_file):
    """All bytes are the file's own, on the boundary, wherever the system would have put them."""
    others = [AlignedMap(shared_file, SIZE) for _ in range(5)]
    mapped.view[SIZE - 3 :] = b"end"
    os.pwrite(shared_file, b"start", 0)
    for each in (mapped, *others):
        assert address(each.view) % HUGE_PAGE == 0
        assert (len(each.view), each.view.format, each.view.readonly) == (SIZE, "B", False)
        assert (bytes(each.view[:5]), bytes(each.view[-3:])) == (b"start", b"end")
    for each in others:
        each.close()
    assert bytes(mapped.view[:5]) == b"start"


def test_huge_pages(mapped, shared_file):
    """Where the kernel has them for anybody, all that is whole is in huge pages, with what was there before."""
    mapped.view[:7] = b"content"
    mapped.use_huge_pages()
    os.posix_fallocate(shared_file, 0, SIZE)
    assert mapped.populate()
    has_them = tuple(int(part) for part in platform.release().split(".")[:2]) >= (6, 1)
    assert kilobytes_in_huge_pages(mapped.view) == (SIZE // HUGE_PAGE * HUGE_PAGE // 1024 if has_them else 0)
    assert bytes(mapped.view[:7]) == b"content"
    assert not np.frombuffer(mapped.view, np.uint8)[7:].any()
    assert os.fstat(shared_file).st_blocks * 512 == SIZE


@pytest.mark.parametrize("lacking", ["room", "kernel"])
def test_without_huge_pages_it_works_as_well(mapped, shared_file, mocker, lacking):
    """No room for them, or a kernel that has none: nothing is raised, and the memory is as it was."""
    if lacking == "room":
        mocker.patch.object(os, "posix_fallocate", side_effect=OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)))
    else:
        mocker.patch.object(hugepages, "_COLLAPSE", 9999)
    mapped.view[:7] = b"content"
    mapped.use_huge_pages()
    mocker.stopall()
    os.posix_fallocate(shared_file, 0, SIZE)
    assert mapped.populate()
    assert kilobytes_in_huge_pages(mapped.view) == 0
    assert bytes(mapped.view[:7]) == b"content"


def test_a_kernel_that_cannot_populate(mapped, mocker):
    """It says so."""
    mocker.patch.object(hugepages, "_POPULATE_WRITE", 9999)
    assert mapped.populate() is False


def test_what_cannot_be_mapped_leaves_nothing(tmp_path):
    """A file that cannot be mapped for writing is an error, and no address stays taken."""
    path = tmp_path / "file"
    path.write_bytes(bytes(4096))
    descriptor = os.open(path, os.O_RDONLY)
    before = len(psutil.Process().memory_maps(grouped=False))
    try:
        for _ in range(20):
            with pytest.raises(PermissionError):
                AlignedMap(descriptor, 4096)
    finally:
        os.close(descriptor)
    assert len(psutil.Process().memory_maps(grouped=False)) < before + 20


def test_close_is_refused_while_somebody_looks(shared_file):
    """An array that is still there would read what is gone: that is an error, and close works once it is gone."""
    made = AlignedMap(shared_file, SIZE)
    array = np.frombuffer(made.view, np.uint8)
    with pytest.raises(BufferError):
        made.close()
    assert not array[SIZE - 1]
    del array
    made.close()
    made.close()
