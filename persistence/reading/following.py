"""Following a recording that another process, or this one, is still writing."""

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy.typing as npt

from ..system.os_file import is_locked

if TYPE_CHECKING:
    from .reader import Recording

_ABANDONED_S = 10.0  # without a frame, and without a lock of the file: then the process that recorded it is gone
_PAUSE_S = 1.0  # a frame at most, while the writer needs the disk


def follow(
    recording: "Recording",
    path: Path,
    is_writer_behind: Callable[[], bool],
    *,
    start: int,
    poll_s: float,
    timeout_s: float | None,
) -> Iterator[npt.NDArray[Any]]:
    """Yield a recording's frames as they come; see `Recording.follow`."""
    index = start
    waiting = time.monotonic()
    while True:
        if index < len(recording):
            limit = time.monotonic() + _PAUSE_S
            while is_writer_behind() and time.monotonic() < limit and _is_in_use(path):
                time.sleep(poll_s)
            yield recording[index]
            index, waiting = index + 1, time.monotonic()
        elif recording.refresh_if_grown():
            continue
        elif recording.state != "recording":
            return
        elif (idle := time.monotonic() - waiting) > min(timeout_s or _ABANDONED_S, _ABANDONED_S):
            if (timeout_s is not None and idle > timeout_s) or not _is_in_use(path):
                return
            time.sleep(poll_s)
        else:
            time.sleep(poll_s)


def _is_in_use(path: Path) -> bool:
    try:
        return is_locked(path)
    except OSError:  # it was moved or deleted
        return False
