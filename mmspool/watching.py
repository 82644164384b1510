"""How a recording stands, seen from another process; nothing is asked of the one that records."""

import math
import os
import shutil
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from .persistence import Loss, Recording

_LEDGER = "/entry/instrument/detector/ledger"
_SMOOTHING_S = 3.0


@dataclass(frozen=True, kw_only=True)
class Snapshot:
    """How a recording stands.

    Attributes
    ----------
    path, state, end_reason
        The file, ``"recording"`` while it is written, or how and why it ended.
    frames_written, frames_durable, frames_lost, losses
        Frames in the file, those that survive a power cut, those that are known to be missing, and where.
    writer_restarts
        How often a writer process was replaced.
    frame_bytes, file_bytes
        Of a frame's pixels; size of the file, which is allocated ahead while it is written.
    disk_free_bytes
        On the file's disk.
    frames_per_s, mb_per_s
        Of the last seconds; pixels in MB of 10^6 bytes. 0 for the first look.
    disk_full_s
        Seconds until the disk is full at this rate; None when it does not fill.
    idle_s
        Seconds since a frame was last seen to come.
    """

    path: Path
    state: str
    end_reason: str
    frames_written: int
    frames_durable: int
    frames_lost: int
    losses: tuple[Loss, ...]
    writer_restarts: int
    frame_bytes: int
    file_bytes: int
    disk_free_bytes: int
    frames_per_s: float = 0.0
    mb_per_s: float = 0.0
    disk_full_s: float | None = None
    idle_s: float = 0.0

    @property
    def running(self) -> bool:
        """Whether the file says that it is being recorded; after a crash of all processes it still does."""
        return self.state == "recording"


def look(path: str | os.PathLike[str]) -> Snapshot:
    """Return how a recording stands now.

    Raises
    ------
    RecordingError
        The file is not there, or is not a recording.
    """
    with Recording(path) as recording:
        durable, restarts = (
            int(recording.file[f"{_LEDGER}/{name}"][()]) for name in ("frames_durable", "writer_restarts")
        )
        return Snapshot(
            path=recording.path,
            state=recording.state,
            end_reason=recording.end_reason,
            frames_written=len(recording),
            frames_durable=min(durable, len(recording)),
            frames_lost=recording.frames_lost,
            losses=recording.losses,
            writer_restarts=restarts,
            frame_bytes=math.prod(recording.shape[1:]) * recording.itemsize,
            file_bytes=recording.path.stat().st_size,
            disk_free_bytes=shutil.disk_usage(recording.path.absolute().parent).free,
        )


def watch(path: str | os.PathLike[str], *, interval_s: float = 0.5) -> Iterator[Snapshot]:
    """Yield how a recording stands, again and again, the last time when it has ended.

    Parameters
    ----------
    path
        The recording.
    interval_s
        Seconds between two looks.

    Raises
    ------
    RecordingError
        The file is not there, is not a recording, or is no longer readable.
    """
    rate = _Rate()
    while True:
        snapshot = rate.of(look(path), time.monotonic())
        yield snapshot
        if not snapshot.running:
            return
        time.sleep(interval_s)


class _Rate:
    """Adds to snapshots what follows from the ones before."""

    def __init__(self) -> None:
        self._seen: list[tuple[float, int]] = []
        self._last_frame_s = 0.0

    def of(self, snapshot: Snapshot, now_s: float) -> Snapshot:
        frames = snapshot.frames_written
        if not self._seen or frames != self._seen[-1][1]:
            self._last_frame_s = now_s
        self._seen.append((now_s, frames))
        while len(self._seen) > 2 and now_s - self._seen[1][0] >= _SMOOTHING_S:
            del self._seen[0]
        then_s, before = self._seen[0]
        rate = (frames - before) / (now_s - then_s) if now_s > then_s else 0.0
        bytes_per_s = rate * snapshot.frame_bytes
        fills = snapshot.running and bytes_per_s > 0
        return replace(
            snapshot,
            frames_per_s=rate,
            mb_per_s=bytes_per_s / 1e6,
            disk_full_s=snapshot.disk_free_bytes / bytes_per_s if fills else None,
            idle_s=now_s - self._last_frame_s,
        )
