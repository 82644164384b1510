"""What must hold of a file that a power cut left."""

from dataclasses import dataclass
from pathlib import Path

import h5py
import numpy as np
import numpy.typing as npt
from powercut.recordings import Spec
from powercut.traced_run import Log, Op
from support.values import check_places, check_values

import mmspool
from mmspool import RecordingError
from mmspool.persistence import repair, verify
from mmspool.persistence.hdf5_file.nexus_schema import LEDGER

ENDED = ("complete", "incomplete", "interrupted", "repaired")


@dataclass(frozen=True)
class Found:
    """What became of an image: frames that it holds after repair, or None when it was refused."""

    frames: int | None
    opened_at_once: bool
    repaired: bool


class Watermark:
    """Frames that were certainly on the device, from the log alone: those counted when a sync began that has ended.

    Without checksums only those that the file itself calls durable. None until the file was durable as an HDF5 file,
    which its superblock makes it: no frame could be put before.
    """

    def __init__(self, path: Path, *, checksums: bool) -> None:
        counter = "frames_written" if checksums else "frames_durable"
        with h5py.File(path, "r") as file:
            self._counter: int = file[f"{LEDGER}/{counter}"].id.get_offset()
        self._counted = 0
        self._at_sync: dict[int, int] = {}
        self._is_hdf5 = False
        self.frames: int | None = None

    def apply(self, op: Op, ends: bool) -> None:
        """Take note that an operation begins or ends."""
        if op.kind == "sync" and not ends:
            if self._is_hdf5:
                self._at_sync[id(op)] = self._counted
        elif op.kind == "sync":
            if id(op) in self._at_sync:
                self.frames = max(self.frames or 0, self._at_sync.pop(id(op)))
        elif ends and op.kind == "write" and op.offset == 0 and op.data.startswith(b"\x89HDF"):
            self._is_hdf5 = True
        elif ends and op.kind == "write" and op.offset == self._counter and len(op.data) == 8:
            self._counted = int.from_bytes(op.data, "little")


def lost_before(spec: Spec) -> npt.NDArray[np.int64]:
    """Return the sequence number that each frame has."""
    numbers: list[int] = []
    lost = 0
    for step, count in spec.steps:
        if step == "put":
            numbers.extend(range(len(numbers) + lost, len(numbers) + lost + count))
        elif step == "lose":
            lost += count
    return np.array(numbers)


def examine(path: Path, spec: Spec, expected: npt.NDArray[np.generic], watermark: int | None) -> Found:
    """Open a file, or repair it and then open it, and check it against what was recorded.

    Raises
    ------
    AssertionError
        It holds less than it must, or anything else than what was recorded.
    """
    opened = _opens(path)
    try:
        report = repair(path)
    except RecordingError as exc:
        if watermark is not None:
            raise AssertionError(f"{watermark} frames were durable, but the file is refused: {exc}") from exc
        return Found(None, opened, repaired=False)
    with mmspool.open(path) as recording:
        frames = len(recording)
        assert recording.state in ENDED, f"its state is {recording.state!r} after repair"
        assert frames == report.frames_written
        assert frames >= (watermark or 0), f"{watermark} frames were durable, {frames} are there"
        assert frames <= len(expected)
        wrong = np.flatnonzero((recording[:] != expected[:frames]).any(axis=tuple(range(1, expected.ndim))))
        assert not len(wrong), f"frames {wrong[:10]} of {frames} are wrong, {watermark} were durable"
        numbers = recording.frame_table()["sequence_number"]
        assert (numbers == lost_before(spec)[:frames]).all(), "the columns are wrong"
        if spec.columns:
            check_values(recording, sure=watermark or 0)
        assert (recording.plan is None) == (spec.plan is None)
        check_places(recording, sure=watermark or 0)
        if recording.state in ("complete", "incomplete"):
            assert frames == len(expected), f"it is {recording.state} with {frames} of {len(expected)} frames"
        lost = sum(count for step, count in spec.steps if step == "lose")
        assert recording.frames_lost <= len(expected) - frames + lost, f"{recording.frames_lost} lost, {frames} there"
    checked = verify(path)
    assert checked.intact, checked.damage
    before = path.read_bytes()
    assert not repair(path).needed, "repairing it again was needed"
    assert path.read_bytes() == before, "repairing it again changed it"
    return Found(frames, opened, report.needed)


def _opens(path: Path) -> bool:
    """Return whether it opens without repair; it must, or say that it cannot."""
    try:
        with mmspool.open(path):
            return True
    except RecordingError:
        return False


def watermarks(log: Log, path: Path, spec: Spec) -> list[int | None]:
    """Return the watermark after each event."""
    mark = Watermark(path, checksums=spec.checksum)
    marks = []
    for op, ends in log.events:
        mark.apply(op, ends)
        marks.append(mark.frames)
    return marks
