"""The file that Python and Java both map: a page of counters, then slots of one frame each.

::

    0       KEY_HIGH, KEY_LOW                                   written once by Python: proves that it is the same file
    512     STATE, PUBLISHED, RUNNING, WAITING, OVERFLOWED, BEAT                                    written by Java only
    1024    CONSUMED, STOP, CLIENT_BEAT                                                           written by Python only
    2048    why the pump failed, UTF-8
    4096    slot 0: 16 KiB of record (bytes of tags, bytes of pixels, bytes of one component; from byte 64 the tags as
            text), then the pixels, rounded up to a page
    ...     slot 1 and so on

Numbers are int64 in the machine's byte order. Java publishes a frame by raising PUBLISHED after a full fence, and uses
a slot again only when CONSUMED has passed it. Python reads PUBLISHED, then the frame.

The file can be read by its owner only and its name cannot be guessed. It has a name only until both sides have mapped
it; on Windows, where a mapped file cannot be deleted, until both have unmapped it.
"""

import contextlib
import mmap
import os
import secrets
import tempfile
from dataclasses import dataclass
from enum import IntEnum
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import psutil

_PAGE = 4096
HEADER_BYTES = _PAGE
RECORD_BYTES = 4 * _PAGE
TAGS_OFFSET = 64
MESSAGE_OFFSET = 2048

_TARGET_BYTES = 64 << 20  # 8 slots of a full frame: measured fastest, more only spreads them over more memory
_MIN_SLOTS, _MAX_SLOTS = 3, 256
_MAX_BYTES = 2**31 - 1  # the most that Java maps at once
_SHM = Path("/dev/shm")  # noqa: S108 - the place of POSIX shared memory on Linux
_PREFIX = "mmspool-"
_KIND = "-pump-"


class Field(IntEnum):
    """Index of each number in the header."""

    KEY_HIGH = 0
    KEY_LOW = 1
    STATE = 64
    PUBLISHED = 65
    RUNNING = 66
    WAITING = 67
    OVERFLOWED = 68
    BEAT = 69
    CONSUMED = 128
    STOP = 129
    CLIENT_BEAT = 130


class State(IntEnum):
    """What the pump is doing, or how it ended."""

    PUMPING = 0
    ENDED = 1
    """The sequence is over, and the core has no more frames."""
    STOPPED = 2
    """Python asked for it, or another client took over."""
    FAILED = 3
    ORPHANED = 4
    """This process gave no sign of life for too long; the camera was stopped."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Layout:
    """Where everything lies.

    Parameters
    ----------
    slots
        How many frames fit.
    pixel_bytes
        Room for the pixels of one, a multiple of the page size.
    """

    slots: int
    pixel_bytes: int

    @classmethod
    def for_frames(cls, frame_bytes: int) -> "Layout":
        """Return the layout for frames of ``frame_bytes``; ``ValueError`` where Java cannot map three of them."""
        pixel_bytes = max(_PAGE, -(-frame_bytes // _PAGE) * _PAGE)
        slots = min(_MAX_SLOTS, max(_MIN_SLOTS, _TARGET_BYTES // pixel_bytes))
        layout = cls(slots=slots, pixel_bytes=pixel_bytes)
        if layout.size > _MAX_BYTES:
            raise ValueError(f"{slots} frames of {frame_bytes:,} bytes are more than the 2 GB that Java maps at once")
        return layout

    @property
    def size(self) -> int:
        """Size of the file, bytes."""
        return HEADER_BYTES + self.slots * (RECORD_BYTES + self.pixel_bytes)

    def record_offset(self, frame: int) -> int:
        """Return where the record of a frame lies; its pixels follow after `RECORD_BYTES`."""
        return HEADER_BYTES + frame % self.slots * (RECORD_BYTES + self.pixel_bytes)


class MappedFile:
    """The file, created and mapped.

    Parameters
    ----------
    layout
        Where everything lies.

    Raises
    ------
    OSError
        There is no room for it.
    """

    def __init__(self, layout: Layout) -> None:
        self.layout = layout
        self.key = secrets.token_bytes(16)
        remove_leftovers()
        self.path, self._map = _create(layout.size, self.key.hex())
        self.header: memoryview[int] = memoryview(self._map)[:HEADER_BYTES].cast("q")
        self.header[Field.KEY_HIGH], self.header[Field.KEY_LOW] = self.key_numbers

    @property
    def key_numbers(self) -> tuple[int, int]:
        """The key as two int64, the high one first in the file."""
        high, low = (int.from_bytes(part, "little", signed=True) for part in (self.key[:8], self.key[8:]))
        return high, low

    def array(self, dtype: str, count: int, offset: int) -> npt.NDArray[Any]:
        """Return a part of the file in place; the mapping lives as long as any such array."""
        return np.frombuffer(self._map, dtype, count, offset)

    def text(self, size: int, offset: int) -> str:
        """Return UTF-8 text."""
        return self._map[offset : offset + size].decode("utf-8", "replace")

    def remove_name(self) -> None:
        """Delete the file's name; what is mapped stays. Not possible on Windows while a process maps it."""
        with contextlib.suppress(OSError):
            self.path.unlink()

    def close(self) -> None:
        """Unmap and delete the file; idempotent. While an array of it is in use, its memory stays."""
        self.header.release()
        with contextlib.suppress(BufferError):
            self._map.close()
        self.remove_name()


def remove_leftovers() -> None:
    """Delete files of processes that died before Java had mapped them; on Windows, all that nobody maps."""
    for folder in _folders():
        for path in folder.glob(f"{_PREFIX}*{_KIND}*"):
            pid = path.name.removeprefix(_PREFIX).partition("-")[0]
            if pid.isdigit() and (os.name == "nt" or not psutil.pid_exists(int(pid))):
                with contextlib.suppress(OSError):  # another user's, removed meanwhile, or on Windows in use
                    path.unlink()


def _folders() -> tuple[Path, ...]:
    temporary = Path(tempfile.gettempdir())
    return (_SHM, temporary) if os.name == "posix" and _SHM.is_dir() else (temporary,)


def _create(size: int, key: str) -> tuple[Path, mmap.mmap]:
    failures = []
    for folder in _folders():
        path = folder / f"{_PREFIX}{os.getpid()}{_KIND}{key}"
        try:
            return path, _create_at(path, size)
        except OSError as exc:
            failures.append(f"{folder}: {exc.strerror or exc}")
    raise OSError(f"no room for {size:,} bytes that Java can also map ({'; '.join(failures)})")


def _create_at(path: Path, size: int) -> mmap.mmap:
    # Windows: a file that is marked as temporary is kept out of the disk's queue, and text mode would change bytes.
    flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0) | getattr(os, "O_SHORT_LIVED", 0)
    descriptor = os.open(path, flags, 0o600)
    try:
        try:
            _allocate(descriptor, size)
            return mmap.mmap(descriptor, size)
        finally:
            os.close(descriptor)
    except BaseException:
        with contextlib.suppress(OSError):  # a virus scanner holds it: `remove_leftovers` comes later
            path.unlink()
        raise


def _allocate(descriptor: int, size: int) -> None:
    """Give the file all its blocks now: a full file system met later would kill both processes with a SIGBUS."""
    if hasattr(os, "posix_fallocate"):
        os.posix_fallocate(descriptor, 0, size)
        return
    zeros, written = bytes(1 << 20), 0
    while written < size:
        written += os.write(descriptor, zeros[: size - written])
