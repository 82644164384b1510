"""Memory that two processes map: without a name (but on Windows), so that nothing removes it and nothing is left."""

import contextlib
import errno
import importlib
import mmap
import os
import sys
from collections.abc import Iterator
from typing import Any

from ...errors import StorageError
from ..block_layout import PAGE
from .buffer_size import SHM
from .hugepages import AlignedMap

_ZEROS = bytes(1 << 20)

Handle = int | str
"""By which a new process attaches: a descriptor that it inherits, or a name."""


class UnnamedBlock:
    """Shared memory that only its descriptors know, mapped where huge pages can be.

    Parameters
    ----------
    descriptor
        The memory; this object closes it.
    """

    def __init__(self, descriptor: int) -> None:
        self.handle: Handle = descriptor
        self._descriptor: int | None = descriptor
        self._size = os.fstat(descriptor).st_size
        self._map: AlignedMap | None = None
        try:
            if sys.platform == "linux":
                self._map = AlignedMap(descriptor, self._size)
                self.view = self._map.view
            else:
                self.view = memoryview(mmap.mmap(descriptor, self._size))
        except OSError:
            os.close(descriptor)
            raise

    def reserve(self) -> None:
        """Back every page with memory, in huge pages where the system gives them, and map it.

        A page that is unavailable later would be a SIGBUS.

        Raises
        ------
        StorageError
            The system has too little memory.
        """
        if self._descriptor is None:
            return
        if self._map is not None:
            self._map.use_huge_pages()
        try:
            _allocate(self._descriptor, self._size)
        except OSError as exc:
            raise StorageError(
                f"there is no shared memory for a ring of {self._size:,} bytes ({exc}): give a smaller buffer_bytes"
            ) from exc
        if self._map is None or not self._map.populate():
            touch(self.view)

    def close(self) -> None:
        """Unmap it once nothing made from `view` is left; idempotent."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = self._map = None
            with contextlib.suppress(BufferError):  # an array of it, in a traceback perhaps, is still there
                self.view.release()


class NamedBlock:
    """Shared memory of Windows, which lasts as long as a process has it open.

    `multiprocessing.shared_memory` would do the same, and cost the writer process's start ten more imports.

    Parameters
    ----------
    name
        Its name, which ends in its size in bytes: Windows rounds the size of a mapping up, and reports only that.

    Raises
    ------
    OSError
        The system has no memory for it, or no memory with names.
    """

    view: memoryview

    def __init__(self, name: str) -> None:
        self.handle: Handle = name
        if sys.platform == "win32":
            self.view = memoryview(mmap.mmap(-1, int(name.rpartition("-")[2]), tagname=name))
        else:
            raise OSError(errno.ENOSYS, "this Python has neither memfd_create nor POSIX shared memory")

    def reserve(self) -> None:
        """Map every page."""
        touch(self.view)

    def close(self) -> None:
        """Unmap it once nothing made from `view` is left; idempotent."""
        with contextlib.suppress(BufferError):  # an array of it, in a traceback perhaps, is still there
            self.view.release()


SharedBlock = UnnamedBlock | NamedBlock
"""A block of shared memory, mapped into this process."""


def allocate(size: int) -> SharedBlock:
    """Create a block of ``size`` bytes.

    Raises
    ------
    OSError
        The system refuses it.
    """
    descriptor = _unnamed_file()
    if descriptor is None:
        return NamedBlock(f"mmspool-{os.getpid()}-{os.urandom(8).hex()}-{size}")
    try:
        os.ftruncate(descriptor, size)
    except OSError:
        os.close(descriptor)
        raise
    return UnnamedBlock(descriptor)


def attach(handle: Handle) -> SharedBlock:
    """Map the block that another process has created.

    Raises
    ------
    OSError
        It is gone, or cannot be mapped.
    """
    if isinstance(handle, int):
        return UnnamedBlock(handle)
    with hold(handle):  # a name that nothing holds would give a new block
        return NamedBlock(handle)


@contextlib.contextmanager
def hold(name: str) -> Iterator[int]:
    """Keep a block of Windows, by a handle that a new process may inherit to do the same.

    Raises
    ------
    FileNotFoundError
        No process has the block any more.
    """
    if sys.platform == "win32":
        import _winapi

        handle = _winapi.OpenFileMapping(_winapi.FILE_MAP_READ, True, name)
        try:
            yield handle
        finally:
            _winapi.CloseHandle(handle)
    else:
        raise FileNotFoundError(errno.ENOENT, "only Windows has such shared memory", name)


def _allocate(descriptor: int, size: int) -> None:
    """Back a new file in shared memory with memory; a page that is missing would end the process that touches it."""
    try:
        if hasattr(os, "posix_fallocate"):
            os.posix_fallocate(descriptor, 0, size)
    except OSError as exc:
        if exc.errno not in (errno.EPERM, errno.ENOSYS):  # a sandbox refuses it: writing does the same
            raise
        for start in range(0, size, len(_ZEROS)):
            os.pwrite(descriptor, _ZEROS[: size - start], start)


def touch(view: memoryview) -> None:
    """Map every page of a view into this process, so that no frame pays for it."""
    view[::PAGE].tobytes()


def _unnamed_file() -> int | None:
    """Return a descriptor of an empty file in memory that has no name; None on Windows."""
    with contextlib.suppress(AttributeError, OSError):  # not Linux, or a sandbox refuses it
        return os.memfd_create(f"mmspool-{os.getpid()}")
    with contextlib.suppress(AttributeError, OSError):
        return os.open(SHM, os.O_TMPFILE | os.O_RDWR | os.O_CLOEXEC, 0o600)
    with contextlib.suppress(ImportError):
        posix: Any = importlib.import_module("_posixshmem")  # what `SharedMemory` uses, which needs the name
        name = f"/mmspool-{os.getpid()}-{os.urandom(4).hex()}"
        descriptor: int = posix.shm_open(name, os.O_CREAT | os.O_EXCL | os.O_RDWR, mode=0o600)
        posix.shm_unlink(name)
        return descriptor
    return None
