"""The time of the simulated core: real, or stepped by a test."""

import time
from typing import Protocol


class Clock(Protocol):
    """What the simulated core needs of a clock."""

    def __call__(self) -> float:
        """Return the time, s."""

    def advance(self, seconds: float) -> None:
        """Let this much time pass."""

    def tick(self) -> None:
        """Note that the core is asked how its sequence stands."""


class RealClock:
    """The computer's monotonic clock."""

    def __call__(self) -> float:
        """Return the time, s."""
        return time.monotonic()

    def advance(self, seconds: float) -> None:
        """Sleep."""
        time.sleep(seconds)

    def tick(self) -> None:
        """Do nothing: time passes on its own."""


class SteppedClock:
    """A clock that stands still until it is advanced, so that tests need no real time.

    Parameters
    ----------
    tick_s
        Time that passes each time a simulated core is asked whether its sequence runs or how many frames wait, s. With
        it, a loop that polls makes progress by itself.
    """

    def __init__(self, *, tick_s: float = 0.0) -> None:
        if tick_s < 0:
            raise ValueError(f"tick_s is {tick_s}; expected 0 or more: time does not run backwards")
        self._now_s = 0.0
        self._tick_s = tick_s

    def __call__(self) -> float:
        """Return the time, s."""
        return self._now_s

    def advance(self, seconds: float) -> None:
        """Let time pass; ValueError when `seconds` is negative."""
        if seconds < 0:
            raise ValueError(f"advance({seconds}): expected 0 or more seconds: time does not run backwards")
        self._now_s += seconds

    def tick(self) -> None:
        """Let one ``tick_s`` pass."""
        self._now_s += self._tick_s
