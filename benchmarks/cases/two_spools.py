"""Two spools side by side in one process, as two cameras have them: together they must be as fast as one."""

import threading
import time
from functools import partial

import numpy as np

import mmspool
from mmspool import Spool

from .base import Case, Record, Setting, Target, column, ratio

SHAPE = (2048, 2048)
TOTAL_BYTES, QUICK_BYTES = 6 * 10**9, 200_000_000
FRAME_BYTES = SHAPE[0] * SHAPE[1] * 2
BUFFER_BYTES = 512 << 20

ONE, TWO = "one spool", "two spools"


def record(setting: Setting, *, spools: int) -> Record:
    """Put as many frames in all, flat out, a thread for each spool; timed until all are closed and synced."""
    total = QUICK_BYTES if setting.quick else TOTAL_BYTES
    frames = max(2, total // (spools * FRAME_BYTES))
    images = list(setting.stack(SHAPE, "u2"))
    options = {"shape": SHAPE, "dtype": "u2", "buffer_bytes": BUFFER_BYTES}
    opened = [Spool(setting.folder / f"run_{number}.h5", **options) for number in range(spools)]

    def fill(spool: Spool) -> None:
        for index in range(frames):
            spool.put(images[index % len(images)])
        spool.close()

    threads = [threading.Thread(target=fill, args=(spool,)) for spool in opened]
    setting.ready()
    started = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    seconds = time.perf_counter() - started
    results = [spool.result for spool in opened]
    assert all(result is not None and result.complete and result.frames_written == frames for result in results)
    for spool in opened:
        with mmspool.Recording(spool.path) as run:
            assert np.array_equal(run[frames - 1], images[(frames - 1) % len(images)])
    return {
        "MB/s": spools * frames * FRAME_BYTES / 1e6 / seconds,
        "frames": spools * frames,
        "seconds": seconds,
        "lost": sum(result.frames_lost for result in results if result is not None),
    }


CASE = Case(
    name="two-spools",
    about="Frames of 2048x2048 uint16, 6 GB in all, flat out through one spool or two on one disk, each with its "
    "own ring, writer process and file, filled by threads of one process.",
    ways={ONE: partial(record, spools=1), TWO: partial(record, spools=2)},
    disk_bytes=lambda setting: QUICK_BYTES if setting.quick else TOTAL_BYTES,
    figures=(
        column(TWO, "MB/s", "MB/s"),
        ratio(TWO, ONE, "MB/s", name="both / one", target=Target(at_least=1.0)),
        column(TWO, "lost", "frames", target=Target(at_most=0)),
    ),
    columns={"MB/s": "MB/s", "lost": "frames"},
)
