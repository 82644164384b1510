"""Work that a recording costs, counted rather than timed: it is the same on the slowest and busiest machine."""

import re
import shutil
import subprocess
import sys
import tempfile
import tracemalloc
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

import mmspool

HERE = Path(__file__).parent
LIMIT_S = 300.0

SIDE = 512
FRAME_BYTES = SIDE * SIDE * 2
FRAMES_PER_BLOCK = 10  # of 512x512: see persistence/block_layout.py
BLOCK_BYTES = FRAMES_PER_BLOCK * FRAME_BYTES
GROWTH = 100
FEW, MANY = 100, 300  # frames, of which a ring of 256 MiB holds all

SMALL_WRITES_PER_BLOCK = 12  # columns, checksums and counters
CALLS_PER_GROWTH = 120  # structure, journal, new columns
CALL = re.compile(r"^(\d+) +(\w+)\((\d+)<([^>]*)>(?:, \"\"\.\.\.|, \"[^\"]*\"(?:\.\.\.)?)?(?:, (\d+))?.* = (-?\d+)")
OPENED = re.compile(r"openat\(.*O_DIRECT.*\) = (\d+)<([^>]*)>")


@dataclass(frozen=True)
class Work:
    """What a recording did to its file: how often each system call, and what was written directly and not."""

    calls: Counter[str]
    direct: list[int]
    buffered: list[int]


def traced(path: Path, frames: int, height: int, width: int, *, calls: str, interval_s: float = 60.0) -> str:
    """Record under strace and return its log."""
    strace = shutil.which("strace")
    assert strace, "the tests of counted work need strace: apt-get install strace"
    log = path.with_suffix(".log")
    trace = [strace, "-f", "-qq", "-y", "-s", "0", "-e", f"trace={calls}", "-o", str(log)]
    record = [sys.executable, str(HERE / "record.py"), str(path), str(frames), str(height), str(width), str(interval_s)]
    subprocess.run([*trace, *record], check=True, timeout=LIMIT_S)
    return log.read_text()


def work(path: Path, frames: int, *, width: int = SIDE, interval_s: float = 60.0) -> Work:
    """Return the work of a recording of 512 rows; a call that another one interrupted counts when it is resumed."""
    log = traced(
        path,
        frames,
        SIDE,
        width,
        calls="openat,pwrite64,pwritev,pwritev2,fdatasync,fsync,fallocate,ftruncate",
        interval_s=interval_s,
    )
    direct_fds = {descriptor for descriptor, place in OPENED.findall(log) if place == str(path)}
    calls: Counter[str] = Counter()
    direct, buffered = [], []
    unfinished: dict[str, str] = {}
    for line in log.splitlines():
        pid = line.split(maxsplit=1)[0]
        if line.endswith("<unfinished ...>"):
            unfinished[pid] = line.removesuffix("<unfinished ...>")
            continue
        whole = line
        if "resumed>" in line and pid in unfinished:
            whole = unfinished.pop(pid) + line.partition("resumed>")[2]
        found = CALL.match(whole)
        if found is None or found[4] != str(path):
            continue
        _, name, descriptor, _, _, result = found.groups()
        calls[name] += 1
        if name.startswith("pwrite"):
            (direct if descriptor in direct_fds else buffered).append(int(result))
    assert direct_fds, f"the file system of {path.parent} has no direct I/O: choose another with --basetemp"
    return Work(calls, direct, buffered)


@pytest.fixture(scope="module")
def recordings(tmp_path_factory: pytest.TempPathFactory) -> tuple[Work, Work]:
    """Return the work of a short recording and of a longer one."""
    folder = tmp_path_factory.mktemp("work")
    return work(folder / "few.h5", FEW), work(folder / "many.h5", MANY)


