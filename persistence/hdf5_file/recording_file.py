"""The HDF5 file of a recording while it is written: where everything lies, growing it, trimming it.

HDF5 writes the structure only, and only through `JournaledFile`, so that each change is whole or not there. Pixels,
columns and counters are written at the offsets that this module looks up.
"""

import logging
import math
import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any, Literal, Self

import h5py
import numpy as np

from ...errors import StorageError
from ..block_layout import MAX_COMMIT_CHUNKS, BlockLayout
from ..camera_clock import CameraClock, fit_clock
from ..detector_info import DetectorInfo
from ..losses import MAX_LOSSES
from ..plan import Plan
from ..system.os_file import close_file, open_file, sync_folder
from .codec import Codec
from .datasets import fixed
from .direct_file import DirectFile
from .frame_chunks import FrameChunks
from .frame_columns import FrameColumns
from .journaled_file import JournaledFile
from .nexus_schema import (
    CAMERA_CLOCK,
    COLUMN_PATHS,
    COUNTERS,
    DATA,
    END_TIME,
    HDF5_OPTIONS,
    LEDGER,
    LOSS_COLUMNS,
    REASON_BYTES,
    STATE_BYTES,
    TIME_BYTES,
    create,
)
from .performance_log import PerformanceLog
from .validate import read_small

_log = logging.getLogger("mmspool")

_VALUE_BYTES = 8
_MOST_TIMES = 1_000_000  # to which the camera's clock is fitted
_SLACK = 4 << 20  # what a growth may add beside chunks: index nodes and one metadata block, with room to spare


