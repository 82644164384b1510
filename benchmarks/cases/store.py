"""Frames of one format as fast as they go: mmspool, the limit of the disk, and every other way to store them."""

import random
import time
from collections.abc import Mapping
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from peers import PEERS, SPOOL, DirectFile, Job, Peer, Put, block_bytes, copier, sync

from .base import Case, Figure, Record, Setting, Target, column, ratio
from .probe import Stopwatch

LIMIT, SMALL_PAGES, COPIED = "O_DIRECT, the limit", "O_DIRECT, from 4 KiB pages", "O_DIRECT, beside a copy"
MMSPOOL = SPOOL.name
COLUMNS = {
    "MB/s": "MB/s",
    "frames/s": "frames/s",
    "CPU": "s/GB",
    "producer CPU": "s/GB",
    "writer CPU": "s/GB",
    "memory": "MB",
    "open": "s",
    "close": "s",
}
_QUICK_BYTES = 12_000_000
_LOOKS_BYTES, _LOOKS_FRAMES = 32 << 20, 50  # at most, between two looks at the clock


def store(setting: Setting, peer: Peer, job: Job, limit_s: float) -> Record:
    """Store frames until there are enough, or for ``limit_s``; timed until everything is closed and synced."""
    peer.check(job)
    stack = setting.stack(job.shape, job.dtype)
    setting.ready()
    with ExitStack() as opened:
        started = time.perf_counter()
        put = opened.enter_context(peer.open(setting.folder, job))
        opening = time.perf_counter() - started
        watch = Stopwatch.start()
        count = _put_all(put, stack, job, limit_s)
        closing = time.perf_counter()
        opened.close()
        sync(setting.folder)
        record = watch.stop(count * job.frame_bytes)
        closing = time.perf_counter() - closing
    check(setting.folder, peer, job, stack, count)
    return record | {"frames": count, "frames/s": count / record["seconds"], "open": opening, "close": closing}


