"""How much memory a ring may take, and rings that dead processes left behind."""

import contextlib
import logging
import os
import shutil
from pathlib import Path

import psutil

from ...errors import StorageError
from ..block_layout import PAGE, RECORD_BYTES, RING_HEADER_BYTES, round_up
from ..os_file import is_locked

_log = logging.getLogger("mmspool")

_DEFAULT_BYTES = 1 << 30  # 1.3 s at 840 MB/s, and a second to set aside; the core's own buffer comes on top
_LEAST_DEFAULT_BYTES = 64 << 20  # below that blocks of small frames would shrink
SHM = Path("/dev/shm")  # noqa: S108 - the place of POSIX shared memory on Linux
PREFIX = "mmspool-"


def has_shm() -> bool:
    """Return whether shared memory is files in `SHM`; on Windows a folder of that name is none of ours."""
    return os.name == "posix" and SHM.is_dir()


def default_buffer_bytes() -> int:
    """Return a ring size from the memory there is: a quarter of what is free, at most 1 GiB."""
    free: int = psutil.virtual_memory().available
    if has_shm():
        free = min(free, 2 * shm_free())
    return min(_DEFAULT_BYTES, free // 4 // PAGE * PAGE)


def buffer_bytes_for(frame_bytes: int, frames: int) -> int:
    """Return a ring size that holds ``frames`` frames, or `default_buffer_bytes` if that is less."""
    needed = frames * (frame_bytes + RECORD_BYTES) + 2 * PAGE + RING_HEADER_BYTES
    return min(default_buffer_bytes(), max(_LEAST_DEFAULT_BYTES, round_up(needed, PAGE)))


def largest_buffer_bytes() -> int:
    """Return how large a ring could be now: all memory that is free, and all shared memory."""
    free: int = psutil.virtual_memory().available
    return min(free, shm_free()) if has_shm() else free


def shm_free() -> int:
    """Return the free bytes of the file system that holds POSIX shared memory."""
    return shutil.disk_usage(SHM).free


def remove_stale_rings() -> None:
    """Remove rings whose processes are all dead: after a SIGKILL of everything nobody else does."""
    if not has_shm():  # a named mapping of Windows is gone with the last handle to it
        return
    for place in SHM.glob(f"{PREFIX}*"):
        pid = place.name.removeprefix(PREFIX).partition("-")[0]
        with contextlib.suppress(FileNotFoundError, PermissionError):  # gone meanwhile, or another user's
            if pid.isdigit() and not psutil.pid_exists(int(pid)) and not is_locked(place):
                place.unlink()
                _log.warning("removed %s, left behind by process %s, which is gone", place, pid)


def check_room(size: int) -> None:
    """Refuse a ring that memory or shared memory cannot hold: overcommitted pages would kill the process later."""
    available = psutil.virtual_memory().available
    if size > available:
        raise StorageError(
            f"a ring of {size:,} bytes does not fit in memory, of which {available:,} bytes are available: "
            "give a smaller buffer_bytes"
        )
    if has_shm() and size > shm_free():
        raise StorageError(
            f"a ring of {size:,} bytes does not fit in /dev/shm, which has {shm_free():,} bytes free: "
            "give a smaller buffer_bytes or enlarge /dev/shm"
        )