class RecordingFile:
    """The structure of a recording that is being written; `create` and `attach` make it.

    What HDF5 is needed for (`grow`, `finish`, `commit`, and compressed chunks) is called one at a time; the offsets of
    frames below `capacity` may be asked for meanwhile.

    Attributes
    ----------
    capacity
        Frames the dataset has room for.
    chunks
        The frames' chunks.
    columns
        The per-frame columns.
    performance
        How the recording goes, as rows of figures.
    counted
        Frames the file had in it, and counted, when it was attached to.
    """

    def __init__(
        self, layout: BlockLayout, blocks: DirectFile, descriptor: int, journaled: JournaledFile, file: h5py.File
    ) -> None:
        self._layout = layout
        self._blocks = blocks
        self._descriptor = descriptor
        self._journaled = journaled
        self._file = file
        ledger = file[LEDGER]
        self._values = {name: ledger[name].id.get_offset() for name in (*COUNTERS, "state", "end_reason")}
        self._values["end_time"] = file[END_TIME].id.get_offset()
        self._values["camera_clock"] = file[CAMERA_CLOCK].id.get_offset()
        self._losses = [ledger[name].id.get_chunk_info_by_coord((0,)).byte_offset for name in LOSS_COLUMNS]
        self.chunks = FrameChunks(file[DATA].id, layout, blocks, journaled)
        self.columns = FrameColumns(file, blocks)
        self.capacity = int(file[DATA].shape[0])
        self.counted = int(read_small(file, f"{LEDGER}/frames_written"))
        self.performance = PerformanceLog(blocks, ledger["performance"])
        journaled.use_journal(ledger["journal"].id.get_offset())

    @classmethod
    def create(
        cls,
        path: Path,
        layout: BlockLayout,
        info: DetectorInfo,
        metadata_json: str,
        start: datetime,
        blocks: DirectFile,
        *,
        checksums: bool,
        codec: Codec | None = None,
        plan: Plan | None = None,
    ) -> Self:
        """Create the structure in an empty file, with room for the first frames, and sync it.

        Until all of it is there, the file starts with zeros: no program takes it for an HDF5 file.

        Raises
        ------
        StorageError
            There is no room for the first frames.
        """
        blocks.truncate(0)  # a writer that was killed may have begun; h5py's driver would open what it left
        with _opened(path, "w") as (descriptor, journaled, file):
            blocks.reserve(0, _SLACK)  # a disk without room even for the structure is reported as such
            create(file, path, layout, info, metadata_json, start, checksums=checksums, codec=codec, plan=plan)
            file[LEDGER].attrs["locked"] = int(blocks.locked)
            file.flush()
            journaled.commit_first()
            recording_file = cls(layout, blocks, descriptor, journaled, file)
            recording_file.grow(1)
            sync_folder(path.parent)  # the name too must survive
        return recording_file

    @classmethod
    def attach(cls, path: Path, layout: BlockLayout, blocks: DirectFile) -> Self:
        """Take over a recording whose writer is gone: finish the change it was in, then find everything again.

        Raises
        ------
        OSError, KeyError
            The file is damaged.
        """
        with _opened(path, "r+") as (descriptor, journaled, file):
            recording_file = cls(layout, blocks, descriptor, journaled, file)
            recording_file.columns.look_up(recording_file.capacity, new=False)
            if recording_file.counted:
                recording_file.columns.resume()
            recording_file.chunks.look_up(recording_file.counted, recording_file.capacity)
        return recording_file

    def is_short_of(self, frame: int) -> bool:
        """Return whether to grow before frame ``frame`` comes: an increment ahead, not beyond the expected frames."""
        ahead = 0 if self.capacity == self._layout.expected_capacity else self._layout.growth_frames
        return frame > self.capacity - ahead

    def grow(self, frames: int) -> None:
        """Add increments for ``frames``, at least one: room on the disk first, so that no reader sees a cut file.

        Where there is no room for all of that, fewer frames are added, at least a block, and up to the expected number
        of frames no more than these.

        Raises
        ------
        StorageError
            The disk has no room for a block; the file is whole.
        """
        g = self._layout
        target = self.capacity + max(1, math.ceil(frames / g.growth_frames)) * g.growth_frames
        if g.expected_capacity is not None and self.capacity < g.expected_capacity:
            target = min(target, g.expected_capacity)
        while self.capacity < target:
            capacity = min(target, self.capacity + MAX_COMMIT_CHUNKS * g.frames_per_block)
            for_columns = self.columns.size_bytes(capacity) - self.columns.size_bytes(self.capacity)
            new = capacity - self.capacity
            try:
                self._allocate(self.chunks.size_bytes(self.capacity, capacity) + for_columns + _SLACK)
            except StorageError:
                if new <= g.frames_per_block:
                    raise
                fewer = new // 2 // g.frames_per_block * g.frames_per_block
                target = self.capacity + max(g.frames_per_block, min(fewer, g.growth_frames))
                continue
            self.columns.grow_own(capacity, self._journaled.commit)
            self.columns.label_time()
            self.columns.resize(capacity)
            self._file[DATA].resize(capacity, axis=0)
            self._file.flush()
            self.columns.look_up(capacity, new=True)
            self.chunks.look_up(self.capacity, capacity)
            self._journaled.commit()
            self.capacity = capacity  # not before: a frame must not be counted that the structure has no chunk for

    def commit(self) -> None:
        """Make all chunks written so far, and their index, durable in one atomic commit."""
        self._file.flush()
        if not self._journaled.commit():
            self._blocks.sync()

    def write_count(self, name: str, value: int) -> None:
        """Write one of the ledger's counters."""
        self._blocks.write(value.to_bytes(_VALUE_BYTES, "little", signed=True), self._values[name])

    def write_losses(self, losses: np.ndarray[Any, Any]) -> None:
        """Write the ledger of losses, ``(entries, 3)`` int64."""
        for offset, column in zip(self._losses, losses.T, strict=True):
            self._blocks.write(column.astype("<i8").tobytes(), offset)

    def stage_losses(self, losses: np.ndarray[Any, Any]) -> None:
        """Replace the ledger of losses, ``(entries, 3)`` int64, with the next commit."""
        whole = np.full((MAX_LOSSES, losses.shape[1]), -1, "<i8")
        whole[: len(losses)] = losses
        for offset, column in zip(self._losses, whole.T, strict=True):
            self._journaled.add(column.tobytes(), offset)
        self._journaled.add(int(losses[:, 1].sum()).to_bytes(_VALUE_BYTES, "little"), self._values["frames_lost"])

    def finish(
        self,
        frames: int,
        durable: int,
        losses: int,
        state: str,
        reason: str,
        end: datetime,
        *,
        failed: bool = False,
    ) -> int:
        """Trim the file to ``frames`` frames and ``losses`` entries, enter how it ended, and return the file's size.

        All of that is one commit: after a crash the file is as before, or ended.
        """
        self._blocks.sync()  # the frames, before anything says that they are all there are
        clock = self._fit_clock(frames)
        self.columns.label_time()
        self.columns.resize(frames)  # before the data: then the freed space lies at the file's end
        for name in LOSS_COLUMNS:
            # Never empty: HyperSpy reads no file with an empty list. An entry without a stage is none.
            self._file[f"{LEDGER}/{name}"].resize((max(1, losses),))
        self._file[DATA].resize(frames, axis=0)
        self._file.close()
        self._journaled.least_size = 0
        if clock is not None:
            self._journaled.add(clock.to_array().astype("<f8").tobytes(), self._values["camera_clock"])
        self._journaled.add(fixed(reason, REASON_BYTES), self._values["end_reason"])
        self._journaled.add(fixed(end.isoformat(), TIME_BYTES), self._values["end_time"])
        self._journaled.add(fixed(state, STATE_BYTES), self._values["state"])
        for name, value in (("frames_written", frames), ("frames_durable", durable), ("writer_failed", failed)):
            self._journaled.add(int(value).to_bytes(_VALUE_BYTES, "little"), self._values[name])
        self._journaled.commit()
        self._journaled.retire_journal()
        return self._blocks.size()

    def close(self) -> None:
        """Close the file as it is; idempotent."""
        if self._file:
            self._file.close()  # what HDF5 still writes is kept, and never committed
        if self._descriptor >= 0:
            close_file(self._descriptor)
            self._descriptor = -1

    def _fit_clock(self, frames: int) -> CameraClock | None:
        """Fit the camera's clock to the arrivals of ``frames`` frames, or of some of them if they are many."""
        every = max(1, frames // _MOST_TIMES)
        camera, arrival = (self._file[COLUMN_PATHS[name]] for name in ("camera_timestamp", "start_time"))
        try:
            return fit_clock(camera[:frames:every], arrival[:frames:every])
        except OSError:  # of a disk that cannot be read; the frames are whole without it
            _log.warning("the camera's clock could not be fitted", exc_info=True)
            return None

    def _allocate(self, length: int) -> None:
        """Allocate room beyond what HDF5 uses so far; what it does not need stays for the next time."""
        size, end = self._blocks.size(), self._journaled.size + length
        if end > size:
            self._blocks.reserve(size, end - size)
        self._journaled.least_size = max(size, end)


@contextmanager
def _opened(path: Path, mode: Literal["w", "r+"]) -> Iterator[tuple[int, JournaledFile, h5py.File]]:
    """Open a file for writing its structure; it stays open unless the block raises."""
    descriptor = open_file(path, os.O_RDWR)
    file = None
    try:
        journaled = JournaledFile(descriptor)
        if mode == "r+":
            journaled.replay()
        file = h5py.File(journaled, mode, driver="fileobj", **HDF5_OPTIONS)
        yield descriptor, journaled, file
    except BaseException:
        if file is not None:
            file.close()
        close_file(descriptor)
        raise
