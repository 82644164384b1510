"""What a disk sustains, read from how its rate went while a test wrote to it."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

_DROP = 0.7  # disks on shared machines vary by a fifth from moment to moment; the cache of an SSD hides a half or more
_LEAST_SAMPLES = 3  # on either side of a drop: one slow moment is a stall, not the end of a cache
_FALLING = 0.8


@dataclass(frozen=True, kw_only=True, slots=True)
class Sample:
    """One stretch of a test, from its first write to the end of its sync.

    Attributes
    ----------
    size_bytes
        Bytes written.
    seconds
        How long that took.
    slowest_s
        The longest that one write or the sync took.
    """

    size_bytes: int
    seconds: float
    slowest_s: float


@dataclass(frozen=True, kw_only=True, slots=True)
class DiskRate:
    """What a disk sustained in a test.

    Attributes
    ----------
    bytes_per_s
        The mean rate of the second half of the test, or of what followed a drop that came later still.
    cache_bytes, cached_bytes_per_s
        How many bytes were taken before the rate fell, and how fast; None where it did not fall. Caches that are
        larger than ``size_bytes`` are not seen.
    falling
        Whether the rate was still going down when the test ended: its last quarter was slower than ``bytes_per_s`` by
        a fifth.
    slowest_s
        The longest that one write of 8 MiB or a sync took.
    direct
        Whether the test went past the page cache; otherwise through it, and each stretch of it was synced.
    size_bytes, seconds
        How much was written in all, and how long that took.
    """

    bytes_per_s: float
    cache_bytes: int | None
    cached_bytes_per_s: float | None
    falling: bool
    slowest_s: float
    direct: bool
    size_bytes: int
    seconds: float


def judge_disk(samples: Sequence[Sample], *, direct: bool) -> DiskRate:
    """Return what the disk sustained.

    Parameters
    ----------
    samples
        The whole test in order, at least one stretch.
    direct
        Whether it went past the page cache.
    """
    sizes = np.array([sample.size_bytes for sample in samples], np.float64)
    times = np.array([sample.seconds for sample in samples], np.float64)
    ends = np.cumsum(times)
    drop, half = _find_drop(sizes / times), _from_share(ends, 0.5)
    sustained = _mean_rate(sizes, times, max(drop or 0, half))
    if drop and sustained >= _mean_rate(sizes[:drop], times[:drop], 0):  # it recovered: that was no cache
        drop, sustained = None, _mean_rate(sizes, times, half)
    return DiskRate(
        bytes_per_s=sustained,
        cache_bytes=int(sizes[:drop].sum()) if drop else None,
        cached_bytes_per_s=_mean_rate(sizes[:drop], times[:drop], 0) if drop else None,
        falling=_mean_rate(sizes, times, _from_share(ends, 0.75)) < _FALLING * sustained,
        slowest_s=max(sample.slowest_s for sample in samples),
        direct=direct,
        size_bytes=int(sizes.sum()),
        seconds=float(ends[-1]),
    )


def _find_drop(rates: npt.NDArray[np.float64]) -> int | None:
    """Return at which sample the rate went down for good; None if it did not.

    Of all ways to cut the test in two, that one is looked at which leaves the least variance within the parts.
    """
    splits = range(_LEAST_SAMPLES, len(rates) - _LEAST_SAMPLES + 1)
    if not splits:
        return None
    split = min(splits, key=lambda at: rates[:at].var() * at + rates[at:].var() * (len(rates) - at))
    return split if np.median(rates[split:]) < _DROP * np.median(rates[:split]) else None


def _from_share(ends: npt.NDArray[np.float64], share: float) -> int:
    """Return the first sample that lies wholly behind this share of the time; the last one if none does."""
    starts = np.concatenate(([0.0], ends[:-1]))
    return min(int(np.searchsorted(starts, share * ends[-1])), len(ends) - 1)


def _mean_rate(sizes: npt.NDArray[np.float64], times: npt.NDArray[np.float64], first: int) -> float:
    return float(sizes[first:].sum() / times[first:].sum())