def test_pixels_are_written_once_and_directly(recordings):
    """Every block is one direct write, and all direct writes together are the pixels: nothing is written twice."""
    for told, frames in zip(recordings, (FEW, MANY), strict=True):
        assert sum(told.direct) == frames * FRAME_BYTES
        assert len(told.direct) <= 2 * frames // FRAMES_PER_BLOCK  # a block that waited may be written in two parts


def test_page_cache_gets_no_pixels(recordings):
    """What goes through the page cache is small: columns, counters and structure."""
    few, many = recordings
    later = Counter(many.buffered) - Counter(few.buffered)  # without what making the file took
    assert max(later) <= 128 << 10
    assert sum(many.buffered) - sum(few.buffered) <= 0.01 * (MANY - FEW) * FRAME_BYTES


def test_calls_grow_with_blocks_and_growths_only(recordings):
    """A further block costs a dozen small writes, a further growth a bounded number of calls."""
    few, many = recordings
    blocks, growths = (MANY - FEW) // FRAMES_PER_BLOCK, (MANY - FEW) // GROWTH
    more = sum(many.calls.values()) - sum(few.calls.values())
    assert more <= blocks * (1 + SMALL_WRITES_PER_BLOCK) + growths * CALLS_PER_GROWTH


def test_syncs_are_bounded_by_growths(recordings):
    """While no sync is due, the device syncs only for growths, and a few times at the end."""
    few, many = recordings
    syncs = [told.calls["fdatasync"] + told.calls["fsync"] for told in recordings]
    assert syncs[1] - syncs[0] <= 4 * (MANY - FEW) // GROWTH
    assert syncs[0] <= 12
    assert many.calls["fallocate"] - few.calls["fallocate"] <= 2 * (MANY - FEW) // GROWTH


def test_unaligned_frames_go_directly_too(tmp_path):
    """Only the last, partial page of a block goes through the page cache."""
    width = 509
    told = work(tmp_path / "odd.h5", FEW, width=width)
    pixels = FEW * SIDE * width * 2
    assert sum(told.direct) >= 0.99 * pixels
    assert sum(told.buffered) <= 0.05 * pixels


def test_tiny_frames_cost_the_producer_no_system_calls(tmp_path):
    """A block of tiny frames is announced with a few calls, a frame with none."""
    frames = 3000
    log = traced(tmp_path / "tiny.h5", frames, 32, 32, calls="all")
    producer = log.split(maxsplit=1)[0]  # its only thread that puts
    made = [line for line in log.splitlines() if line.startswith(f"{producer} ") and "resumed>" not in line]
    first, last = (next(i for i, line in enumerate(made) if f'"{mark} put"' in line) for mark in ("first", "last"))
    assert last - first - 1 <= 0.1 * frames


def allocated(image: np.ndarray, frames: int = 40) -> int:
    """Return the most memory that putting frames took in the producer, beyond what it had."""
    with tempfile.TemporaryDirectory() as folder, _spool(Path(folder), image) as spool:
        for _ in range(5):
            spool.put(image)
        tracemalloc.start()
        try:
            for _ in range(frames):
                spool.put(image)
            return tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()


def _spool(folder: Path, image: np.ndarray) -> mmspool.Spool:
    return mmspool.Spool(folder / "run.h5", shape=image.shape, dtype=image.dtype, buffer_bytes=256 << 20)


@pytest.mark.parametrize("kind", ["plain", "every second column", "Fortran order"])
def test_put_allocates_nothing_of_a_frames_size(kind):
    """Putting a large frame allocates no more than putting a small one, whatever its memory layout."""
    peaks = []
    for side in (64, 1024):
        image = np.ones((side, side), np.uint16)
        if kind == "every second column":
            image = np.ones((side, 2 * side), np.uint16)[:, ::2]
        elif kind == "Fortran order":
            image = np.asfortranarray(image)
        peaks.append(allocated(image))
    small, large = peaks
    assert large <= small + (64 << 10)
    assert large < 256 << 10  # a frame has 2 MiB
