"""The clock of a recording: it runs on while the computer sleeps, and nobody can set it."""

import time

_BOOTTIME: int | None = getattr(time, "CLOCK_BOOTTIME", None)  # Linux: the monotonic clock stands still in suspend


def steady_ns() -> int:
    """Return nanoseconds since some moment, the same one in all processes of this computer."""
    return time.monotonic_ns() if _BOOTTIME is None else time.clock_gettime_ns(_BOOTTIME)


def wall_offset_ns() -> int:
    """Return what the wall clock is ahead of `steady_ns` now, ns; it changes when the wall clock is set."""
    return time.time_ns() - steady_ns()
