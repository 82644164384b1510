"""When a recording ends."""

import math
from collections.abc import Callable
from dataclasses import dataclass

from ..adapters import MAX_FRAMES


@dataclass(frozen=True, kw_only=True)
class StopConditions:
    """When a recording ends: whatever comes first of what is set.

    Parameters
    ----------
    frames
        After this many frames.
    seconds
        After this many seconds.
    until
        When this returns true; called often, from the recording's thread.
    frame_timeout_s
        When no frame came for this many seconds.
    """

    frames: int | None = None
    seconds: float | None = None
    until: Callable[[], bool] | None = None
    frame_timeout_s: float = math.inf

    def __post_init__(self) -> None:
        if self.frames is not None and not (hasattr(self.frames, "__index__") and 1 <= self.frames <= MAX_FRAMES):
            raise ValueError(f"frames is a whole number, 1 to {MAX_FRAMES:,}, not {self.frames!r}")
        if self.seconds is not None and not self.seconds > 0:
            raise ValueError(f"seconds is a positive number, not {self.seconds}")
        if not self.frame_timeout_s > 0:
            raise ValueError(f"frame_timeout_s is a positive number of seconds, not {self.frame_timeout_s}")

    @property
    def open_ended(self) -> bool:
        """Whether it goes on until it is stopped."""
        return self.frames is None and self.seconds is None and self.until is None
