"""Memory of both processes in a short and in a long recording: it must be the same."""

import psutil

from mmspool import Spool

from .base import Case, Figure, Record, Setting, Target, column
from .frames import camera_frames
from .probe import memory, writer_process

SIDE = 512
FRAME_BYTES = SIDE * SIDE * 2
SHORT, QUICK_SHORT = 1_000, 600
LONG, QUICK_LONG = 20_000, 1_200
DISTINCT = 8
BUFFER_BYTES = 256 << 20  # less than the short recording, so that both use all of it
LOOKS = 50
FLAT_MB = 4.0
ROLES = ("producer", "writer")


def _record(setting: Setting, count: int) -> Record:
    """Record, and return the most memory that each process had."""
    frames = camera_frames(DISTINCT, SIDE, SIDE)
    spool = Spool(setting.folder / "run.h5", shape=(SIDE, SIDE), dtype="u2", buffer_bytes=BUFFER_BYTES)
    processes = dict(zip(ROLES, (psutil.Process(), writer_process()), strict=True))
    peaks: Record = {}
    for index in range(count):
        spool.put(frames[index % DISTINCT])
        if index % (count // LOOKS) == count // LOOKS - 1:
            for role, process in processes.items():
                for kind, value in memory(process).items():
                    key = f"{role} {kind}"
                    peaks[key] = max(peaks.get(key, 0.0), value)
    result = spool.close()
    if result.frames_written != count or not result.complete:
        raise AssertionError(f"{count} frames were put, {result}")
    return peaks


def short(setting: Setting) -> Record:
    """Record a few frames."""
    return _record(setting, QUICK_SHORT if setting.quick else SHORT)


def long(setting: Setting) -> Record:
    """Record many frames."""
    return _record(setting, QUICK_LONG if setting.quick else LONG)


def _growth(role: str) -> Figure:
    key = f"{role} RSS"
    return Figure(
        name=f"{key}: long - short",
        unit="MB",
        of=lambda records: records["long"][key] - records["short"][key],
        target=Target(at_most=FLAT_MB),
    )


def _figures(role: str) -> tuple[Figure, ...]:
    return (
        column("short", f"{role} RSS", "MB"),
        column("long", f"{role} RSS", "MB"),
        _growth(role),
        column("long", f"{role} PSS", "MB"),
        column("long", f"{role} own", "MB"),
    )


CASE = Case(
    name="memory",
    about="Most memory of each process in a recording of 1,000 and of 20,000 frames of 512x512 uint16. RSS counts the "
    "ring in both processes, PSS half of it in each, own is without it.",
    ways={"short": short, "long": long},
    disk_bytes=lambda setting: (QUICK_LONG if setting.quick else LONG) * FRAME_BYTES,
    figures=tuple(figure for role in ROLES for figure in _figures(role)),
)
