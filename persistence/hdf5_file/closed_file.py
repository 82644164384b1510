"""How a recording's file was closed, by its writer, or by one that was killed before it could report that."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import h5py

from ..system.os_file import close_file, lock_for_writing, open_file, pwrite_all
from .journaled_file import JournaledFile
from .nexus_schema import LEDGER
from .validate import read_small


@dataclass(frozen=True, kw_only=True)
class FileClosed:
    """The file is closed, on the device, and says this."""

    frames_written: int
    frames_durable: int
    frames_lost: int
    state: str
    end_reason: str
    file_bytes: int
    writer_failed: bool = False


def read_closed(path: Path, writer_restarts: int) -> FileClosed | None:
    """Return how a file was closed whose writer may have been killed before it could report that.

    The change that the file was in is finished, and ``writer_restarts`` entered into it. None if it was not closed.
    """
    with _journaled(path) as (descriptor, journaled):
        lock_for_writing(descriptor, path)
        with h5py.File(journaled, "r", driver="fileobj") as file:
            state = read_small(file, f"{LEDGER}/state").decode()
            if state == "recording":
                return None
            written, durable, lost = (
                int(read_small(file, f"{LEDGER}/frames_{name}")) for name in ("written", "durable", "lost")
            )
            failed = bool(read_small(file, f"{LEDGER}/writer_failed"))
            end_reason = read_small(file, f"{LEDGER}/end_reason").decode()
            restarts = file[f"{LEDGER}/writer_restarts"].id.get_offset()
        pwrite_all(descriptor, writer_restarts.to_bytes(8, "little"), restarts)
        journaled.retire_journal()
        size = os.fstat(descriptor).st_size
    return FileClosed(
        frames_written=written,
        frames_durable=durable,
        frames_lost=lost,
        state=state,
        end_reason=end_reason,
        file_bytes=size,
        writer_failed=failed,
    )


def finish_change(path: Path) -> None:
    """Make the last change whole of a file that was closed, but whose journal was not retired."""
    with _journaled(path) as (_, journaled):
        journaled.retire_journal()


@contextmanager
def _journaled(path: Path) -> Iterator[tuple[int, JournaledFile]]:
    """Open a file whose writer is gone, after the change that it was in is finished."""
    descriptor = open_file(path, os.O_RDWR)
    try:
        journaled = JournaledFile(descriptor)
        journaled.replay()
        yield descriptor, journaled
    finally:
        close_file(descriptor)
