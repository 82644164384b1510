"""From the thousandth to the millionth frame: rate, processor time and memory must stay as they are."""

import time

from mmspool import Spool

from .base import Case, Record, Setting, Target, column
from .probe import cpu_s, memory, writer_process

SIDE = 32
FRAMES, QUICK_FRAMES = 1_000_000, 20_000
PARTS = 10
BUFFER_BYTES = 64 << 20


def _count(setting: Setting) -> int:
    return QUICK_FRAMES if setting.quick else FRAMES


def record(setting: Setting) -> Record:
    """Record a million tiny frames; each tenth is timed."""
    frames, part = list(setting.stack((SIDE, SIDE), "u2")[:4096]), _count(setting) // PARTS
    seconds, cpu, own = [], [], []
    with Spool(setting.folder / "run.h5", shape=(SIDE, SIDE), dtype="u2", buffer_bytes=BUFFER_BYTES) as spool:
        writer = writer_process()
        for index in range(1000):
            spool.put(frames[index % len(frames)])
        for _ in range(PARTS):
            started, used = time.perf_counter(), cpu_s() + cpu_s(writer)
            for index in range(part):
                spool.put(frames[index % len(frames)])
            seconds.append(time.perf_counter() - started)
            cpu.append((cpu_s() + cpu_s(writer) - used) / part * 1e6)
            own.append(memory(writer)["own"] + memory()["own"])
    return {
        "frames/s": [part / each for each in seconds],
        "CPU us/frame": cpu,
        "own MB": own,
        "rate": part * PARTS / sum(seconds),
        "last / first rate": seconds[0] / seconds[-1],
        "last / first CPU": cpu[-1] / cpu[0],
        "growth": own[-1] - own[0],
    }


CASE = Case(
    name="growth",
    about="A million frames of 32x32 uint16 in one file: its tenths compared. The memory is what both processes have "
    "of their own, without the ring; the file's structure is held in memory by HDF5 (it grows with the chunks).",
    ways={"mmspool": record},
    disk_bytes=lambda setting: _count(setting) * SIDE * SIDE * 2 + (1 << 30),
    figures=(
        column("mmspool", "rate", "frames/s"),
        column("mmspool", "last / first rate", "", target=Target(at_least=0.9)),
        column("mmspool", "last / first CPU", "", target=Target(at_most=1.1)),
        column("mmspool", "growth", "MB", target=Target(at_most=4)),
    ),
)
