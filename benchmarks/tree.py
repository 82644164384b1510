"""Memory of processes, cheaply: reading it often must not slow down what is measured."""

import os
from collections.abc import Iterator
from pathlib import Path

_PAGE = os.sysconf("SC_PAGE_SIZE")


def resident_bytes(pid: int | str) -> int:
    """Return what a process has in memory, 0 if it has ended."""
    own, shared = _pages(pid)
    return (own + shared) * _PAGE


def tree_bytes(pid: int) -> int:
    """Return what a process and its descendants have in memory together.

    What they share is counted once, at the size of the one that has most of it: mmspool's ring is in both processes.
    The exact figure, PSS, costs a walk through the page tables, which would disturb what is measured.
    """
    pages = [_pages(each) for each in _descendants(pid)]
    return (sum(own for own, _ in pages) + max((shared for _, shared in pages), default=0)) * _PAGE


def _pages(pid: int | str) -> tuple[int, int]:
    """Return how many pages are a process' own and how many are mapped from files or shared memory."""
    try:
        words = Path(f"/proc/{pid}/statm").read_text(encoding="ascii").split()
    except OSError:
        return 0, 0
    return int(words[1]) - int(words[2]), int(words[2])


def _descendants(pid: int) -> Iterator[int]:
    yield pid
    try:
        for task in Path(f"/proc/{pid}/task").iterdir():
            for child in (task / "children").read_text(encoding="ascii").split():
                yield from _descendants(int(child))
    except OSError:
        return
