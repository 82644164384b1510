"""Single exposures at exact intervals, started by this computer."""

import math
import time
from dataclasses import dataclass

from ..adapters import CoreAdapter
from ..persistence import Spool, SpoolResult
from .interrupts import StopOnInterrupt

_SLICE_S = 0.2  # Ctrl-C is noticed between two


@dataclass(frozen=True, kw_only=True, slots=True)
class TimeLapseResult:
    """How a time lapse ended.

    Attributes
    ----------
    spooled
        What is in the file. ``image_number`` of each frame is its planned place, from 0; places that were missed,
        because an exposure took longer than the interval, are in its losses.
    jitter_s, jitter_rms_s
        By how much exposures started late at most, and in the root mean square, seconds.
    """

    spooled: SpoolResult
    jitter_s: float
    jitter_rms_s: float

    @property
    def complete(self) -> bool:
        """Whether it ended as planned and no frame is missing."""
        return self.spooled.complete


def check_plan(frames: int, interval_s: float) -> None:
    """Refuse a plan that cannot be kept."""
    if not (hasattr(frames, "__index__") and frames >= 1):
        raise ValueError(f"frames is a whole number, 1 or more, not {frames!r}")
    if not (interval_s > 0 and math.isfinite(interval_s)):
        raise ValueError(f"interval_s is a positive number of seconds, not {interval_s}")


def run_time_lapse(core: CoreAdapter, spool: Spool, *, frames: int, interval_s: float) -> TimeLapseResult:
    """Expose at ``start + n * interval_s`` for each place n; a time that was missed is not made up for.

    The times are counted from the start, so that lateness does not add up. Ctrl-C ends it with all frames in the file.
    """
    late: list[float] = []
    missed = 0
    with StopOnInterrupt() as interrupt, spool:
        start = time.monotonic()
        for place in range(frames):
            due = start + place * interval_s
            while not interrupt.asked and (left := due - time.monotonic()) > 0:
                time.sleep(min(left, _SLICE_S))
            if interrupt.asked:
                break
            lateness = time.monotonic() - due
            if lateness >= interval_s:
                missed += 1
                continue
            if missed:
                spool.record_loss(missed, "camera")
                missed = 0
            late.append(lateness)
            spool.put(core.snap(), {"image_number": place})
        if missed:
            spool.record_loss(missed, "camera")
        asked = interrupt.asked
        result = spool.close(interrupted=asked, end_reason="stopped by the user" if asked else "completed")
    return TimeLapseResult(
        spooled=result,
        jitter_s=max(late, default=0.0),
        jitter_rms_s=math.sqrt(sum(each**2 for each in late) / len(late)) if late else 0.0,
    )
