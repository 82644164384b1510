"""The rate of a long recording over time, beside the limit of the disk."""

import time

import numpy as np
from peers import DirectFile, sync

from mmspool import Spool

from .base import Case, Record, Setting, column, ratio

SIDE = 2048
FRAME_BYTES = SIDE * SIDE * 2
BYTES, LONG_BYTES, QUICK_BYTES = 5_500_000_000, 20_000_000_000, 170_000_000
STEP_S = 0.25


class _Rate:
    """The rate in steps of time, MB/s."""

    def __init__(self) -> None:
        self._read_through, self._had = time.perf_counter(), 0
        self.series: list[float] = []

    def look(self, done: int) -> None:
        """Note the rate if a step has passed, given the bytes that are written."""
        passed = time.perf_counter() - self._read_through
        if passed >= STEP_S:
            self.series.append((done - self._had) / 1e6 / passed)
            self._read_through, self._had = self._read_through + passed, done


def _frames(setting: Setting) -> int:
    return (QUICK_BYTES if setting.quick else LONG_BYTES if setting.long else BYTES) // FRAME_BYTES


def spool(setting: Setting) -> Record:
    """Record; the rate is that of the writer, not that of `put`."""
    stack, count = setting.stack((SIDE, SIDE), "u2"), _frames(setting)
    setting.ready()
    with Spool(setting.folder / "run.h5", shape=(SIDE, SIDE), dtype="u2") as spool:
        started, rate = time.perf_counter(), _Rate()
        for index in range(count):
            spool.put(stack[index % len(stack)])
            rate.look(spool.stats.bytes_written)
    sync(setting.folder)
    return _told(count, time.perf_counter() - started, rate)


def bare(setting: Setting) -> Record:
    """Write as many bytes past the page cache."""
    stack, count = setting.stack((SIDE, SIDE), "u2"), _frames(setting)
    with DirectFile(setting.folder / "bare", stack, FRAME_BYTES, count) as file:
        setting.ready()
        started, rate = time.perf_counter(), _Rate()
        for index in range(count):
            file.write(index)
            rate.look((index + 1) * FRAME_BYTES)
    return _told(count, time.perf_counter() - started, rate)


def _told(count: int, seconds: float, rate: _Rate) -> Record:
    series = rate.series or [count * FRAME_BYTES / 1e6 / seconds]
    return {
        "MB/s": count * FRAME_BYTES / 1e6 / seconds,
        "seconds": seconds,
        "MB/s over time": series,
        "slowest": min(series),
        "p10": float(np.quantile(series, 0.1)),
    }


CASE = Case(
    name="over-time",
    about="A longer recording of 2048x2048 uint16, 5.5 GB (20 GB with --long), in steps of a quarter of a second.",
    ways={"O_DIRECT, the limit": bare, "mmspool": spool},
    disk_bytes=lambda setting: _frames(setting) * FRAME_BYTES,
    figures=(
        column("mmspool", "MB/s", "MB/s"),
        ratio("mmspool", "O_DIRECT, the limit", "MB/s"),
        column("mmspool", "slowest", "MB/s"),
        column("O_DIRECT, the limit", "slowest", "MB/s"),
    ),
    columns={"MB/s": "MB/s", "slowest": "MB/s", "p10": "MB/s"},
)
