"""A recording of many chunks: the last one must cost what the first did.

Frames of a 4-megapixel camera are one chunk each. Small ones in a small ring are too, so that the chunks of minutes
are made in seconds.
"""

import time

import h5py

from mmspool import Spool

from .base import Case, Record, Setting, Target, column
from .frames import camera_frames
from .probe import memory, writer_process

SIDE = 128
FRAME_BYTES = SIDE * SIDE * 2
FRAMES, QUICK_FRAMES = 30_000, 2_000  # 300 s of a camera at 100 frames/s
PARTS = 10
DISTINCT = 8
BUFFER_BYTES = 600_000  # a dozen frames, so that what the writer does is what the producer sees


def _count(setting: Setting) -> int:
    return QUICK_FRAMES if setting.quick else FRAMES


def record(setting: Setting) -> Record:
    """Record; the first and the last tenth are timed."""
    frames, part = camera_frames(DISTINCT, SIDE, SIDE), _count(setting) // PARTS
    path = setting.folder / "run.h5"
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
    name="chunks",
    about="30,000 chunks, as many as five minutes of a fast camera make.",
    ways={"spool": record},
    disk_bytes=lambda setting: _count(setting) * FRAME_BYTES,
    figures=(
        column("spool", "chunks", ""),
        column("spool", "first tenth", "frames/s"),
        column("spool", "last tenth", "frames/s"),
        column("spool", "last / first", "", target=Target(at_least=0.8)),
        column("spool", "growth of the writer's own memory", "bytes/chunk"),
    ),
)
