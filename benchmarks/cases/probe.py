"""What the cases have in common: camera-like frames, and the resources that processes use."""

import resource
import time
from typing import Any, Self

import numpy as np
import numpy.typing as npt
import psutil

OFFSET = 100.0  # ADU of an unlit pixel
READ_NOISE = 3.0  # ADU, about 1.5 electrons
PHOTONS = 50.0  # electrons on average
GAIN = 2.0  # ADU an electron


def camera_frames(count: int, height: int, width: int) -> list[npt.NDArray[np.uint16]]:
    """Return ``count`` different frames ``(Y, X)`` with the offset, read noise and photon noise of an sCMOS camera."""
    random = np.random.default_rng(1)
    frames = []
    for _ in range(count):
        light = random.poisson(PHOTONS, (height, width)) * GAIN
        frames.append((OFFSET + random.normal(0.0, READ_NOISE, light.shape) + light).clip(0).astype(np.uint16))
    return frames


def writer_process() -> psutil.Process:
    """Return the persistence process of the spool that this process has opened."""
    return next(child for child in psutil.Process().children() if "spawn_main" in " ".join(child.cmdline()))


class Stopwatch:
    """Wall time, and CPU time of the producer (this process) and of its persistence process, from ``start`` on."""

    def __init__(self, wall: float, producer: float, writer: float) -> None:
        self._wall, self._producer, self._writer = wall, producer, writer

    @classmethod
    def start(cls) -> Self:
        """Start, while a spool is open; what starting its process took is left out."""
        # Of a process that has ended only the sum over all children is known.
        before = writer_process().cpu_times()
        ended = _cpu_s(resource.RUSAGE_CHILDREN)
        producer = _cpu_s(resource.RUSAGE_SELF)
        return cls(time.perf_counter(), producer, ended + before.user + before.system)

    def stop(self, pixels_bytes: int) -> dict[str, float]:
        """Return what was used for so many bytes of pixels; the spool has been closed."""
        wall = time.perf_counter() - self._wall
        gigabytes = pixels_bytes / 1e9
        return {
            "seconds": wall,
            "MB/s": pixels_bytes / 1e6 / wall,
            "producer CPU": (_cpu_s(resource.RUSAGE_SELF) - self._producer) / gigabytes,
            "writer CPU": (_cpu_s(resource.RUSAGE_CHILDREN) - self._writer) / gigabytes,
        }


def memory(process: psutil.Process) -> dict[str, float]:
    """Return a process' memory, MB: resident, what of it is its own, and its share of what it shares (PSS)."""
    info: Any = process.memory_full_info()
    return {"RSS": info.rss / 1e6, "own": info.uss / 1e6, "PSS": info.pss / 1e6}


def _cpu_s(who: int) -> float:
    used = resource.getrusage(who)
    return used.ru_utime + used.ru_stime
