"""The sequence and the circular buffer of the simulated core, computed from the time whenever someone looks."""

import math
from collections import deque
from typing import NamedTuple

from .camera import Format
from .faults import Faults


class Entry(NamedTuple):
    """A frame in the buffer: no pixels, only what they are made from when the frame is read."""

    exposure: int
    """Number of the exposure since the start, lost ones included."""
    image_number: int
    camera_frame_number: int
    """1-based, counts what the camera exposed."""
    at_s: float
    elapsed_s: float
    format: Format


class MockSequence:
    """A camera that fills a buffer: frame by frame in time, without a thread.

    Parameters
    ----------
    faults
        What goes wrong.
    format_
        What the camera's frames look like before the first start.
    """

    def __init__(self, faults: Faults, format_: Format) -> None:
        self.entries: deque[Entry] = deque()
        self.running = False
        self.overflowed = False
        self.capacity = 0
        self._faults = faults
        self._wanted: float = 0
        self._stop_on_overflow = True
        self._format = format_
        self._ends_at_next_frame = False
        self._start_s = 0.0
        self._exposure = 0
        self._inserted = 0
        self._image_number = 0
        self._camera_frame_number = 0
        self._pops = 0
        self._schedule = (0.0, 0, 0.0)

    def start(
        self,
        now_s: float,
        *,
        frames: int | None,
        stop_on_overflow: bool,
        delay_s: float,
        period_s: float,
        format_: Format,
    ) -> None:
        """Forget the last sequence and start; ``frames=None`` runs until stopped."""
        self.clear()
        self.running = True
        self._ends_at_next_frame = False
        self._wanted = math.inf if frames is None else frames
        self._stop_on_overflow = stop_on_overflow
        self._format = format_
        self._start_s = now_s
        self._exposure = self._inserted = self._camera_frame_number = self._pops = 0
        self._schedule = (now_s + delay_s, 0, period_s)
        self._end_if_done()

    @property
    def stalled(self) -> bool:
        """Whether the camera runs and waits for a trigger that does not come."""
        return self.running and self._inserted == self._faults.stall_after

    def advance(self, now_s: float) -> None:
        """Let every exposure happen that is due by now."""
        while self.running and (due_s := self._due_s()) <= now_s:
            if self._ends_at_next_frame:
                self.running = False
                return
            if self.overflowed or self._inserted == self._faults.stall_after:
                return
            exposure = self._exposure
            self._exposure += 1
            if exposure not in self._faults.lost_triggers:
                self._expose(exposure, due_s)
                self._end_if_done()

    def change_period(self, period_s: float) -> None:
        """Change the frame period; the exposure under way keeps its time."""
        self._schedule = (self._due_s(), self._exposure, period_s)

    def end_at_next_frame(self) -> None:
        """Let the sequence end at the next frame, as frames that no longer fit the buffer do."""
        self._ends_at_next_frame = True

    def clear(self) -> None:
        """Empty the buffer; the real core forgets an overflow with it and counts images from 0 again."""
        self.entries.clear()
        self.overflowed = False
        self._image_number = 0

    def pop(self) -> Entry | None:
        """Take the oldest frame; None when there is none, or by a scripted fault."""
        self._pops += 1
        if not self.entries or self._pops in self._faults.empty_pops:
            return None
        return self.entries.popleft()

    def _due_s(self) -> float:
        # Counted from a fixed point, so that rounding does not add up.
        base_s, base_exposure, period_s = self._schedule
        return base_s + (self._exposure - base_exposure) * period_s

    def _end_if_done(self) -> None:
        limit = math.inf if self._faults.end_after is None else self._faults.end_after
        if self._camera_frame_number >= self._wanted or self._inserted >= limit:
            self.running = False

    def _expose(self, exposure: int, at_s: float) -> None:
        self._camera_frame_number += 1
        if exposure in self._faults.dropped_in_camera:
            return
        if len(self.entries) >= self.capacity:
            if self._stop_on_overflow:
                self.overflowed = True
                self.running = self._faults.runs_on_after_overflow
                return
            self.entries.clear()
        if self._inserted == self._faults.image_number_reset_at:
            self._image_number = 0
        number = self._image_number + self._faults.image_number_jumps.get(self._image_number, 0)
        self._image_number = number + 1
        self._inserted += 1
        self.entries.append(
            Entry(exposure, number, self._camera_frame_number, at_s, at_s - self._start_s, self._format)
        )
