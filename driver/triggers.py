"""Triggered recordings: how many frames each trigger gives, and when a trigger that does not come is missing."""

import math
from dataclasses import dataclass
from typing import Any

from ..persistence import LossStage


@dataclass(frozen=True, kw_only=True, slots=True)
class TriggerPlan:
    """What each trigger gives.

    Parameters
    ----------
    frames_per_trigger
        Frames that one trigger starts, a burst.
    triggers
        How many triggers there are; None does not limit them.
    timeout_s
        After this long without a frame the next trigger is missing, and the recording goes on; by default none is.
    """

    frames_per_trigger: int = 1
    triggers: int | None = None
    timeout_s: float = math.inf

    def __post_init__(self) -> None:
        for name, value in (("frames_per_trigger", self.frames_per_trigger), ("triggers", self.triggers)):
            if value is not None and not (hasattr(value, "__index__") and value >= 1):
                raise ValueError(f"{name} is a whole number, 1 or more, not {value!r}")
        if not self.timeout_s > 0:
            raise ValueError(f"trigger_timeout_s is a positive number of seconds, not {self.timeout_s}")

    def frames(self, asked: int | None) -> int | None:
        """Return how many frames a recording has in all.

        Raises
        ------
        ValueError
            Both triggers and frames were asked for, or the frames are no whole number of bursts.
        """
        if self.triggers is not None:
            if asked is not None:
                raise ValueError(f"give triggers or frames, not both: {self.triggers} triggers and {asked} frames")
            return self.triggers * self.frames_per_trigger
        if asked is not None and asked % self.frames_per_trigger:
            raise ValueError(
                f"{asked} frames are no whole number of triggers of {self.frames_per_trigger} frames: give a "
                f"multiple of {self.frames_per_trigger}"
            )
        return asked

    def facts(self) -> dict[str, Any]:
        """Return the plan for the file."""
        timeout_s = self.timeout_s if math.isfinite(self.timeout_s) else None
        return {"frames_per_trigger": self.frames_per_trigger, "triggers": self.triggers, "timeout_s": timeout_s}


NO_PLAN = TriggerPlan()
"""Each frame stands for itself, and none is missed."""


class TriggerWatch:
    """Says which frames are missing because their trigger did not come.

    From the first frame on, each ``timeout_s`` without a frame is one missing trigger. A burst that stops in the middle
    is the camera's loss, not a missing trigger.

    Parameters
    ----------
    plan
        What each trigger gives.
    """

    def __init__(self, plan: TriggerPlan) -> None:
        self._plan = plan
        self._since = math.inf

    def frame_came(self, now: float) -> None:
        """Note that a frame came at the monotonic time ``now``, seconds."""
        self._since = now

    def missing(self, now: float, accounted: int) -> tuple[int, LossStage] | None:
        """Return how many frames are missing by now and the stage of their loss; None while none is.

        Parameters
        ----------
        now
            Monotonic time, seconds.
        accounted
            Frames that came and that are known to be lost until now.
        """
        if now - self._since < self._plan.timeout_s:
            return None
        self._since += self._plan.timeout_s
        into_burst = accounted % self._plan.frames_per_trigger
        return self._plan.frames_per_trigger - into_burst, "camera" if into_burst else "trigger"
