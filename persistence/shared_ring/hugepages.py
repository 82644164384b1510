"""Shared memory in huge pages, which Linux 6.1 gives to anybody who asks after the fact: no privilege, no setting.

A direct write of 8 MiB from pages of 4 KiB is 2,048 pieces, of which a disk's driver takes a few hundred at a time;
from huge pages it is five. What that is worth is in docs/decisions/0013.
"""

import contextlib
import ctypes
import mmap
import os
import sys
import weakref
from concurrent.futures import ThreadPoolExecutor

import numpy as np

HUGE_PAGE = 2 << 20
_PAGE = 4096
_THREADS = min(4, os.cpu_count() or 1)
_PROT_NONE, _MAP_FIXED = 0, 0x10
_POPULATE_WRITE, _COLLAPSE = 23, 25  # MADV_..., Linux 5.14 and 6.1

if sys.platform == "linux":
    _libc = ctypes.CDLL(None, use_errno=True)
    _libc.mmap.restype = ctypes.c_void_p
    _libc.mmap.argtypes = (ctypes.c_void_p, ctypes.c_size_t, *[ctypes.c_int] * 3, ctypes.c_long)
    _libc.munmap.argtypes = (ctypes.c_void_p, ctypes.c_size_t)
    _libc.madvise.argtypes = (ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int)


def private_memory(size: int) -> mmap.mmap:
    """Return memory of this process alone, on a page's boundary, in huge pages where the system gives them."""
    if not hasattr(mmap, "MADV_HUGEPAGE"):
        return mmap.mmap(-1, size)
    memory = mmap.mmap(-1, size, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    with contextlib.suppress(OSError):  # a kernel that has none
        memory.madvise(mmap.MADV_HUGEPAGE)
    return memory


class AlignedMap:
    """A file in shared memory, mapped on a huge page's boundary: only there it can have some. For Linux.

    Python's own `mmap` does not let one choose the address.

    Parameters
    ----------
    descriptor
        The file.
    size
        How many bytes of it, from its start.

    Attributes
    ----------
    view
        The bytes. They are unmapped when it and everything made from it is gone.

    Raises
    ------
    OSError
        It could not be mapped.
    """

    def __init__(self, descriptor: int, size: int) -> None:
        self._descriptor, self._size = descriptor, size
        # More addresses than needed, of which the file takes those from a boundary on.
        base = _map(None, size + HUGE_PAGE, _PROT_NONE, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS, -1)
        self._start = -(-base // HUGE_PAGE) * HUGE_PAGE
        mapped = (ctypes.c_ubyte * size).from_address(self._start)
        weakref.finalize(mapped, _libc.munmap, base, size + HUGE_PAGE).atexit = False
        _map(self._start, size, mmap.PROT_READ | mmap.PROT_WRITE, mmap.MAP_SHARED | _MAP_FIXED, descriptor)
        self.view = np.ctypeslib.as_array(mapped).data

    def use_huge_pages(self) -> None:
        """Back it with huge pages, as many as there are; the rest is left as it was.

        Each gets one small page first: a huge page is made from what is there, and touching one that is unavailable
        would be the process's end.
        """
        pages = self._size // HUGE_PAGE
        part = (pages // _THREADS + 1) * HUGE_PAGE
        with (
            # No room for them, a system that has none, or no threads: they run out, or the interpreter ends.
            contextlib.suppress(AttributeError, OSError, RuntimeError),
            ThreadPoolExecutor(_THREADS) as pool,  # a virtual machine may have to ask its host for each page
        ):
            for page in range(pages):
                os.posix_fallocate(self._descriptor, page * HUGE_PAGE, _PAGE)
            starts = range(0, pages * HUGE_PAGE, part)
            list(pool.map(lambda start: self._advise(_COLLAPSE, start, min(part, pages * HUGE_PAGE - start)), starts))

    def populate(self) -> bool:
        """Map all pages into this process, writable; False where the system cannot do that at once."""
        try:
            self._advise(_POPULATE_WRITE, 0, self._size)
        except OSError:
            return False
        return True

    def _advise(self, advice: int, start: int, size: int) -> None:
        if _libc.madvise(self._start + start, size, advice):
            raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))


def _map(address: int | None, size: int, protection: int, flags: int, descriptor: int) -> int:
    mapped: int | None = _libc.mmap(address, size, protection, flags, descriptor, 0)
    if mapped is None or mapped == ctypes.c_void_p(-1).value:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    return mapped
