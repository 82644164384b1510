"""What a recording's file says at one moment, and the HDF5 handle that sees the file as it was then."""

import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import numpy.typing as npt

from ...errors import RecordingError
from ..columns import StoredColumn
from ..hdf5_file.nexus_schema import DATA, DETECTOR, END_TIME, LEDGER, METADATA
from ..hdf5_file.plan_schema import read_plan
from ..hdf5_file.private_file import PrivateFile
from ..hdf5_file.user_columns import read_user_columns
from ..hdf5_file.validate import DAMAGE, read_losses, read_small, text_attribute, validate_structure
from ..plan import Plan
from ..system.os_file import lock_for_reading

# A file whose end moves meanwhile is opened again: that takes milliseconds, and ends move a few times a second.
_OPENINGS = 20
_SUPERBLOCK_BYTES = 48


@dataclass(frozen=True, kw_only=True)
class FileSnapshot:
    """The facts of a recording, as its file had them when it was opened.

    Attributes
    ----------
    file, data
        The HDF5 handle, private to this snapshot, and the frames in it.
    length
        Frames that can be read through this handle.
    frames_counted, frames_lost, state, end_reason, compression
        As `Recording` has them.
    losses
        The ledger, ``(entries, 3)``.
    columns
        Those of the user's own, and that of the plan.
    plan
        What should have come.
    metadata
        What was known before the first frame.
    count_offset, put_offset, state_offset
        Where the number of frames, of those that were put, and the state lie in the file, bytes.
    ring_frames
        Frames that the ring holds; 0 for recordings that were joined.
    """

    file: h5py.File
    data: h5py.Dataset
    length: int
    frames_counted: int
    frames_lost: int
    state: str
    end_reason: str
    compression: str
    losses: npt.NDArray[np.int64]
    columns: tuple[StoredColumn, ...]
    plan: Plan | None
    metadata: dict[str, Any]
    count_offset: int
    put_offset: int
    state_offset: int
    ring_frames: int

    def finds(self, frames: range) -> bool:
        """Return whether HDF5 finds frames, in rising order; those that it does not find would read as zeros.

        It reads the index when it needs it, and not all of it at once: a writer adds to the index and shortens it when
        it closes the file, and a part that was read before need not fit one that is read after.
        """
        try:
            if self.data.chunks is None:
                return True
            step, behind = self.data.chunks[0], [0] * (self.data.ndim - 1)
            chunks = (
                self.data.id.get_chunk_info_by_coord((first, *behind))
                for first in dict.fromkeys(index // step * step for index in frames)
            )
            return all(chunk.byte_offset is not None for chunk in chunks)
        except DAMAGE:
            return False


def take_snapshot(path: Path, private: PrivateFile, previous: FileSnapshot | None) -> FileSnapshot:
    """Open the file as it is now and read what it says; ``previous`` stays open.

    Raises
    ------
    RecordingError
        It cannot be read, is not a recording, or is locked by another program.
    """
    older, length, counted = previous, 0, 0
    for left in reversed(range(_OPENINGS)):
        superblock, size = private.read_at(_SUPERBLOCK_BYTES, 0), private.size()
        try:
            newest = _read_snapshot(path, private, older)
        except RecordingError:
            if not left or (private.read_at(_SUPERBLOCK_BYTES, 0), private.size()) == (superblock, size):
                raise
            continue  # its writer trimmed it meanwhile: what was read before and after that does not agree
        finally:
            if older is not None and older is not previous:
                older.file.close()
        if private.read_at(_SUPERBLOCK_BYTES, 0) == superblock:
            return newest  # else the file grew meanwhile: HDF5 has its old end, and would not find the newest frames
        older, length, counted = newest, min(newest.length, counted), newest.frames_counted
    # It grows faster than it is opened: what was counted before the last opening lies before that end.
    return replace(newest, length=length)


def _read_snapshot(path: Path, private: PrivateFile, previous: FileSnapshot | None) -> FileSnapshot:
    """Open the file and read it once, however it changes meanwhile."""
    file = _open_hdf5(path, private)
    try:
        validate_structure(file, private.size)
        names = ("frames_written", "frames_lost", "state", "end_reason")
        ledger = {name: read_small(file, f"{LEDGER}/{name}") for name in names}
        data, counted, state = file[DATA], int(ledger["frames_written"]), ledger["state"].decode()
        log = file.get(f"{LEDGER}/performance")
        count_offset, put_offset, state_offset = (
            file[f"{LEDGER}/{name}"].id.get_offset() for name in ("frames_written", "frames_put", "state")
        )
        snapshot = FileSnapshot(
            file=file,
            data=data,
            length=min(counted, int(data.shape[0])),
            frames_counted=counted,
            frames_lost=int(ledger["frames_lost"]),
            state=state,
            end_reason=ledger["end_reason"].decode(),
            compression=text_attribute(data, "compression"),
            losses=read_losses(file),
            columns=read_user_columns(file),
            plan=read_plan(file, private.size),
            metadata=_read_metadata(file),
            count_offset=count_offset,
            put_offset=put_offset,
            state_offset=state_offset,
            ring_frames=0 if log is None else int(log.attrs["ring_frames"]),
        )
        may_lock = state != "recording" or int(file[LEDGER].attrs["locked"])  # else its writer could write no more
        if may_lock and (previous is None or state != previous.state):
            lock_for_reading(private.descriptor, being_written=state == "recording")
    except BlockingIOError as exc:
        file.close()
        raise RecordingError(f"{path} is locked by another program, which may be changing it: try again later") from exc
    except DAMAGE as exc:
        file.close()
        raise RecordingError(
            f"{path} is an HDF5 file, but not a recording of mmspool, or damaged ({exc}): h5py may open it"
        ) from exc
    except BaseException:
        file.close()
        raise
    return snapshot


def _open_hdf5(path: Path, private: PrivateFile) -> h5py.File:
    try:
        return private.open_hdf5()
    except (OSError, ValueError, RuntimeError) as exc:
        what, advice = _what_it_is(private)
        raise RecordingError(f"{path} {what} ({exc}): {advice}") from exc


_WAIT = "wait for it, or record again if nobody is recording"


def _what_it_is(file: PrivateFile) -> tuple[str, str]:
    """Say what a file is that HDF5 cannot open, and what to do."""
    size, head = file.size(), file.read_at(8, 0)
    if not size:
        return "is empty: a recording took this name and has no frame yet, or ended before its first one", _WAIT
    if head == bytes(len(head)):
        what = "holds no recording yet: the program that was making it is at it, or was killed before the first frame"
        return what, _WAIT
    if head != b"\x89HDF\r\n\x1a\n":
        return "is no HDF5 file", "name a recording"
    return "cannot be opened as an HDF5 file", "'mmspool repair' says whether it can be restored"


def _read_metadata(file: h5py.File) -> dict[str, Any]:
    texts = ("/entry/start_time", END_TIME, METADATA, f"{DETECTOR}/camera/info")
    start, end, given, detector = (read_small(file, where) for where in texts)
    metadata = {
        "start_time": start.decode(),
        "end_time": end.decode(),
        "metadata": json.loads(given),
        "detector": json.loads(detector),
    }
    camera = metadata["detector"].get("camera", {})
    if not all(isinstance(part, dict) for part in (metadata["metadata"], camera, camera.get("properties", {}))):
        raise ValueError("its metadata are not what was written")
    return metadata
