"""What a camera's recording reports, while it runs and at its end."""

from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

from ..adapters import FramePath
from ..persistence import Loss, SpoolResult, SpoolStats, describe_end

_DIRECT = FramePath("direct")


class EndReason(StrEnum):
    """Why a recording ended."""

    COMPLETED = "completed"
    """All frames or all the time that was asked for."""
    STOPPED = "stopped by the user"
    OVERFLOW = "the core's buffer overflowed"
    """The frames could not be taken from the core as fast as they came; the camera was stopped by the core."""
    CAMERA_STOPPED = "the camera stopped by itself"
    """Fewer frames than asked for, and no overflow: cameras report errors in no other way."""
    TIMEOUT = "no frame came in time"
    """A trigger that never came, or a camera that hangs."""
    FAILED = "an error"
    """The core or the file failed; the error is raised, with what was recorded safe in the file."""


@dataclass(frozen=True, kw_only=True, slots=True)
class RecordStats:
    """How a recording stands; a snapshot.

    Attributes
    ----------
    frames_requested
        How many were asked for; None: until something else ends it.
    frames_received
        Frames taken from the core.
    core_waiting, core_peak, core_capacity
        Frames in the core's buffer when last looked at, at most, and how many it holds.
    spool
        What became of them.
    frame_path
        Which way they come from the core, and why it is the slow one.
    """

    frames_requested: int | None
    frames_received: int
    core_waiting: int
    core_peak: int
    core_capacity: int
    spool: SpoolStats
    frame_path: FramePath = _DIRECT


@dataclass(frozen=True, kw_only=True, slots=True)
class RecordResult:
    """How a recording ended.

    Attributes
    ----------
    path, frames_written, file_bytes
        The file, the frames in it, its size.
    frames_requested
        How many were asked for, if a number was.
    frames_lost, losses
        How many are known to be missing, and where (see `Loss`).
    end_reason
        Why it ended.
    state
        What the file says: ``"complete"``, ``"incomplete"`` or ``"interrupted"``.
    duration_s
        From the start of the sequence to its last frame.
    stats
        The last figures.
    losses_before_core
        What can be known, with this camera, of frames that were lost before the core had them.
    """

    path: Path
    frames_written: int
    frames_requested: int | None
    frames_lost: int
    losses: tuple[Loss, ...]
    end_reason: EndReason
    state: str
    file_bytes: int
    duration_s: float
    stats: RecordStats
    losses_before_core: str = ""

    @property
    def mb_per_s(self) -> float:
        """Pixels written, MB (10^6 bytes) a second, from making the file to closing it."""
        return self.stats.spool.mb_per_s

    @property
    def complete(self) -> bool:
        """Whether it ended as planned and no frame is missing."""
        return self.state == "complete"

    def __str__(self) -> str:
        """Return a few lines to read, as notebooks show them."""
        frames = self.frames_written
        text = describe_end(self.path, self.state, str(self.end_reason), frames, self.losses, self.file_bytes)
        rate = frames / self.duration_s if self.duration_s > 0 else 0.0
        return f"{text}\n{self.duration_s:,.1f} s, {rate:,.0f} frames/s, {self.mb_per_s:,.0f} MB/s"

    def _repr_pretty_(self, printer: Any, cycle: bool) -> None:  # noqa: ARG002 - as IPython calls it
        printer.text(str(self))


def make_result(
    spooled: SpoolResult, end_reason: EndReason, duration_s: float, stats: RecordStats, losses_before_core: str = ""
) -> RecordResult:
    """Combine what the spool and the loop know."""
    return RecordResult(
        path=spooled.path,
        frames_written=spooled.frames_written,
        frames_requested=stats.frames_requested,
        frames_lost=spooled.frames_lost,
        losses=spooled.losses,
        end_reason=end_reason,
        state=spooled.state,
        file_bytes=spooled.file_bytes,
        duration_s=duration_s,
        stats=stats,
        losses_before_core=losses_before_core,
    )
