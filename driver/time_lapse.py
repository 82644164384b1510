"""Exposures, or bursts of them, at exact intervals, started by this computer."""

import math
import time
from collections.abc import Iterator
from dataclasses import dataclass

from ..adapters import CoreAdapter, Image
from ..errors import CoreError
from ..persistence import Spool, SpoolResult
from .interrupts import StopOnInterrupt

_SLICE_S = 0.2  # Ctrl-C is noticed between two
_IDLE_S = 0.0005
_FRAME_LIMIT_S = 10.0  # beyond ten exposures, for the next frame of a burst


@dataclass(frozen=True, kw_only=True, slots=True)
class TimeLapseResult:
    """How a time lapse ended.

    Attributes
    ----------
    spooled
        What is in the file. ``image_number`` of each frame is its planned place, from 0, and ``host_timestamp`` when
        its exposure, or its burst, was started. Places that were missed, because the one before took longer than the
        interval, are in its losses.
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


def check_plan(frames: int, interval_s: float, burst_frames: int) -> None:
    """Refuse a plan that cannot be kept."""
    for name, value in (("frames", frames), ("burst_frames", burst_frames)):
        if not (hasattr(value, "__index__") and value >= 1):
            raise ValueError(f"{name} is a whole number, 1 or more, not {value!r}")
    if frames % burst_frames:
        raise ValueError(
            f"{frames} frames are no whole number of bursts of {burst_frames} frames: give a multiple of {burst_frames}"
        )
    if not (interval_s > 0 and math.isfinite(interval_s)):
        raise ValueError(f"interval_s is a positive number of seconds, not {interval_s}")


def run_time_lapse(
    core: CoreAdapter, spool: Spool, *, frames: int, interval_s: float, burst_frames: int = 1
) -> TimeLapseResult:
    """Expose at ``start + n * interval_s`` for each burst n; a time that was missed is not made up for.

    The times are counted from the start, so that lateness does not add up. Ctrl-C ends it with all frames in the file.
    """
    late: list[float] = []
    missed = 0
    with StopOnInterrupt() as interrupt, spool:
        start, start_ns = time.monotonic(), time.time_ns()
        for burst in range(frames // burst_frames):
            due = start + burst * interval_s
            while not interrupt.asked and (left := due - time.monotonic()) > 0:
                time.sleep(min(left, _SLICE_S))
            if interrupt.asked:
                break
            begun = time.monotonic()
            if begun - due >= interval_s:
                missed += burst_frames
                continue
            if missed:
                spool.record_loss(missed, "camera")
                missed = 0
            late.append(begun - due)
            begun_ns = start_ns + round((begun - start) * 1e9)
            made = 0
            for made, pixels in enumerate(_expose(core, burst_frames), 1):
                place = burst * burst_frames + made - 1
                spool.put(pixels, {"image_number": place, "host_timestamp": begun_ns})
            missed = burst_frames - made
        if missed:
            spool.record_loss(missed, "camera")
        asked = interrupt.asked
        result = spool.close(interrupted=asked, end_reason="stopped by the user" if asked else "completed")
    return TimeLapseResult(
        spooled=result,
        jitter_s=max(late, default=0.0),
        jitter_rms_s=math.sqrt(sum(each**2 for each in late) / len(late)) if late else 0.0,
    )


def _expose(core: CoreAdapter, frames: int) -> Iterator[Image]:
    """Yield the frames of one exposure or a burst; fewer where the camera ends it early."""
    if frames == 1:
        yield core.snap()
        return
    limit_s = _FRAME_LIMIT_S + core.get_exposure_ms() / 100
    core.start_sequence(frames)
    got, last = 0, time.monotonic()
    while got < frames:
        running = core.is_sequence_running()  # before the pop: the other order loses the last frame
        frame = core.pop()
        if frame is not None:
            yield frame.pixels
            got, last = got + 1, time.monotonic()
        elif not running:
            return
        elif time.monotonic() - last > limit_s:
            core.stop_sequence()
            raise CoreError(
                f"a burst has stopped after {got} of {frames} frames: none came for {limit_s:.0f} s. Look "
                "whether the camera waits for an external trigger"
            )
        else:
            time.sleep(_IDLE_S)
    if core.is_sequence_running():  # some cameras run on until they are stopped
        core.stop_sequence()
