"""Tiny frames, where what counts is the cost of a frame rather than of a byte."""

from pathlib import Path

from mmspool import Spool

from .base import Case, Record, Target, column
from .probe import Stopwatch, camera_frames

SIDE = 64
FRAME_BYTES = SIDE * SIDE * 2
FRAMES, QUICK_FRAMES = 500_000, 50_000
DISTINCT = 64


def _record(folder: Path, quick: bool, *, with_metadata: bool) -> Record:
    frames, count = camera_frames(DISTINCT, SIDE, SIDE), QUICK_FRAMES if quick else FRAMES
    spool = Spool(folder / "run.h5", shape=(SIDE, SIDE), dtype="u2")
    watch = Stopwatch.start()
    for index in range(count):
        if with_metadata:
            metadata = {"image_number": index, "camera_frame_number": index, "camera_timestamp": index * 1000}
            spool.put(frames[index % DISTINCT], metadata)
        else:
            spool.put(frames[index % DISTINCT])
    result = spool.close()
    record = watch.stop(count * FRAME_BYTES)
    if result.frames != count or not result.complete:
        raise AssertionError(f"{count} frames were put, {result}")
    return record | {"frames/s": count / record["seconds"]}


def images(folder: Path, quick: bool) -> Record:
    """Record images."""
    return _record(folder, quick, with_metadata=False)


def with_metadata(folder: Path, quick: bool) -> Record:
    """Record images with the metadata that frames of a camera have."""
    return _record(folder, quick, with_metadata=True)


CASE = Case(
    name="small",
    ways={"images": images, "with metadata": with_metadata},
    disk_bytes=lambda quick: (QUICK_FRAMES if quick else FRAMES) * FRAME_BYTES,
    figures=(
        column("images", "frames/s", "frames/s", target=Target(at_least=100_000)),
        column("with metadata", "frames/s", "frames/s"),
        column("images", "MB/s", "MB/s"),
        column("images", "writer CPU", "s/GB"),
        column("images", "producer CPU", "s/GB"),
    ),
)
