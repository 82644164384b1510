"""Shared memory on a huge page's boundary, in huge pages where the kernel has them for anybody."""

import errno
import gc
import os
import platform
import sys
from pathlib import Path

import numpy as np
import psutil
import pytest

from mmspool.persistence.shared_ring import hugepages
from mmspool.persistence.shared_ring.hugepages import HUGE_PAGE, AlignedMap
from mmspool.persistence.shared_ring.ring import Ring

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="huge pages are asked for on Linux alone")

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
    """Return the file, mapped."""
    return AlignedMap(shared_file, SIZE)


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


def kernel_has_them():
    """Return whether this kernel makes huge pages of shared memory for anybody who asks."""
    denied = "[deny]" in Path("/sys/kernel/mm/transparent_hugepage/shmem_enabled").read_text()
    return tuple(int(part) for part in platform.release().split(".")[:2]) >= (6, 1) and not denied


def test_it_starts_on_a_boundary_and_is_the_file(mapped, shared_file):
    """All bytes are the file's own, on the boundary, wherever the system would have put them."""
    others = [AlignedMap(shared_file, SIZE) for _ in range(5)]
    mapped.view[SIZE - 3 :] = b"end"
    os.pwrite(shared_file, b"start", 0)
    for each in (mapped, *others):
        assert address(each.view) % HUGE_PAGE == 0
        assert (len(each.view), each.view.format, each.view.readonly) == (SIZE, "B", False)
        assert (bytes(each.view[:5]), bytes(each.view[-3:])) == (b"start", b"end")
    del each, others
    assert bytes(mapped.view[:5]) == b"start"


def test_huge_pages(mapped, shared_file):
    """Where the kernel has them for anybody, all that is whole is in huge pages, with what was there before."""
    mapped.view[:7] = b"content"
    mapped.use_huge_pages()
    os.posix_fallocate(shared_file, 0, SIZE)
    assert mapped.populate()
    assert kilobytes_in_huge_pages(mapped.view) == (SIZE // HUGE_PAGE * HUGE_PAGE // 1024 if kernel_has_them() else 0)
    assert bytes(mapped.view[:7]) == b"content"
    assert not np.frombuffer(mapped.view, np.uint8)[7:].any()
    assert os.fstat(shared_file).st_blocks * 512 == SIZE


def test_a_ring_is_in_them(request):
    """A ring is backed by huge pages as soon as its memory is allocated."""
    ring = Ring.create(3 * HUGE_PAGE)
    request.addfinalizer(ring.close)
    ring.reserve()
    assert kilobytes_in_huge_pages(ring.counters) == (3 * HUGE_PAGE // 1024 if kernel_has_them() else 0)


@pytest.mark.parametrize("lacking", ["room", "kernel", "threads"])
def test_without_huge_pages_it_works_as_well(mapped, shared_file, mocker, lacking):
    """No room for them, a kernel that has none, no threads: nothing is raised, and the memory is as it was."""
    if lacking == "room":
        mocker.patch.object(os, "posix_fallocate", side_effect=OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)))
    elif lacking == "kernel":
        mocker.patch.object(hugepages, "_COLLAPSE", 9999)
    else:
        mocker.patch.object(hugepages.ThreadPoolExecutor, "submit", side_effect=RuntimeError("no more threads"))
    mapped.view[:7] = b"content"
    mapped.use_huge_pages()
    mocker.stopall()
    os.posix_fallocate(shared_file, 0, SIZE)
    assert mapped.populate()
    assert kilobytes_in_huge_pages(mapped.view) == 0
    assert bytes(mapped.view[:7]) == b"content"


def test_a_kernel_that_cannot_populate(mapped, mocker):
    """`populate` returns False on a kernel that does not know the advice (Linux before 5.14)."""
    mocker.patch.object(hugepages, "_POPULATE_WRITE", 9999)
    assert mapped.populate() is False


def test_what_cannot_be_mapped_leaves_nothing(tmp_path):
    """A file that cannot be mapped for writing is an error, and no address stays taken."""
    path = tmp_path / "file"
    path.write_bytes(bytes(4096))
    descriptor = os.open(path, os.O_RDONLY)
    before = psutil.Process().memory_info().vms
    try:
        for _ in range(20):
            with pytest.raises(PermissionError):
                AlignedMap(descriptor, 64 << 20)
    finally:
        os.close(descriptor)
    gc.collect()  # the errors, and with them the last of what was mapped
    assert psutil.Process().memory_info().vms < before + 5 * (64 << 20)


def test_it_is_there_as_long_as_somebody_looks(shared_file):
    """An array that was made of it keeps it mapped; when the last is gone, so are the addresses."""
    made = AlignedMap(shared_file, SIZE)
    start = f"{address(made.view):x}-"
    array = np.frombuffer(made.view, np.uint8)[SIZE - 1 :]
    del made
    os.pwrite(shared_file, b"!", SIZE - 1)
    assert bytes(array) == b"!"
    assert start in Path("/proc/self/maps").read_text()
    del array
    assert start not in Path("/proc/self/maps").read_text()
