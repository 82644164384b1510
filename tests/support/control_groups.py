"""Control groups of the tests' own: limits of memory and of processes that hold for a script and its writer."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from support.waiting import wait_until

ROOT = Path("/sys/fs/cgroup")
_FILES = {"memory": ("memory.limit_in_bytes", "memory.max"), "pids": ("pids.max", "pids.max")}  # versions 1 and 2


def root_of(controller: str) -> Path | None:
    """Return the folder below which groups with a controller can be made; None where this process may not."""
    if sys.platform != "linux":
        return None
    if (ROOT / controller).is_dir():
        return ROOT / controller if os.access(ROOT / controller / "cgroup.procs", os.W_OK) else None
    enabled = ROOT / "cgroup.subtree_control"
    if os.access(enabled, os.W_OK) and controller in enabled.read_text(encoding="ascii").split():
        return ROOT
    return None


@contextmanager
def group(controller: str) -> Iterator[Path]:
    """Yield a new group; it is removed once its processes have left it."""
    root = root_of(controller)
    assert root is not None, f"no group with {controller} can be made here"
    place = root / f"mmspool-test-{os.getpid()}"
    place.mkdir()
    try:
        yield place
    finally:
        # A process that ends may still be there.
        (root / "cgroup.procs").write_text(str(os.getpid()), encoding="ascii")
        wait_until(lambda: not (place / "cgroup.procs").read_text(encoding="ascii"), "the group is empty")
        place.rmdir()


def join(place: Path) -> None:
    """Move this process to a group, with all that it starts from now on."""
    (place / "cgroup.procs").write_text(str(os.getpid()), encoding="ascii")


def limit(place: Path, controller: str, value: int) -> None:
    """Set the limit of a group."""
    old, new = _FILES[controller]
    name = old if (place / old).exists() else new
    (place / name).write_text(str(value), encoding="ascii")
