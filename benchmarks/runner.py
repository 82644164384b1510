"""Runs measurements, each in a fresh process and a fresh folder, from the same state of the machine."""

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import psutil
from cases import Case, Record, Setting
from tree import tree_bytes

HERE = Path(__file__).resolve().parent

_SPARE_BYTES = 2 * 10**9  # a disk filled to the brim is slow, and somebody else may need it
_WARM_BYTES = 3 << 30  # beside what the case puts on the disk, which the page cache may hold
_LIMIT_S = 1200.0
_LOOK_S = 0.02


class MeasurementError(Exception):
    """One measurement failed; the others go on."""


class MissingError(Exception):
    """A way is not available here; the message says why."""


@dataclass
class WarmMemory:
    """Memory that was in use a moment ago, for whoever starts next.

    A virtual machine that gives free memory back to its host gets it anew page by page, at 0.5 GB/s where this was
    measured: whatever goes through the page cache then measures the hypervisor. So as much memory as a
    measurement may need is used before it, and let go of when it starts.
    """

    most: int
    _held: Any = field(default=None, repr=False)

    def take(self, size: int) -> None:
        """Use ``size`` bytes, or the most that it may."""
        self.release()
        self._held = np.ones(min(size, self.most), np.uint8)

    def release(self) -> None:
        """Let go of it."""
        self._held = None


@dataclass(frozen=True, kw_only=True)
class Runner:
    """Measures ways of cases in ``folder``."""

    folder: Path
    quick: bool
    long: bool
    shared: Path
    warm: WarmMemory

    def measure(self, case: Case, way: str) -> Record:
        """Measure one way once.

        Raises
        ------
        MeasurementError, MissingError
            It could not be measured.
        """
        with tempfile.TemporaryDirectory(prefix="measured-", dir=self.shared, ignore_cleanup_errors=True) as place:
            setting = Setting(folder=Path(place), shared=self.shared, quick=self.quick, long=self.long)
            needed, free = case.disk_bytes(setting) + _SPARE_BYTES, shutil.disk_usage(self.folder).free
            if free < needed:
                raise MeasurementError(f"{self.folder} has {free:,} bytes free, and {needed:,} are needed")
            os.sync()  # what came before is not to be paid for here
            self.warm.take(case.disk_bytes(setting) + _WARM_BYTES)
            record = self._run(case, way, place)
        if "missing" in record:
            raise MissingError(record["missing"])
        return record

    def _run(self, case: Case, way: str, place: str) -> Record:
        sizes = [name for name, wanted in (("quick", self.quick), ("long", self.long)) if wanted]
        command = [sys.executable, str(HERE / "measure.py"), case.name, way, place, str(self.shared), *sizes]
        with tempfile.TemporaryFile("w+") as errors:
            process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=errors, text=True)
            with _ended(process):
                assert process.stdin is not None
                assert process.stdout is not None
                line = _answer(process)
                peak = 0
                if line.strip() == "ready":
                    self.warm.release()
                    process.stdin.write("go\n")
                    process.stdin.flush()
                    peak = _watch(process)
                    line = process.stdout.read().strip().rpartition("\n")[2]
            if process.returncode:
                errors.seek(0)
                raise MeasurementError(f"exit code {process.returncode}\n{errors.read().strip()[-2000:]}")
        record: Record = json.loads(line)
        before = record.pop("memory before")
        return record | {"memory": peak / 1e6 - before} if peak else record


def _answer(process: "subprocess.Popen[str]") -> str:
    """Return the line with which a measurement says that it is ready, or its record; nothing if it failed."""
    assert process.stdout is not None
    for line in process.stdout:
        if line.strip() == "ready" or line.startswith("{"):
            return line
    process.wait(_LIMIT_S)
    return ""


def _watch(process: "subprocess.Popen[str]") -> int:
    """Return the most memory that the process and its descendants had, until it has ended."""
    peak, ends = 0, time.monotonic() + _LIMIT_S
    while process.poll() is None:
        if time.monotonic() > ends:
            raise MeasurementError(f"not done in {_LIMIT_S:g} s")
        peak = max(peak, tree_bytes(process.pid))
        time.sleep(_LOOK_S)
    return peak


@contextmanager
def _ended(process: "subprocess.Popen[str]") -> Iterator[None]:
    """Leave no process behind, however the block ends."""
    try:
        yield
        process.wait(_LIMIT_S)
    finally:
        if process.poll() is None:
            for child in psutil.Process(process.pid).children(recursive=True):
                child.kill()
            process.kill()
            process.wait()
        for stream in (process.stdin, process.stdout):
            if stream is not None:
                stream.close()


@contextmanager
def runner(folder: Path, *, quick: bool, long: bool) -> Iterator[Runner]:
    """Yield a runner; what it had on the disk is gone afterwards."""
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="mmspool-benchmark-", dir=folder) as shared:
        available = int(psutil.virtual_memory().available)
        warm = WarmMemory(0 if quick else available * 3 // 4)
        yield Runner(folder=folder, quick=quick, long=long, shared=Path(shared), warm=warm)
