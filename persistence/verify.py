"""Checking a recording against everything it says about itself."""

import math
import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ..errors import RecordingError
from .hdf5_file import checksum
from .hdf5_file.nexus_schema import CLOCK_STEP, COLUMN_PATHS, DATA, LEDGER
from .hdf5_file.user_columns import user_column_paths
from .hdf5_file.validate import DAMAGE, read_small, text_attribute, unreadable
from .reading.frame_table import FrameTable
from .reading.reader import Recording

_OUTLIER = 10.0  # times the median interval of frames
_SHOWN = 5
_CLOCK_STEP_S = 1.0  # a clock that is kept by NTP wanders by less
_PART_BYTES = 64 << 20  # of pixels that are checked by one call


@dataclass(frozen=True, kw_only=True, slots=True)
class VerifyReport:
    """What `verify` found.

    Attributes
    ----------
    damage
        What must not be in any recording: wrong checksums, counts or counters that contradict each other.
    missing
        What the recording itself says is not whole: lost frames, an early end.
    notes
        Unusual, but possibly fine: identical frames, long pauses, frames without checksums.
    path, state
        The file, and its state.
    frames_written, frames_checked
        Frames in the file, and those whose checksum was computed again.
    """

    path: Path
    state: str
    frames_written: int
    frames_checked: int
    frames_lost: int
    damage: tuple[str, ...]
    missing: tuple[str, ...]
    notes: tuple[str, ...]

    @property
    def intact(self) -> bool:
        """Whether what is in the file is what was recorded."""
        return not self.damage

    @property
    def complete(self) -> bool:
        """Whether it is intact, and nothing is missing."""
        return not self.damage and not self.missing


@dataclass(slots=True)
class _Findings:
    damage: list[str] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


MapInOrder = Callable[[Callable[[Any], Any], Iterable[Any]], Iterable[Any]]
"""Calls a function with each of some tasks and yields the results in their order: `map`, or one on other processes."""


def verify(
    path: str | os.PathLike[str],
    *,
    progress: Callable[[int, int], None] | None = None,
    map_in_order: MapInOrder = map,
) -> VerifyReport:
    """Check structure, counts, counters, losses, time stamps and every frame's checksum.

    Parameters
    ----------
    path
        The file.
    progress
        Called with frames checked and frames in all.
    map_in_order
        Computes the checksums of parts of the file: by default one after the other in this process. Function and tasks
        can be pickled.

    Raises
    ------
    RecordingError
        The file cannot be read as a recording at all.
    """
    with Recording(path) as recording:
        found = _Findings()
        try:
            found.damage += unreadable(recording.file)
            _check_counts(recording, found)
            frames = recording.frame_table()
            _check_plan(recording, found)
            _check_counters(recording, frames, found)
            _check_times(frames["time"], found)
            _check_clock(recording, found)
            checked = _check_pixels(
                recording, frames["checksum"], found, progress or (lambda _done, _all: None), map_in_order
            )
        except DAMAGE as exc:
            raise RecordingError(f"{recording.path} is damaged: {exc}") from exc
        return VerifyReport(
            path=recording.path,
            state=recording.state,
            frames_written=len(recording),
            frames_checked=checked,
            frames_lost=recording.frames_lost,
            damage=tuple(found.damage),
            missing=tuple(found.missing),
            notes=tuple(found.notes),
        )


def _check_counts(recording: Recording, found: _Findings) -> None:
    counted, length = recording.frames_counted, recording.file[DATA].shape[0]
    paths = (*COLUMN_PATHS.values(), *user_column_paths(recording.file).values())
    columns = {recording.file[where].shape[0] for where in paths}
    if recording.state == "recording":
        found.missing.append("it was not closed: it is being recorded, or needs 'mmspool repair'")
        if counted > length:
            found.damage.append(f"it counts {counted:,} frames, but has room for {length:,}")
    elif {counted, length} | columns != {counted}:
        found.damage.append(f"it counts {counted:,} frames, but holds {length:,}, with columns of {sorted(columns)}")
    if recording.state in ("interrupted", "repaired"):
        found.missing.append(f"it ended early: {recording.end_reason}")
    elif recording.state not in ("recording", "complete", "incomplete"):
        found.damage.append(f"its state is {recording.state!r}, which no recording has")
    in_ledger = sum(loss.count for loss in recording.losses)
    if in_ledger != recording.frames_lost:
        found.damage.append(f"it counts {recording.frames_lost:,} lost frames, but its ledger has {in_ledger:,}")
    if recording.frames_lost:
        found.missing.append(f"frames lost: {recording.frames_lost:,}")


