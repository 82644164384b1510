"""Following a recording from another process: what the writer's rate is without, and with, whoever follows."""

import subprocess
import sys
import time
from functools import partial

from mmspool import Spool

from .base import Case, Record, Setting, column, ratio

SIDE = 2048
FRAMES, QUICK_FRAMES = 500, 20

_FOLLOW = """
import sys
import mmspool
with mmspool.open(sys.argv[1]) as recording:
    print("ready", flush=True)
    behind, seen = 0, 0
    for seen, frame in enumerate(recording.follow(), 1):
        behind = max(behind, len(recording) - seen)
print(seen, behind)
"""


def _record(setting: Setting, *, follow: bool, fps: float = 0) -> Record:
    """Record flat out, or so many frames a second, while another process reads every frame or not."""
    stack, count = setting.stack((SIDE, SIDE), "u2"), QUICK_FRAMES if setting.quick else FRAMES
    path = setting.folder / "run.h5"
    with Spool(path, shape=(SIDE, SIDE), dtype="u2") as spool:
        source = _FOLLOW if follow else "print(); print(0, 0)"
        command = [sys.executable, "-c", source, str(path)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as follower:
            if follower.stdout is None or not follower.stdout.readline():
                raise AssertionError("the follower did not start")
            setting.ready()
            started = time.perf_counter()
            for index in range(count):
                if fps:
                    time.sleep(max(0.0, started + index / fps - time.perf_counter()))
                spool.put(stack[index % len(stack)])
            put_s = time.perf_counter() - started
            result = spool.close()
            seconds = time.perf_counter() - started
            seen, behind = map(int, follower.stdout.read().split())  # `communicate` would miss what is buffered
    if follow and seen != count:
        raise AssertionError(f"{seen} of {count} frames were seen")
    rate = count * SIDE * SIDE * 2 / 1e6 / seconds
    return {"MB/s": rate, "put": count / put_s, "ring": result.stats.ring_peak, "seen": seen, "behind": behind}


CASE = Case(
    name="following",
    about="500 frames of 2048x2048 uint16, flat out and 100 a second, alone and while another process follows and "
    "reads every frame; MB/s until the file was closed, `put` until the last frame was taken; `ring` is the most "
    "frames that waited in the ring, `behind` the most that were in the file and not yet read.",
    ways={
        "alone": partial(_record, follow=False),
        "followed": partial(_record, follow=True),
        "alone, 100 frames/s": partial(_record, follow=False, fps=100),
        "followed, 100 frames/s": partial(_record, follow=True, fps=100),
    },
    disk_bytes=lambda _setting: FRAMES * SIDE * SIDE * 2,
    figures=(
        ratio("followed", "alone", "MB/s", name="the writer's rate flat out, followed / alone"),
        ratio("followed, 100 frames/s", "alone, 100 frames/s", "MB/s", name="at 100 frames/s, followed / alone"),
        ratio("followed, 100 frames/s", "alone, 100 frames/s", "put", name="the same until the last frame was taken"),
        column("followed", "seen", "frames", name="frames the follower saw"),
    ),
    columns={"MB/s": "MB/s", "put": "frames/s", "ring": "frames", "seen": "frames", "behind": "frames"},
)
