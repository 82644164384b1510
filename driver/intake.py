"""What becomes of a frame that was taken from the core: the losses before it, its columns, the spool."""

import time
from collections.abc import Callable, Mapping
from typing import Any

from ..adapters import Frame, Image, PcoStamp
from ..persistence import LossStage, Spool
from .frame_counters import GapDetector
from .live import LiveFrame, Newest
from .triggers import NO_PLAN, TriggerPlan, TriggerWatch


class FrameIntake:
    """Stores frames, and enters into the ledger what is missing between them.

    Parameters
    ----------
    spool
        Where the frames go.
    clock_step_ns
        As for `GapDetector`.
    read_stamp
        Reads the camera's counter and time from the pixels; for cameras that write them there.
    columns
        Returns a frame's values of the user's own columns.
    triggers
        What each trigger gives, and when one is missing.

    Attributes
    ----------
    spool
        Where the frames go.
    received, lost
        Frames that were stored, and frames in the ledger.
    marks
        Whether triggers are missing.
    """

    def __init__(
        self,
        spool: Spool,
        *,
        clock_step_ns: Callable[[int], int] | None = None,
        read_stamp: Callable[[Image], PcoStamp | None] | None = None,
        columns: Callable[[Frame], Mapping[str, Any]] | None = None,
        triggers: TriggerPlan = NO_PLAN,
    ) -> None:
        self.spool = spool
        self._gaps = GapDetector(clock_step_ns)
        self._read_stamp = read_stamp
        self._columns = columns
        self._triggers = TriggerWatch(triggers)
        self._newest = Newest()
        self.received = 0
        self.lost = 0
        self.marks = False

    @property
    def newest(self) -> LiveFrame | None:
        """The frame that was stored last; None before the first one."""
        return self._newest.frame

    @property
    def accounted(self) -> int:
        """Frames that were stored or are known to be lost."""
        return self.received + self.lost

    def begin_with(self, frame: Frame) -> None:
        """Take a frame for the first one, whatever its number: those before it were not wanted."""
        self._gaps.begin_with(frame)

    def put(self, frame: Frame) -> float:
        """Store a frame and what is missing before it; return when that was, monotonic seconds.

        Raises
        ------
        SpoolError
            The spool failed.
        """
        if self._read_stamp is not None and (stamp := self._read_stamp(frame.pixels)) is not None:
            frame = frame._replace(camera_frame_number=stamp.frame_number, camera_timestamp_ns=stamp.time_ns)
        for missing in self._gaps.missing_before(frame):
            self.enter_loss(missing.count, missing.stage)
        metadata: dict[str, Any] = {
            "image_number": frame.image_number,
            "camera_frame_number": frame.camera_frame_number,
            "camera_timestamp": frame.camera_timestamp_ns,
        }
        if self._columns is not None:
            metadata |= self._columns(frame)
        self.spool.put(frame.pixels, metadata)
        now = time.monotonic()
        self._triggers.frame_came(now)
        self._newest.show(self.received, frame.pixels, now)
        self.received += 1
        return now

    def mark_missing_triggers(self) -> None:
        """Enter the frames whose triggers did not come by now."""
        while (missing := self._triggers.missing(time.monotonic(), self.accounted)) is not None:
            self.enter_loss(*missing)
            self.marks = True

    def enter_loss(self, count: int, stage: LossStage) -> None:
        """Enter frames that were lost before the next one."""
        self.spool.record_loss(count, stage)
        self.lost += count