def _check_plan(recording: Recording, found: _Findings) -> None:
    """Compare what came with what was planned."""
    if recording.plan is None:
        return
    aligned = recording.aligned()
    if missing := int(aligned.missing.sum()):
        found.missing.append(f"{missing:,} of {aligned.frames.size:,} planned places have no frame")
    if len(aligned.unplanned):
        found.notes.append(f"{len(aligned.unplanned):,} frames are in no planned place")


def _check_counters(recording: Recording, frames: FrameTable, found: _Findings) -> None:
    sequence = frames["sequence_number"]
    if len(sequence) and sequence[0] < 0:
        found.damage.append("frame 0 has no sequence number")
    steps = np.diff(sequence, prepend=-1)
    _note_frames(found.damage, steps < 1, "sequence_number does not grow")
    jumped = int((steps[steps > 1] - 1).sum())
    located = sum(loss.count for loss in recording.losses if loss.before_frame < len(frames))
    if jumped != located:
        found.damage.append(f"sequence_number skips {jumped:,} frames, but the ledger has {located:,} before the last")
    for name in ("image_number", "camera_frame_number"):
        known = frames[name] >= 0
        _note_frames(found.notes, known[1:] & known[:-1] & (np.diff(frames[name]) == 0), f"{name} repeats", first=1)


def _check_times(times: npt.NDArray[np.float64], found: _Findings) -> None:
    if len(times) < 3:
        return
    steps = np.diff(times)
    _note_frames(found.notes, steps < 0, "time goes back", first=1)
    median = float(np.median(steps))
    _note_frames(found.notes, steps > _OUTLIER * median, f"a pause of over {_OUTLIER * median:.3g} s", first=1)


def _check_clock(recording: Recording, found: _Findings) -> None:
    """Note that the wall clock was set while it was recorded: start and end time then say less than the time axis."""
    step_s = int(read_small(recording.file, f"{LEDGER}/{CLOCK_STEP}")) / 1e9
    if abs(step_s) >= _CLOCK_STEP_S:
        direction = "forward" if step_s > 0 else "back"
        found.notes.append(f"the computer's clock was set {direction} by {abs(step_s):,.0f} s; intervals are right")


def _check_pixels(
    recording: Recording,
    checksums: npt.NDArray[np.uint64],
    found: _Findings,
    progress: Callable[[int, int], None],
    map_in_order: MapInOrder,
) -> int:
    """Compute every checksum again, some chunks at a time."""
    algorithm = text_attribute(recording.file[COLUMN_PATHS["checksum"]], "algorithm")
    if algorithm not in (checksum.ALGORITHM, checksum.NO_CHECKSUMS):
        raise ValueError(f"its checksums are not {checksum.ALGORITHM}")
    total, chunks = len(recording), recording.chunks
    chunk_bytes = math.prod(chunks) * recording.dtype.itemsize
    step = chunks[0] * max(1, _PART_BYTES // chunk_bytes)
    path = recording.path.absolute()
    wrong, checked = np.zeros(total, bool), 0
    parts = [(path, first, min(total, first + step)) for first in range(0, total, step)]
    for (_, first, stop), computed in zip(parts, map_in_order(_checksums_of, parts), strict=True):
        known = checksums[first:stop] != 0
        checked += int(known.sum())
        wrong[first:stop] = known & (computed != checksums[first:stop])
        progress(stop, total)
    _note_frames(found.damage, wrong, "pixels are not what was recorded (checksum)")
    if checked < total:
        unchecked = found.notes if algorithm == checksum.NO_CHECKSUMS else found.damage
        unchecked.append(f"{total - checked:,} frames have no checksum")
    same = (checksums[1:] == checksums[:-1]) & (checksums[1:] != 0)
    _note_frames(found.notes, same, "identical to the frame before", first=1)
    return checked


def _checksums_of(part: tuple[Path, int, int]) -> npt.NDArray[np.uint64]:
    """Return the checksums of the frames from the first to the one before the last number."""
    path, first, stop = part
    with Recording(path) as recording:
        step = recording.chunks[0]
        return np.array(
            [
                checksum.of_frame(frame)
                for start in range(first, stop, step)
                for frame in recording[start : min(stop, start + step)]
            ],
            np.uint64,
        )


def _note_frames(notes: list[str], where: npt.NDArray[np.bool_], what: str, first: int = 0) -> None:
    """Add one line that says at how many frames something is so, and names the first ones."""
    frames = np.flatnonzero(where) + first
    if len(frames):
        named = [f"{frame:,}" for frame in frames[:_SHOWN]] + ["..."] * (len(frames) > _SHOWN)
        notes.append(f"{what} at {len(frames):,} frame{'s' * (len(frames) > 1)} ({', '.join(named)})")
