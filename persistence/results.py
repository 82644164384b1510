"""What a spool reports about a recording, while it runs and at its end."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .losses import Loss

_SHOWN = 5
"""Losses that are listed one by one."""


@dataclass(frozen=True, kw_only=True, slots=True)
class SpoolStats:
    """How a recording stands; a snapshot.

    Attributes
    ----------
    frames_put, frames_written
        Frames taken from the caller, and frames in the file.
    frames_durable
        Frames that are certainly on the device, whatever happens to this computer.
    frames_lost
        Frames in the ledger of losses, wherever they were lost.
    frames_dropped
        Those of them that were lost because the ring was full.
    frames_raw
        Frames that were stored uncompressed in a compressed recording.
    bytes_written, bytes_stored
        Of pixels, and what they take in the file.
    ring_bytes
        Size of the ring.
    ring_frames, ring_used, ring_peak
        Frames the ring holds, has now, and had at most.
    slowest_write_s
        The longest that one block took to write.
    elapsed_s
        Since the file was made, or its whole time once it is closed.
    writer_restarts
        How often a new writer process took over from one that had died.
    """

    frames_put: int
    frames_written: int
    frames_durable: int
    frames_lost: int
    frames_dropped: int
    frames_raw: int
    bytes_written: int
    bytes_stored: int
    ring_bytes: int
    ring_frames: int
    ring_used: int
    ring_peak: int
    slowest_write_s: float
    elapsed_s: float
    writer_restarts: int

    @property
    def frames_per_s(self) -> float:
        """Frames written a second, over the whole time."""
        return self.frames_written / self.elapsed_s if self.elapsed_s else 0.0

    @property
    def mb_per_s(self) -> float:
        """Pixels written, MB (10^6 bytes) a second, over the whole time."""
        return self.bytes_written / 1e6 / self.elapsed_s if self.elapsed_s else 0.0


@dataclass(frozen=True, kw_only=True, slots=True)
class SpoolResult:
    """How a recording ended.

    Attributes
    ----------
    path
        The file; absent if no frame was put and none was announced.
    frames_written
        Frames in the file, exactly.
    frames_lost, losses
        How many frames are known to be missing, and where.
    state
        ``"complete"``, ``"incomplete"`` (it ended as planned, but frames are missing) or ``"interrupted"``.
    end_reason
        Why it ended.
    file_bytes
        Size of the file.
    stats
        The last figures.
    """

    path: Path
    frames_written: int
    frames_lost: int
    losses: tuple[Loss, ...]
    state: str
    end_reason: str
    file_bytes: int
    stats: SpoolStats

    @property
    def complete(self) -> bool:
        """Whether it ended as planned and no frame is missing."""
        return self.state == "complete"

    def __str__(self) -> str:
        """Return a few lines to read, as notebooks show them."""
        return describe_end(self.path, self.state, self.end_reason, self.frames_written, self.losses, self.file_bytes)

    def _repr_pretty_(self, printer: Any, cycle: bool) -> None:  # noqa: ARG002 - as IPython calls it
        printer.text(str(self))


def describe_end(
    path: Path, state: str, end_reason: str, frames: int, losses: tuple[Loss, ...], file_bytes: int
) -> str:
    """Return a few lines on how a recording ended."""
    lost = sum(loss.count for loss in losses)
    lines = [
        f"{path}: {state} ({end_reason})",
        f"{frames:,} frames, {lost:,} lost, {file_bytes / 1e6:,.1f} MB",
        *(f"  {loss.count:,} missing before frame {loss.before_frame:,} ({loss.stage})" for loss in losses[:_SHOWN]),
    ]
    if len(losses) > _SHOWN:
        lines.append(f"  and {len(losses) - _SHOWN:,} more losses")
    return "\n".join(lines)


def final_state(*, interrupted: bool, lost: int) -> str:
    """Return the state of a recording that has ended: one with losses is never complete."""
    if interrupted:
        return "interrupted"
    return "incomplete" if lost else "complete"
