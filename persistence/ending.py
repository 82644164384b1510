"""The file of a persistence process that was killed after it had ended the file, and before it could say so."""

import os
from pathlib import Path

import h5py

from .check import read_small
from .fileio import lock_shared, open_file, pwrite_all
from .messages import Ended
from .ring import Counter
from .staged import StagedFile
from .structure import LEDGER


def find_end(path: Path, counters: memoryview) -> Ended | None:
    """Finish the change that a file was in; return how the file was ended, or None if it still is to be written.

    Then the ring's ``counters`` say what the file says, and the file how often a process took over.
    """
    descriptor = open_file(path, os.O_RDWR)
    try:
        lock_shared(descriptor)
        staged = StagedFile(descriptor)
        staged.replay()
        with h5py.File(staged, "r", driver="fileobj") as file:
            state = read_small(file, f"{LEDGER}/state").decode()
            if state == "recording":
                return None
            frames, durable, lost = (
                int(read_small(file, f"{LEDGER}/frames_{name}")) for name in ("written", "durable", "lost")
            )
            reason = read_small(file, f"{LEDGER}/end_reason").decode()
            restarts = file[f"{LEDGER}/writer_restarts"].id.get_offset()
        pwrite_all(descriptor, counters[Counter.RESTARTS].to_bytes(8, "little"), restarts)
        staged.retire_journal()
        counters[Counter.WRITTEN], counters[Counter.DURABLE] = frames, durable
        return Ended(frames, lost, state, reason, os.fstat(descriptor).st_size)
    finally:
        os.close(descriptor)
