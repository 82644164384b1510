"""The clock of a recording: it runs on while the computer sleeps, and nobody can set it."""

import sys
import time

_BOOTTIME: int | None = getattr(time, "CLOCK_BOOTTIME", None)  # Linux: the monotonic clock stands still in suspend


def steady_ns() -> int:
    """Return nanoseconds since some moment, the same one in all processes of this computer."""
    if _BOOTTIME is not None:
        return time.clock_gettime_ns(_BOOTTIME)
    # Before Python 3.13 the monotonic clock of Windows moves in steps of 16 ms, several frames; this one of 0.1 us.
    return time.perf_counter_ns() if sys.platform == "win32" else time.monotonic_ns()


def wall_offset_ns() -> int:
    """Return what the wall clock is ahead of `steady_ns` now, ns; it changes when the wall clock is set."""
    return time.time_ns() - steady_ns()
