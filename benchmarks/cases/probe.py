"""What the cases have in common: the resources that processes use."""

import resource
import threading
import time
from typing import Any, Self

import psutil

_ENDS_S = 60.0


def writer_process() -> psutil.Process:
    """Return the writer process of the spool that this process has opened."""
    return next(child for child in psutil.Process().children() if "mmspool" in " ".join(child.cmdline()))


def memory(process: psutil.Process | None = None) -> dict[str, float]:
    """Return the memory of a process or this one, MB: resident, what is its own, its share of what it shares (PSS)."""
    info: Any = (process or psutil.Process()).memory_full_info()
    return {"RSS": info.rss / 1e6, "own": info.uss / 1e6, "PSS": info.pss / 1e6}


def cpu_s(process: psutil.Process | None = None) -> float:
    """Return the processor time of a process that runs, by default of this one, seconds."""
    if process is None:
        return _used(resource.RUSAGE_SELF)
    times = process.cpu_times()
    return float(times.user + times.system)


class Stopwatch:
    """Wall time, and processor time of this process and of the ones it started, from ``start`` on."""

    def __init__(self, wall: float, own: float, others: float) -> None:
        self._wall, self._own, self._others = wall, own, others

    @classmethod
    def start(cls) -> Self:
        """Start; what the children that run now have used is left out."""
        # Of a process that has ended only the sum over all children is known.
        running = sum(cpu_s(child) for child in psutil.Process().children(recursive=True))
        others = _used(resource.RUSAGE_CHILDREN) + running
        return cls(time.perf_counter(), _used(resource.RUSAGE_SELF), others)

    def stop(self, pixels_bytes: int) -> dict[str, float]:
        """Return what was used for so many bytes of pixels, with what the children use until they have ended."""
        wall = time.perf_counter() - self._wall
        gigabytes = pixels_bytes / 1e9
        _wait_for_spools()
        own = _used(resource.RUSAGE_SELF) - self._own
        others = max(0.0, _used(resource.RUSAGE_CHILDREN) - self._others)
        return {
            "seconds": wall,
            "MB/s": pixels_bytes / 1e6 / wall,
            "producer CPU": own / gigabytes,
            "writer CPU": others / gigabytes,
            "CPU": (own + others) / gigabytes,
        }


def _wait_for_spools() -> None:
    """Return when closed spools have given everything back, which they do after `close`, their processes last."""
    for thread in threading.enumerate():
        if thread.name == "mmspool-watch":
            thread.join(_ENDS_S)
            if thread.is_alive():
                raise AssertionError(f"a spool has not given back its memory in {_ENDS_S:g} s")


def _used(who: int) -> float:
    used = resource.getrusage(who)
    return used.ru_utime + used.ru_stime
