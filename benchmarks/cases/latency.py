"""How long `put` takes while the disk is busy, beside a plain copy of the same frame in the same loop."""

import mmap
import time

import numpy as np

from mmspool import Spool

from .base import Case, Figure, Record, Setting, Target, column

SIDE = 2048
FRAME_BYTES = SIDE * SIDE * 2
PERIOD_S = 0.01  # 100 frames/s
FRAMES = 600  # a file; several, so that the disk holds few gigabytes
FILES = 5
QUICK_FRAMES, QUICK_FILES = 20, 1
COPIES = 64  # places to copy to, as many bytes as a small ring
QUANTILES = {"p50": 0.5, "p99": 0.99, "p99.9": 0.999, "max": 1.0}


def paced(setting: Setting) -> Record:
    """Record at 100 frames/s; each period a copy and a put, in turns first."""
    stack = setting.stack((SIDE, SIDE), "u2")
    memory = mmap.mmap(-1, COPIES * FRAME_BYTES)
    places = np.frombuffer(memory, np.uint16).reshape(COPIES, SIDE, SIDE)
    places[...] = 1  # every page is there, as in the ring
    setting.ready()
    puts: list[float] = []
    copies: list[float] = []
    full, late = 0.0, 0
    for number in range(QUICK_FILES if setting.quick else FILES):
        path = setting.folder / f"{number}.h5"
        with Spool(path, shape=(SIDE, SIDE), dtype="u2") as spool:
            due = time.perf_counter()
            for index in range(QUICK_FRAMES if setting.quick else FRAMES):
                due += PERIOD_S
                if (ahead := due - time.perf_counter()) > 0:
                    time.sleep(ahead)
                else:
                    late += 1
                frame, other = stack[index % len(stack)], stack[(index + 3) % len(stack)]
                for first in (index % 2, 1 - index % 2):
                    started = time.perf_counter()
                    if first:
                        spool.put(frame)
                        puts.append(time.perf_counter() - started)
                    else:
                        np.copyto(places[index % COPIES], other)
                        copies.append(time.perf_counter() - started)
            stats = spool.stats
            full = max(full, stats.ring_peak / stats.ring_frames)
        path.unlink()
    record: Record = {"ring at most": full * 100, "late": late}
    for name, times in (("put", puts), ("copy", copies)):
        for label, quantile in QUANTILES.items():
            record[f"{name} {label}"] = float(np.quantile(times, quantile, method="higher")) * 1e3
        record[f"{name} ms"] = [round(value * 1e3, 4) for value in times]
    return record


def _ratio(label: str, target: Target | None = None) -> Figure:
    return Figure(
        name=f"put / copy, {label}",
        unit="",
        of=lambda records: float(records["paced"][f"put {label}"] / records["paced"][f"copy {label}"]),
        target=target,
    )


CASE = Case(
    name="latency",
    about="`put` of 2048x2048 uint16 frames at 100 frames/s, while they are written, beside `np.copyto` of such a "
    "frame in the same loop; five files of 600 frames.",
    ways={"paced": paced},
    disk_bytes=lambda _setting: (FRAMES + 200) * FRAME_BYTES,
    figures=(
        *(column("paced", f"{name} {label}", "ms") for label in QUANTILES for name in ("copy", "put")),
        _ratio("p50", Target(at_most=1.3)),
        _ratio("p99"),
        _ratio("p99.9", Target(at_most=2)),
        column("paced", "ring at most", "% full"),
    ),
)
