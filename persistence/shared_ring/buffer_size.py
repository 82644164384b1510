"""How much memory a ring may take, on this machine and in this process's part of it."""

import contextlib
import logging
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

from ...errors import StorageError
from ..block_layout import PAGE, RECORD_BYTES, RING_HEADER_BYTES, round_up

try:
    import resource
except ImportError:  # Windows
    resource = None  # type: ignore[assignment]

_log = logging.getLogger("mmspool")

_DEFAULT_BYTES = 1 << 30  # 1.3 s at 840 MB/s, and a second to allocate; the core's own buffer comes on top
_LEAST_DEFAULT_BYTES = 64 << 20  # below that blocks of small frames would shrink
_LEAST_FRAMES = 4  # what a ring holds by default however large a frame is, as long as half the memory is enough
_SMALL_BYTES = 256 << 20  # a default ring below that is worth a warning
_PROCESS_BYTES = 64 << 20  # what the writer process itself needs of a control group's memory
_CGROUPS, _OWN_GROUPS = Path("/sys/fs/cgroup"), Path("/proc/self/cgroup")
_MEMORY_FILES = {  # limit, usage, and in memory.stat the cache that can be given up, by the groups' version
    1: ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file"),
    2: ("memory.max", "memory.current", "inactive_file"),
}
SHM = Path("/dev/shm")  # noqa: S108 - where POSIX shared memory is on Linux


def default_buffer_bytes(frame_bytes: int = 0) -> int:
    """Return a ring size from the memory that is free: a quarter of it, at most 1 GiB; for large frames up to half.

    Parameters
    ----------
    frame_bytes
        Size of a frame, if it is known: the ring then holds at least four, as far as half the memory allows.
    """
    free, _ = available()
    least = min(_LEAST_FRAMES * (frame_bytes + RECORD_BYTES + PAGE) + RING_HEADER_BYTES + PAGE, free // 2)
    return max(min(_DEFAULT_BYTES, free // 4), least) // PAGE * PAGE


def buffer_bytes_for(frame_bytes: int, frames: int) -> int:
    """Return a ring size that holds ``frames`` frames, or `default_buffer_bytes` if that is less."""
    needed = frames * (frame_bytes + RECORD_BYTES) + 2 * PAGE + RING_HEADER_BYTES
    return min(default_buffer_bytes(frame_bytes), max(_LEAST_DEFAULT_BYTES, round_up(needed, PAGE)))


def available() -> tuple[int, str]:
    """Return how many bytes a ring could take now, and what limits them, for a message."""
    return min(_limits())


def warn_if_small(size: int) -> None:
    """Log that the default ring had to be small, and why."""
    if size < _SMALL_BYTES:
        free, limit = available()
        _log.warning(
            "the ring has only %s bytes, because %s leaves %s: a short stall fills it", f"{size:,}", limit, f"{free:,}"
        )


def check_free_memory(size: int) -> None:
    """Refuse a ring that does not fit: overcommitted pages would kill the process later."""
    free, limit = available()
    if size > free:
        raise StorageError(
            f"a ring of {size:,} bytes does not fit in {limit}, which leaves {free:,} bytes: "
            "give a smaller buffer_bytes, or raise that limit"
        )


def _limits() -> Iterator[tuple[int, str]]:
    """Yield each limit of shared memory, bytes, and its name."""
    import psutil  # not in the writer process, which never asks

    try:
        yield psutil.virtual_memory().available, "this computer's memory"
    except OSError:  # /proc is not mounted
        yield os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"), "this computer's memory"
    for free in _cgroups_free():
        yield max(0, free - _PROCESS_BYTES), "the memory limit of this process's control group (container, batch job)"
    if resource is not None:
        soft, _ = resource.getrlimit(resource.RLIMIT_AS)
        if soft != resource.RLIM_INFINITY:
            yield max(0, soft - psutil.Process().memory_info().vms), "this process's address space (ulimit -v)"
        soft, _ = resource.getrlimit(resource.RLIMIT_FSIZE)
        if soft != resource.RLIM_INFINITY:
            yield soft, "the largest file allowed (ulimit -f)"
    if os.name == "posix" and not hasattr(os, "memfd_create") and SHM.is_dir():
        yield shutil.disk_usage(SHM).free, str(SHM)


def own_groups(controller: str) -> Iterator[tuple[Path, int]]:
    """Yield the folders of this process's control group for a controller, up to the root, each with its version."""
    try:
        lines = _OWN_GROUPS.read_text(encoding="utf-8").splitlines()
    except OSError:  # not Linux, or /proc is not mounted
        return
    for line in lines:
        _, controllers, name = line.split(":", 2)
        if not controllers or controller in controllers.split(","):
            root, version = (_CGROUPS / controller, 1) if controllers else (_CGROUPS, 2)
            group = root / name.lstrip("/")
            for folder in (group, *group.parents):  # a limit holds for all groups below it
                yield folder, version
                if folder == root:
                    break


def _cgroups_free() -> Iterator[int]:
    """Yield what each memory limit of this process's control groups leaves."""
    for folder, version in own_groups("memory"):
        limit, usage, cache = _MEMORY_FILES[version]
        with contextlib.suppress(OSError, ValueError):  # no such group seen from here, or "max": no limit
            allowed, used = (int((folder / file).read_text(encoding="ascii")) for file in (limit, usage))
            yield max(0, allowed - used + _statistic(folder, cache))


def _statistic(group: Path, name: str) -> int:
    """Return a figure of a control group's memory.stat."""
    for line in (group / "memory.stat").read_text(encoding="ascii").splitlines():
        key, _, value = line.partition(" ")
        if key == name:
            return int(value)
    return 0
