"""Record what a `harness.Plan` says, and tell after each `put` that it returned."""

import faulthandler
import json
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from crash.harness import Phase, Plan, Slot
from support.frames import stack
from support.values import COLUMNS, values

from mmspool import Spool, SpoolError
from mmspool.persistence import block_layout, options

BATCH_BYTES = 4 << 20


def main(folder: Path, plan: Plan) -> None:
    """Record."""
    faulthandler.register(signal.SIGUSR1)  # a test that waits in vain asks where it is
    counters = np.memmap(folder / "counters", np.int64, "r+")
    block_layout._BLOCK_BYTES = plan.block_bytes or block_layout._BLOCK_BYTES
    block_layout._MIN_GROWTH_BYTES = plan.growth_bytes or block_layout._MIN_GROWTH_BYTES
    options.LEAST_COMPRESSED_BYTES = 0  # small frames make many chunks in little time
    spool: list[Spool] = []
    try:
        result = record(counters, plan, spool)
    except (SpoolError, OSError) as exc:
        cause = exc.__cause__
        result = {
            "error": type(exc).__name__,
            "message": str(exc),
            "cause": cause and type(cause).__name__,
            "cause_errno": getattr(cause, "errno", None),
            "returned": int(counters[Slot.RETURNED]),
            "lost": spool[0].stats.frames_lost if spool else None,
        }
    (folder / "result").write_text(json.dumps(result), encoding="utf-8")
    counters[Slot.PHASE] = Phase.ENDED


def record(counters: np.ndarray, plan: Plan, spools: list[Spool]) -> dict[str, object]:
    """Record, and return how it ended; the spool is left in the list."""
    path, shape = Path(plan.path), tuple(plan.shape)
    columns = COLUMNS if plan.columns else None
    with Spool(path, buffer_bytes=plan.buffer_bytes, columns=columns, **plan.options) as spool:
        spools.append(spool)

        def look() -> None:
            counters[Slot.WRITER] = spool._client.writer.pid
            stats = spool.stats
            counters[Slot.WRITTEN], counters[Slot.RESTARTS] = stats.frames_written, stats.writer_restarts
            counters[Slot.RING_FRAMES] = stats.ring_frames

        def wait(condition: Callable[[], bool]) -> None:
            while not condition():
                look()
                time.sleep(0.0005)

        def wait_for_order(phase: Phase) -> None:
            look()
            orders = counters[Slot.ORDERS]
            counters[Slot.PHASE] = phase
            wait(lambda: counters[Slot.ORDERS] > orders)

        wait_for_order(Phase.READY)
        batch = max(1, BATCH_BYTES // (2 * shape[0] * shape[1]))
        for index in range(plan.frames):
            if index % batch == 0:
                images = stack(index, batch, shape)
            if index in plan.pauses:
                wait(lambda: spool.stats.frames_written == spool.stats.frames_put)
            if index == plan.stop:
                wait_for_order(Phase.STOPPED)
            if index in plan.losses:
                spool.record_loss(3, "core")
            own = values(index) if plan.columns else None
            if plan.slots and index % 2:
                with spool.slot(own) as place:
                    place[:] = images[index % batch]
            else:
                spool.put(images[index % batch], own)
            counters[Slot.RETURNED] = index + 1
            if index % 16 == 0:
                look()
            if plan.pace_s:
                time.sleep(plan.pace_s)
        look()
        if plan.hold:
            wait_for_order(Phase.ALL_PUT)
        counters[Slot.PHASE] = Phase.ALL_PUT
        result = spool.close()
    return {
        "frames": result.frames_written,
        "lost": result.frames_lost,
        "state": result.state,
        "restarts": result.stats.writer_restarts,
        "durable": result.stats.frames_durable,
    }


if __name__ == "__main__":
    main(Path(sys.argv[1]), Plan(**json.loads(sys.argv[2])))