def limit(setting: Setting, job: Job, *, huge_pages: bool = True, copied: bool = False) -> Record:
    """Write as many bytes past the page cache, in order; with ``copied`` another process copies as many meanwhile."""
    stack, block = setting.stack(job.shape, job.dtype), block_bytes(job.frame_bytes)
    blocks = max(1, job.frames * job.frame_bytes // block)
    with ExitStack() as opened:
        copy = [opened.enter_context(copier(stack, block))] if copied else []  # first: forking splits huge pages
        file = opened.enter_context(DirectFile(setting.folder / "frames", stack, block, blocks, huge_pages=huge_pages))
        setting.ready()
        started, cpu = time.perf_counter(), time.process_time()
        file.write_all(*copy)
    seconds, written = time.perf_counter() - started, blocks * block
    used = (time.process_time() - cpu) / (written / 1e9)
    frames = written / job.frame_bytes
    return {
        "seconds": seconds,
        "MB/s": written / 1e6 / seconds,
        "frames": frames,
        "frames/s": frames / seconds,
        "CPU": used,
    }


def _put_all(put: Put, stack: Any, job: Job, limit_s: float) -> int:
    frames = list(stack)
    run = max(1, min(_LOOKS_FRAMES, _LOOKS_BYTES // job.frame_bytes))
    done, ends = 0, time.perf_counter() + limit_s
    while done < job.frames and time.perf_counter() < ends:
        for index in range(done, min(done + run, job.frames)):
            put(frames[index % len(frames)])
        done = min(done + run, job.frames)
    return done


def check(folder: Path, peer: Peer, job: Job, stack: Any, count: int) -> None:
    """Make sure that the frames are there: their number, the first, the last and one of the others."""
    with peer.read(folder, job) as stored:
        if len(stored) < count:
            raise AssertionError(f"{count} frames were stored, {len(stored)} are there")
        for index in {0, count - 1, random.randrange(count)}:
            if not np.array_equal(np.asarray(stored.get(index)), stack[index % len(stack)]):
                raise AssertionError(f"frame {index} is not what was stored")


def _fastest_peer(records: Mapping[str, Record]) -> float:
    ours = records[MMSPOOL]["MB/s"]
    rates = [record["MB/s"] for way, record in records.items() if way in PEERS]
    if not rates:
        raise KeyError("no peer was measured")
    return float(ours / max(rates))


def case(
    name: str,
    shape: tuple[int, int],
    dtype: str,
    *,
    gigabytes: float = 2.0,
    limit_s: float = 1.2,
    peers: Mapping[str, Peer] = PEERS,
    beside: tuple[int, int] | None = None,
    lead: float = 1.0,
    of_limit: Target | None = None,
    figures: tuple[Figure, ...] = (),
) -> Case:
    """Return the case of frames of ``shape`` ``(Y, X)``; mmspool stores frames of the shape ``beside`` too.

    ``lead`` is the target against the fastest peer, ``of_limit`` that against the limit.
    """

    def job(setting: Setting, of: tuple[int, int] = shape) -> Job:
        size = of[0] * of[1] * np.dtype(dtype).itemsize
        total = _QUICK_BYTES if setting.quick else int(gigabytes * 1e9)
        return Job(shape=of, dtype=np.dtype(dtype), frames=max(4, total // size))

    def way(setting: Setting, peer: Peer, of: tuple[int, int] = shape) -> Record:
        return store(setting, peer, job(setting, of), limit_s)

    def direct(setting: Setting, **how: bool) -> Record:
        return limit(setting, job(setting), **how)

    ways = {
        LIMIT: direct,
        COPIED: partial(direct, copied=True),
        SMALL_PAGES: partial(direct, huge_pages=False),
        MMSPOOL: partial(way, peer=SPOOL),
    }
    ways |= {peer.name: partial(way, peer=peer) for peer in peers.values()}
    told = [column(MMSPOOL, "MB/s", "MB/s"), ratio(MMSPOOL, LIMIT, "MB/s", target=of_limit)]
    told += [ratio(MMSPOOL, of, "MB/s") for of in (COPIED, SMALL_PAGES)]
    if peers:
        told.append(Figure(name="mmspool / fastest peer", unit="", of=_fastest_peer, target=Target(at_least=lead)))
    if beside:
        other = f"mmspool, {beside[1]}x{beside[0]}"
        ways[other] = partial(way, peer=SPOOL, of=beside)
        told.append(ratio(MMSPOOL, other, "MB/s", target=Target(at_least=0.9)))
    return Case(
        name=name,
        about=f"Frames of {shape[1]}x{shape[0]} {np.dtype(dtype).name}, {gigabytes:g} GB or what a way stores in "
        f"{limit_s:g} s and what it still has in hand then.",
        ways=ways,
        disk_bytes=lambda setting: max(job(setting).whole * job(setting).frame_bytes, 1 << 30),
        figures=(*told, *figures),
        columns=COLUMNS,
    )


_CPU = (
    column(MMSPOOL, "writer CPU", "s/GB", target=Target(at_most=0.15)),
    column(MMSPOOL, "producer CPU", "s/GB"),
)

CASES = (
    case(
        "sustained",
        (2048, 2048),
        "u2",
        gigabytes=12.0,
        limit_s=6.0,
        lead=1.2,
        of_limit=Target(at_least=0.97),
        figures=_CPU,
    ),
    case("2048x2048", (2048, 2048), "u2", gigabytes=3.0, limit_s=2.0, figures=_CPU),
    case("2304x2304", (2304, 2304), "u2"),
    case("4096x2304", (2304, 4096), "u2"),
    case("3200x3200-8bit", (3200, 3200), "u1"),
    case("2048x256", (256, 2048), "u2"),
    case("512x512", (512, 512), "u2"),
    case("64x64", (64, 64), "u2", figures=(column(MMSPOOL, "frames/s", "frames/s", target=Target(at_least=150_000)),)),
    case(
        "50x50-float64",
        (50, 50),
        "f8",
        figures=(column(MMSPOOL, "frames/s", "frames/s", target=Target(at_least=100_000)),),
    ),
    case("1003x777", (777, 1003), "u2", beside=(768, 1024)),
)
