"""Recover the outcome of a recording whose writer closed the file but was killed before it could report it."""

import os
from pathlib import Path

import h5py

from ..hdf5_file.journal import JournaledFile
from ..hdf5_file.nexus_schema import LEDGER
from ..hdf5_file.validate import read_small
from ..os_file import lock_shared, open_file, pwrite_all
from ..shared_ring.ring import RingField
from .messages import FileClosed


def read_outcome(path: Path, counters: memoryview) -> FileClosed | None:
    """Finish the change that a file was in; return how the file was ended, or None if it still is to be written.

    Then the ring's ``counters`` say what the file says, and the file how often a process took over.
    """
    descriptor = open_file(path, os.O_RDWR)
    try:
        lock_shared(descriptor)
        staged = JournaledFile(descriptor)
        staged.replay()
        with h5py.File(staged, "r", driver="fileobj") as file:
            state = read_small(file, f"{LEDGER}/state").decode()
            if state == "recording":
                return None
            frames, durable, lost = (
                int(read_small(file, f"{LEDGER}/frames_{name}")) for name in ("written", "durable", "lost")
            )
            failed = bool(read_small(file, f"{LEDGER}/writer_failed"))
            reason = read_small(file, f"{LEDGER}/end_reason").decode()
            restarts = file[f"{LEDGER}/writer_restarts"].id.get_offset()
        pwrite_all(descriptor, counters[RingField.RESTARTS].to_bytes(8, "little"), restarts)
        staged.retire_journal()
        counters[RingField.WRITTEN], counters[RingField.DURABLE] = frames, durable
        return FileClosed(
            frames_written=frames,
            frames_lost=lost,
            state=state,
            end_reason=reason,
            file_bytes=os.fstat(descriptor).st_size,
            writer_failed=failed,
        )
    finally:
        os.close(descriptor)
