"""Making a recording exact after a crash."""

import os
from collections import defaultdict
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from ..errors import RecordingError
from .block_layout import BlockLayout
from .hdf5_file import checksum
from .hdf5_file.closed_file import finish_change
from .hdf5_file.codec import load_filters
from .hdf5_file.direct_file import DirectFile
from .hdf5_file.journaled_file import JournaledFile
from .hdf5_file.nexus_schema import COLUMN_PATHS, DATA, LEDGER, LOSS_COLUMNS
from .hdf5_file.recording_file import RecordingFile
from .hdf5_file.validate import (
    DAMAGE,
    check_is_file,
    read_losses,
    read_small,
    text_attribute,
    unreadable,
    validate_chunks,
    validate_structure,
)
from .losses import STAGES, final_ledger
from .system.file_holders import in_use
from .system.os_file import boot, is_locked, open_file
from .system.paths import readable


@dataclass(frozen=True, kw_only=True, slots=True)
class RepairReport:
    """What `repair` found, and did unless it was a dry run.

    Attributes
    ----------
    needed
        False: the recording was closed properly, and nothing was or would be done.
    path, state
        The file, and its state before.
    frames_written
        Frames that are whole in the file.
    frames_counted
        Frames that the file counted before.
    frames_unwritten
        Frames at least that had been handed over, but never reached the file; they are entered as lost.
    journal_entries
        Changes of structure that had to be applied again.
    changed_since
        Another program has changed the file after the crash. What it changed is kept; the journal was not applied,
        since the file had been whole without it.
    """

    path: Path
    needed: bool
    state: str
    frames_written: int
    frames_counted: int
    frames_unwritten: int
    journal_entries: int
    changed_since: bool


def repair(path: str | os.PathLike[str], *, dry_run: bool = False) -> RepairReport:
    """Trim a recording that was not closed to its whole frames and set its counts and state; in place, idempotent.

    Frames are taken as whole up to the durable count, and beyond it as long as their checksums are right. A recording
    without checksums keeps what it counted, or what is durable if the computer was started again since. No pixel is
    changed. Losses are located by the frames' sequence numbers; a stage that did not reach the file is ``"unknown"``.

    Parameters
    ----------
    path
        The file.
    dry_run
        Report what would be done, and change nothing.

    Raises
    ------
    RecordingError
        The file is in use, cannot be read, is not a recording, or is damaged beyond what a crash leaves behind.
    """
    path = readable(path)
    check_is_file(path)
    if is_locked(path):
        raise RecordingError(f"{path}: {in_use(path)}: close that first")
    try:
        report, layout, losses = _examine(path)
        if report.needed and not dry_run:
            _apply(path, report, layout, losses)
    except (*DAMAGE, RecordingError) as exc:
        raise RecordingError(f"{path} cannot be repaired ({exc}): h5py may still read a part of it") from exc
    return report


def _examine(path: Path) -> tuple[RepairReport, BlockLayout, np.ndarray[Any, Any]]:
    """Look at the file as it will be once its journal is applied, without changing it."""
    descriptor = open_file(path, os.O_RDONLY)
    try:
        journaled = JournaledFile(descriptor)
        entries = journaled.recover()
        with h5py.File(journaled, "r", driver="fileobj") as file:
            validate_structure(file, lambda: journaled.seek(0, os.SEEK_END))
            validate_chunks(file)
            if broken := unreadable(file):
                raise RecordingError("; ".join(broken))
            data = file[DATA]
            state = read_small(file, f"{LEDGER}/state").decode()
            counted = int(read_small(file, f"{LEDGER}/frames_written"))
            whole = counted if state != "recording" else _whole_frames(file)
            unwritten = max(0, int(read_small(file, f"{LEDGER}/frames_put")) - whole) if state == "recording" else 0
            sequence = file[COLUMN_PATHS["sequence_number"]][:whole]
            layout = BlockLayout(
                shape=data.shape[1:],
                dtype=data.dtype,
                frames_per_block=data.chunks[0],
                blocks=0,
                growth_frames=int(file[LEDGER].attrs["growth_frames"]),
            )
            losses = read_losses(file)
    finally:
        os.close(descriptor)
    report = RepairReport(
        path=path,
        needed=state == "recording" or entries > 0,
        state=state,
        frames_written=whole,
        frames_counted=counted,
        frames_unwritten=unwritten,
        journal_entries=entries,
        changed_since=journaled.changed_since,
    )
    return report, layout, _agreeing(losses, sequence, unwritten)


def _whole_frames(file: h5py.File) -> int:
    """Return how many frames are whole, whatever the counter says: a power cut may leave it ahead or behind."""
    ledger, data = file[LEDGER], file[DATA]
    durable, counted = (int(read_small(file, f"{LEDGER}/{name}")) for name in ("frames_durable", "frames_written"))
    capacity = int(data.shape[0])
    if not 0 <= durable <= capacity or counted < 0:
        raise RecordingError(f"its counters are damaged: {durable} durable frames of {capacity}, {counted} written")
    sequence, checksums = (file[COLUMN_PATHS[name]] for name in ("sequence_number", "checksum"))
    if text_attribute(checksums, "algorithm") == checksum.NO_CHECKSUMS:
        return max(durable, min(counted, capacity)) if text_attribute(ledger, "boot") == boot() else durable
    load_filters(data.id)
    frames = durable
    while frames < capacity and sequence[frames] >= 0 and _is_whole(data, frames, int(checksums[frames])):
        frames += 1
    return frames


def _is_whole(data: h5py.Dataset, index: int, expected: int) -> bool:
    try:
        return checksum.of_frame(data[index]) == expected
    except OSError:  # it was compressed, and not all of it reached the device
        return False


def _agreeing(losses: np.ndarray[Any, Any], sequence: np.ndarray[Any, Any], unwritten: int) -> np.ndarray[Any, Any]:
    """Return the ledger ``(entries, 3)`` that agrees with the frames: its parts do not reach the device together."""
    frames, there = len(sequence), defaultdict(list)
    for before, count, stage in losses.tolist():
        if before >= 0 and count > 0 and 0 <= stage < len(STAGES):
            there[min(before, frames)].append([before, count, stage])
    entries: list[list[int]] = []
    skipped = np.diff(sequence, prepend=-1) - 1
    for before in np.flatnonzero(skipped > 0).tolist():
        count, known = int(skipped[before]), there[before]
        agrees = sum(entry[1] for entry in known) == count
        entries += known if agrees else [[before, count, known[0][2] if known else STAGES.index("unknown")]]
    entries += [[frames, count, stage] for _, count, stage in there[frames]]
    return final_ledger(np.array(entries, np.int64).reshape(-1, len(LOSS_COLUMNS)), frames, unwritten)


def _apply(path: Path, report: RepairReport, layout: BlockLayout, losses: np.ndarray[Any, Any]) -> None:
    if report.state != "recording":
        finish_change(path)
        return
    blocks = DirectFile(path)
    try:
        recording_file = RecordingFile.attach(path, layout, blocks)
        try:
            recording_file.stage_losses(losses)
            reason = "not closed: the recording and its writer process died, or the power went; repaired"
            frames = report.frames_written
            recording_file.finish(frames, frames, len(losses), "repaired", reason, datetime.now().astimezone())
        finally:
            recording_file.close()
    finally:
        blocks.close()
