"""The limit for anything that stores frames: direct writes in order, from memory that is in place, nothing copied."""

import mmap
import os
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Self

import numpy as np

_PAGE = 4096
_BLOCK_BYTES = 8 << 20


def block_bytes(frame_bytes: int) -> int:
    """Return how much is written at once: 8 MiB, or a frame where it is larger, in whole pages."""
    return max(_BLOCK_BYTES, -(-frame_bytes // _PAGE) * _PAGE)


@contextmanager
def copier(stack: Any, block: int) -> Iterator[Callable[[], object]]:
    """Yield what has another process copy a block of frames: once is the least for whoever takes them from a camera."""
    ours, theirs = socket.socketpair()
    child = os.fork()
    if not child:
        try:
            ours.close()
            source = stack.reshape(-1).view(np.uint8)
            target = np.ones_like(source)
            theirs.send(b".")  # its memory is in place
            place = 0
            while theirs.recv(1):
                np.copyto(target[place : place + block], source[place : place + block])
                place = (place + block) % (source.size // block * block)
        finally:
            os._exit(0)
    try:
        theirs.close()
        ours.recv(1)
        yield lambda: ours.send(b".")
    finally:
        ours.close()
        os.waitpid(child, 0)


class DirectFile:
    """A file that is written past the page cache, in blocks, into reserved space; leaving it syncs it.

    Parameters
    ----------
    path
        The file to make.
    stack
        The pixels to write, over and over.
    block
        Size of a block, whole pages.
    blocks
        How many there will be.
    huge_pages
        Write from huge pages, which are fewer pieces for the disk's driver.
    """

    def __init__(self, path: Path, stack: Any, block: int, blocks: int, *, huge_pages: bool = True) -> None:
        self._block, self._blocks = block, blocks
        self._held = max(1, stack.nbytes // block)
        # On a page boundary, as direct I/O needs it.
        memory = mmap.mmap(-1, self._held * block, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
        memory.madvise(mmap.MADV_HUGEPAGE if huge_pages else mmap.MADV_NOHUGEPAGE)
        flat = stack.reshape(-1).view(np.uint8)[: self._held * block]
        np.frombuffer(memory, np.uint8)[: flat.size] = flat
        self._view = memoryview(memory)
        self._descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_DIRECT)
        os.posix_fallocate(self._descriptor, 0, blocks * block)

    def write(self, index: int) -> None:
        """Write a block."""
        place = index % self._held * self._block
        part = self._view[place : place + self._block]
        if os.pwrite(self._descriptor, part, index * self._block) != self._block:
            raise AssertionError("a short write")

    def write_all(self, before_each: Callable[[], object] = lambda: None) -> None:
        """Write all blocks."""
        for index in range(self._blocks):
            before_each()
            self.write(index)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        os.fsync(self._descriptor)
        os.close(self._descriptor)
