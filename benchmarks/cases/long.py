"""A recording that has gone on for long: the file's millionth chunk must cost what its first did.

Frames of a 4-megapixel camera are one chunk each. Small ones in a small ring are too, so that the chunks of minutes
are made in seconds.
"""

import time
from pathlib import Path

import h5py

from mmspool import Spool

from .base import Case, Record, Target, column
from .probe import camera_frames, memory, writer_process

SIDE = 128
FRAME_BYTES = SIDE * SIDE * 2
FRAMES, QUICK_FRAMES = 30_000, 10_000  # 300 s and 100 s of a camera at 100 frames/s
PARTS = 10
DISTINCT = 8
BUFFER_BYTES = 600_000  # a dozen frames, so that what the writer does is what the producer sees


def record(folder: Path, quick: bool) -> Record:
    """Record; the first and the last tenth are timed."""
    frames, part = camera_frames(DISTINCT, SIDE, SIDE), (QUICK_FRAMES if quick else FRAMES) // PARTS
    path = folder / "run.h5"
    seconds, own = [], []
    with Spool(path, shape=(SIDE, SIDE), dtype="u2", buffer_bytes=BUFFER_BYTES) as spool:
        for _ in range(PARTS):
            started = time.perf_counter()
            for index in range(part):
                spool.put(frames[index % DISTINCT])
            seconds.append(time.perf_counter() - started)
            own.append(memory(writer_process())["own"])
    with h5py.File(path) as file:
        if file["data"].chunks != (1, SIDE, SIDE) or len(file["data"]) != part * PARTS:
            raise AssertionError(f"expected one frame a chunk, not {file['data'].chunks}")
    return {
        "chunks": part * PARTS,
        "first tenth": part / seconds[0],
        "last tenth": part / seconds[-1],
        "last / first": seconds[0] / seconds[-1],
        "growth of the writer's own memory": (own[-1] - own[0]) / (part * (PARTS - 1)) * 1e6,
    }


CASE = Case(
    name="long",
    ways={"spool": record},
    disk_bytes=lambda quick: (QUICK_FRAMES if quick else FRAMES) * FRAME_BYTES,
    figures=(
        column("spool", "chunks", ""),
        column("spool", "first tenth", "frames/s"),
        column("spool", "last tenth", "frames/s"),
        column("spool", "last / first", "", target=Target(at_least=0.8)),
        column("spool", "growth of the writer's own memory", "bytes/chunk"),
    ),
)
