"""Finding lost frames in the counters and clocks that come with each frame."""

import logging
import statistics
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from ..adapters import Counters, Frame
from ..persistence import LossStage

_log = logging.getLogger("mmspool")


@dataclass(frozen=True, slots=True)
class Gap:
    """``count`` frames are missing before the frame just looked at, lost at ``stage``."""

    count: int
    stage: LossStage


class GapDetector:
    """Compares each frame's counters with those of the frame before it.

    Parameters
    ----------
    clock_step_ns
        Given a time stamp, the steps of the camera's clock there, ns: then gaps show in the clock of a camera
        that has no counter and makes frames at equal intervals. None does without the clock.
    """

    def __init__(self, clock_step_ns: Callable[[int], int] | None = None) -> None:
        self._clock = None if clock_step_ns is None else _ClockGaps(clock_step_ns)
        self.image_number = -1  # the core counts from 0 in each sequence
        self.camera_frame_number: int | None = None  # a camera's counter may start anywhere

    def begin_with(self, frame: Frame) -> None:
        """Take a frame for the first one, whatever its number: those before it were not wanted."""
        self.image_number = frame.image_number - 1

    def missing_before(self, frame: Frame | Counters) -> list[Gap]:
        """Return what was lost between the frame before and this one.

        ``ImageNumber`` counts inserts into the core's buffer, so a jump is a loss in the core; a jump back is a
        buffer that was emptied unread, of which at least the frames before the new number are lost. What the camera's
        own counter misses beyond that was lost before the core.
        """
        missing = []
        in_core = self._core_step(frame.image_number)
        if in_core:
            missing.append(Gap(in_core, "core"))
        if frame.camera_frame_number < 0 and self._clock is not None:
            in_camera = self._clock.missing_before(frame.camera_timestamp_ns) - in_core
        else:
            in_camera = self._camera_step(frame.camera_frame_number) - in_core
        if in_camera > 0:
            missing.append(Gap(in_camera, "camera"))
        return missing

    def _core_step(self, number: int) -> int:
        if number < 0:
            return 0
        expected, self.image_number = self.image_number + 1, number
        return number - expected if number >= expected else max(1, number)

    def _camera_step(self, number: int) -> int:
        if number < 0:
            return 0
        before, self.camera_frame_number = self.camera_frame_number, number
        return max(0, number - before - 1) if before is not None else 0


class SequenceGaps:
    """Finds gaps in sequences that follow each other: the core numbers the frames of each from 0."""

    def __init__(self) -> None:
        self._gaps = GapDetector()

    def missing_before(self, numbers: Mapping[str, int]) -> list[Gap]:
        """Return what was lost between the frame before, in the same sequence, and the one with these numbers."""
        if numbers["image_number"] == 0:
            self._gaps = GapDetector()
        return self._gaps.missing_before(
            Counters(numbers["image_number"], numbers["camera_frame_number"], numbers["camera_timestamp"])
        )


_LEARNT_FROM = 16  # intervals
_REGULAR = 12  # of them have to be about equal, or the camera does not run at equal intervals
_TOLERANCE = 0.25  # of an interval


class _ClockGaps:
    """Gaps in time stamps at equal intervals, as far as the clock's steps are shorter than the interval."""

    def __init__(self, step_ns: Callable[[int], int]) -> None:
        self._step_ns = step_ns
        self._before = -1
        self._first: list[int] = []
        self._interval_ns = 0.0
        self._blind = False  # whether the steps have become too long

    def missing_before(self, stamp_ns: int) -> int:
        before, self._before = self._before, stamp_ns
        if before < 0 or stamp_ns <= before:
            return 0
        if len(self._first) < _LEARNT_FROM:
            self._learn(stamp_ns - before)
            return 0
        if not self._interval_ns:
            return 0
        if self._step_ns(stamp_ns) > _TOLERANCE * self._interval_ns:
            if not self._blind:
                self._blind = True
                _log.warning(
                    "after %.0f s the camera's clock has steps of %g ms: with frames every %.3g ms, losses before the "
                    "core cannot be seen from now on",
                    stamp_ns / 1e9,
                    self._step_ns(stamp_ns) / 1e6,
                    self._interval_ns / 1e6,
                )
            return 0
        intervals = (stamp_ns - before) / self._interval_ns
        whole = round(intervals)
        return whole - 1 if whole > 1 and abs(intervals - whole) <= _TOLERANCE else 0

    def _learn(self, interval_ns: int) -> None:
        self._first.append(interval_ns)
        if len(self._first) == _LEARNT_FROM:
            median = statistics.median(self._first)
            if sum(abs(each - median) <= _TOLERANCE * median for each in self._first) >= _REGULAR:
                self._interval_ns = median
