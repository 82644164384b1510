"""When a buffer of a running recording will be full, from how fast it fills."""

import math

from .result import RecordStats

_SMOOTHING_S = 1.0  # a rate forgets what was longer ago: blocks and syncs make the ring's fill go up and down
_RELEVANT_S = 60.0
_RELEVANT_FILL = 0.1  # a ring that is nearly empty goes up and down all the time
_ALMOST_FULL = 0.99  # a full ring is a few frames less than full whenever the writer has ended a block


class Forecast:
    """Finds which of ring, core buffer and disk will be full first, if one of them soon is."""

    def __init__(self) -> None:
        self._ring = _Rate()
        self._core = _Rate()
        self._made = _Rate()  # frames of the camera a second
        self._taken = _Rate()

    def update(self, stats: RecordStats, now: float) -> None:
        """Look at a recording.

        Parameters
        ----------
        stats
            How it stands.
        now
            On any clock that only goes forward, seconds.
        """
        self._ring.update(stats.spool.ring_used, now)
        self._core.update(stats.core_waiting, now)
        self._taken.update(stats.frames_received, now)
        if not _ring_is_full(stats):  # while it is, the loop that counts what the core has is held up
            self._made.update(stats.frames_received + stats.core_waiting, now)

    def text(self, stats: RecordStats, *, disk_left_s: float, end_left_s: float) -> str:
        """Return a warning such as ``ring full in 12 s``; empty while nothing is near that comes before the end.

        Parameters
        ----------
        stats
            How it stands, the same as `update` was given.
        disk_left_s
            Seconds until the disk is full.
        end_left_s
            Seconds until the recording ends.
        """
        spool = stats.spool
        times = {"disk": disk_left_s, "core buffer": self._core_left_s(stats)}
        if not _ring_is_full(stats) and spool.ring_used >= _RELEVANT_FILL * spool.ring_frames:
            times["ring"] = _time(spool.ring_frames - spool.ring_used, self._ring.per_s)
        name, left_s = min(times.items(), key=lambda item: item[1])
        warning = f"{name} full in {left_s:.0f} s" if left_s <= min(_RELEVANT_S, end_left_s) else ""
        if not _ring_is_full(stats):
            return warning
        return f"ring full, {warning}" if warning else "ring full"

    def _core_left_s(self, stats: RecordStats) -> float:
        free = stats.core_capacity - stats.core_waiting
        if _ring_is_full(stats):  # it fills by what comes from the camera and is not taken
            return _time(free, self._made.per_s - self._taken.per_s)
        if stats.core_waiting < _RELEVANT_FILL * stats.core_capacity:
            return math.inf
        return _time(free, self._core.per_s)


class _Rate:
    """By how much a figure grows a second, smoothed."""

    def __init__(self) -> None:
        self.per_s = 0.0
        self._before: tuple[float, int] | None = None

    def update(self, value: int, now: float) -> None:
        """Take the figure's present value."""
        if self._before is not None:
            then, old = self._before
            if now <= then:
                return
            new = (value - old) / (now - then)
            self.per_s = new + (self.per_s - new) * math.exp((then - now) / _SMOOTHING_S)
        self._before = now, value


def _ring_is_full(stats: RecordStats) -> bool:
    return stats.spool.ring_frames > 0 and stats.spool.ring_used >= _ALMOST_FULL * stats.spool.ring_frames


def _time(free: int, per_s: float) -> float:
    """Return how long ``free`` frames last, seconds; infinite if they do not shrink."""
    return free / per_s if per_s > 0 else math.inf
