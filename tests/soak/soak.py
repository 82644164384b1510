"""A long recording of each kind: does anything grow that should not? Not part of the tests; writes docs/soak.md.

``python tests/torture.py soak [--quick] [--folder DIR]``
"""

import argparse
import contextlib
import platform
import statistics
import tempfile
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

import numpy as np
import psutil
from support.paths import PROJECT

from mmspool import Spool, SpoolResult
from mmspool.persistence import VerifyReport, verify

REPORT = PROJECT / "docs" / "soak.md"
_SAMPLE_S = 0.5
_WARM = 0.2  # of the samples are not counted: imports, first growths, a ring that fills
_ALLOWED_MB = 16.0  # an allocator's noise


@dataclass(frozen=True)
class Run:
    """A recording to be made."""

    name: str
    shape: tuple[int, int]
    frames: int


@dataclass
class Samples:
    """What one process, or the shared memory, had at each look."""

    values: dict[str, list[float]] = field(default_factory=dict)

    def add(self, name: str, value: float) -> None:
        """Note a figure."""
        self.values.setdefault(name, []).append(value)

    def row(self, name: str) -> tuple[float, float, float]:
        """Return the median of the first and of the last quarter after warming up, and the largest."""
        counted = self.values[name][int(len(self.values[name]) * _WARM) :]
        quarter = max(1, len(counted) // 4)
        return statistics.median(counted[:quarter]), statistics.median(counted[-quarter:]), max(counted)


@contextlib.contextmanager
def sampling(spool: Spool) -> Iterator[Samples]:
    """Look at both processes in a thread of its own."""
    samples, ended = Samples(), threading.Event()

    def look() -> None:
        processes = {"user's": psutil.Process(), "writer": psutil.Process(spool._client.writer.pid)}
        while True:
            for name, process in processes.items():
                with contextlib.suppress(psutil.NoSuchProcess, psutil.ZombieProcess):
                    samples.add(f"{name} memory", process.memory_full_info().pss / 1e6)
                    samples.add(f"{name} handles", process.num_fds())
                    samples.add(f"{name} threads", process.num_threads())
            samples.add("shared memory", spool.stats.ring_bytes / 1e6)
            if ended.wait(_SAMPLE_S):
                return

    thread = threading.Thread(target=look)
    thread.start()
    try:
        yield samples
    finally:
        ended.set()
        thread.join()


def soak(run: Run, folder: Path) -> tuple[SpoolResult, VerifyReport, Samples]:
    """Record, check every frame, remove the file."""
    path = folder / "soak.h5"
    image = np.random.default_rng(1).integers(0, 4096, run.shape, np.uint16)
    number = image.reshape(-1)[:4].view(np.uint64)
    started = time.monotonic()
    try:
        with Spool(path, shape=run.shape, dtype=np.uint16, timeout_s=600) as spool:
            with sampling(spool) as samples:
                for index in range(run.frames):
                    number[0] = index
                    spool.put(image)
                while spool.stats.frames_written < run.frames:
                    time.sleep(_SAMPLE_S)
            result = spool.close()
        print(f"{run.name}: {result.frames_written:,} frames, {time.monotonic() - started:.0f} s; checking", flush=True)  # noqa: T201
        return result, verify(path), samples
    finally:
        path.unlink(missing_ok=True)


def report(run: Run, result: SpoolResult, checked: VerifyReport, samples: Samples) -> tuple[list[str], bool]:
    """Return the lines of a table, and whether all of it is flat and right."""
    right = result.complete and checked.complete and checked.frames_checked == run.frames
    size = run.frames * run.shape[0] * run.shape[1] * 2 / 1e9
    lines = [
        f"## {run.name}",
        "",
        f"{run.frames:,} frames of {run.shape[0]}x{run.shape[1]} uint16 ({size:.1f} GB) in "
        f"{result.stats.elapsed_s:.0f} s, {result.stats.mb_per_s:,.0f} MB/s; {result.state}, "
        f"{checked.frames_checked:,} checksums {'right' if right else 'WRONG'}.",
        "",
        "| | first quarter | last quarter | most | |",
        "|---|---|---|---|---|",
    ]
    flat = True
    for name in samples.values:
        first, last, most = samples.row(name)
        steady = last - first <= (_ALLOWED_MB if "memory" in name else 0)
        flat &= steady
        unit = " MB" if "memory" in name else ""
        verdict = "flat" if steady else "GROWS"
        lines.append(f"| {name} | {first:,.0f}{unit} | {last:,.0f}{unit} | {most:,.0f}{unit} | {verdict} |")
    return [*lines, ""], flat and right


def main(arguments: list[str] | None = None) -> int:
    """Run as `torture.py` does."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a twentieth of it; writes no report")
    parser.add_argument("--small", type=int, default=1_000_000, help="frames of 64x64")
    parser.add_argument("--large-gb", type=float, default=20.0, help="GB of frames of 2048x2048")
    parser.add_argument("--folder", type=Path, help="where to record [the system's temporary folder]")
    options = parser.parse_args(arguments)
    share = 0.05 if options.quick else 1.0
    runs = (
        Run("Small frames", (64, 64), int(options.small * share)),
        Run("Large frames", (2048, 2048), int(options.large_gb * share * 1e9 / (2048 * 2048 * 2))),
    )
    system = f"{platform.system()} {platform.release()}, Python {platform.python_version()}, {psutil.cpu_count()} cores"
    today = datetime.now().astimezone().date()
    lines = [
        "# Soak test",
        "",
        f"`python tests/torture.py soak{' --quick' if options.quick else ''}`, {today}, {system}.",
        "Memory is the proportional set size: the ring, which both processes map, counts half in each.",
        f"The first {_WARM:.0%} of the samples are not counted; flat is at most {_ALLOWED_MB:g} MB and no handle more.",
        "",
    ]
    good = True
    with tempfile.TemporaryDirectory(dir=options.folder) as folder:
        for run in runs:
            table, fine = report(run, *soak(run, Path(folder)))
            lines += table
            good &= fine
    text = "\n".join(lines)
    print(text)  # noqa: T201
    if not options.quick:
        REPORT.write_text(text.rstrip() + "\n", encoding="utf-8")
    return not good
