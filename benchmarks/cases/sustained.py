"""A 4-megapixel sCMOS camera's frames as fast as they go, against the disk's own rate."""

import mmap
import os
import time
from pathlib import Path

from mmspool import Spool

from .base import Case, Figure, Record, Target, column
from .probe import Stopwatch, camera_frames

SIDE = 2048
FRAME_BYTES = SIDE * SIDE * 2
FRAMES, QUICK_FRAMES = 1500, 300
DISTINCT = 8  # frames, cycled: more than the processor's caches hold


def _count(quick: bool) -> int:
    return QUICK_FRAMES if quick else FRAMES


def spool(folder: Path, quick: bool) -> Record:
    """Record; timed from the first put until the file is closed and on the device."""
    frames, count = camera_frames(DISTINCT, SIDE, SIDE), _count(quick)
    spool = Spool(folder / "run.h5", shape=(SIDE, SIDE), dtype="u2")
    watch = Stopwatch.start()
    for index in range(count):
        spool.put(frames[index % DISTINCT])
    result = spool.close()
    record = watch.stop(count * FRAME_BYTES)
    if result.frames != count or not result.complete:
        raise AssertionError(f"{count} frames were put, {result}")
    return record


def bare(folder: Path, quick: bool) -> Record:
    """Write as many bytes of the same frames past the page cache, in order, into reserved space, and sync."""
    frames, count = camera_frames(DISTINCT, SIDE, SIDE), _count(quick)
    memory = mmap.mmap(-1, DISTINCT * FRAME_BYTES)  # on a page boundary, as direct I/O needs it
    for index, frame in enumerate(frames):
        memory[index * FRAME_BYTES : (index + 1) * FRAME_BYTES] = frame.tobytes()
    view = memoryview(memory)
    started, cpu = time.perf_counter(), time.process_time()
    descriptor = os.open(folder / "bare", os.O_WRONLY | os.O_CREAT | os.O_DIRECT)
    os.posix_fallocate(descriptor, 0, count * FRAME_BYTES)
    for index in range(count):
        place = index % DISTINCT * FRAME_BYTES
        if os.pwrite(descriptor, view[place : place + FRAME_BYTES], index * FRAME_BYTES) != FRAME_BYTES:
            raise AssertionError("a short write")
    os.fsync(descriptor)
    os.close(descriptor)
    wall, total = time.perf_counter() - started, count * FRAME_BYTES
    return {"seconds": wall, "MB/s": total / 1e6 / wall, "CPU": (time.process_time() - cpu) / (total / 1e9)}


CASE = Case(
    name="sustained",
    ways={"bare": bare, "spool": spool},
    disk_bytes=lambda quick: _count(quick) * FRAME_BYTES,
    figures=(
        column("spool", "MB/s", "MB/s"),
        column("bare", "MB/s", "MB/s"),
        Figure(
            name="spool / bare",
            unit="",
            of=lambda records: records["spool"]["MB/s"] / records["bare"]["MB/s"],
            target=Target(at_least=0.9),
        ),
        column("spool", "writer CPU", "s/GB", target=Target(at_most=0.3)),
        column("spool", "producer CPU", "s/GB"),
        column("bare", "CPU", "s/GB"),
    ),
)
