"""The ring in shared memory: the only buffer between the producer and the persistence process.

The whole state is two counters that only grow: ``put`` (frames the producer has published) and ``written`` (frames
the writer has handed to the device). Frame *i* lies in block ``i // F``, in slot ``block % blocks``; its slot is free
when the block that had it before is written. The counters live in the ring, so whoever attaches knows what is left to
write.
"""

import contextlib
import os
import secrets
import struct
from multiprocessing.connection import Connection
from multiprocessing.shared_memory import SharedMemory
from typing import Any, Final, cast

import numpy as np
import numpy.typing as npt

from ...errors import StorageError
from ..block_layout import COLUMNS, LOSS_FIELDS, PAGE, RECORD_BYTES, RING_HEADER_BYTES, BlockLayout
from ..losses import MAX_LOSSES, STAGES
from ..os_file import lock_shared, open_file
from .hugepages import AlignedMap
from .memory import PREFIX, SHM, check_room, has_shm, remove_stale_rings

_RECORD = struct.Struct(f"{len(COLUMNS)}q")


class RingField:
    """Places of the int64 counters in the ring's header; plain numbers, since an Enum's cost tiny frames a tenth."""

    PUT: Final = 0
    WRITTEN: Final = 1
    LOST: Final = 2
    LOSS_ENTRIES: Final = 3
    FAILED: Final = 4
    SLOWEST_WRITE_NS: Final = 5
    DURABLE: Final = 6
    RESTARTS: Final = 7
    STARTED: Final = 8
    CLAIMED: Final = 9
    RAW: Final = 10
    BYTES: Final = 11
    SYNC_FAILED: Final = 12


class Ring:
    """A block of shared memory with a header, one record of columns a frame, and blocks of frames.

    Parameters
    ----------
    memory
        The shared memory; `create` and `attach` make it.

    Attributes
    ----------
    counters
        The header's int64 counters, indexed by `RingField`.
    records
        ``(frames, columns)`` int64, after `lay_out`.
    blocks
        ``(blocks, frames_per_block, Y, X)`` of the frames' dtype, after `lay_out`.
    """

    records: npt.NDArray[np.int64]
    blocks: npt.NDArray[Any]

    def __init__(self, memory: SharedMemory) -> None:
        self._memory = memory
        self._lock = _hold(memory.name)
        self._map: AlignedMap | None = None
        if self._lock is None:
            self._buffer = cast("memoryview[int]", memory.buf)  # None only after it was closed
        else:
            memory.close()  # its mapping, which is not where huge pages can be
            try:
                self._map = AlignedMap(self._lock, memory.size)
            except OSError:
                os.close(self._lock)
                raise
            self._buffer = self._map.view
        self.counters = self._buffer[:PAGE].cast("q")
        self._losses = np.frombuffer(self._buffer, np.int64, MAX_LOSSES * LOSS_FIELDS, PAGE).reshape(-1, LOSS_FIELDS)

    @classmethod
    def create(cls, size_bytes: int) -> "Ring":
        """Make a ring of at most ``size_bytes``; `reserve` then backs it with memory.

        Raises
        ------
        StorageError
            There is less shared memory than that, or no room for the header.
        """
        size = size_bytes // PAGE * PAGE
        if size <= RING_HEADER_BYTES + PAGE:
            raise StorageError(
                f"buffer_bytes is {size_bytes:,}; the ring needs {RING_HEADER_BYTES + PAGE:,} bytes for its header "
                "alone, then at least two frames"
            )
        check_room(size)
        remove_stale_rings()
        try:
            memory = SharedMemory(f"{PREFIX}{os.getpid()}-{secrets.token_hex(4)}", create=True, size=size)
            try:
                return cls(memory)
            except BaseException:
                memory.unlink()
                raise
        except OSError as exc:
            raise StorageError(f"cannot make a ring of {size:,} bytes in shared memory: {exc}") from exc

    @classmethod
    def attach(cls, name: str) -> "Ring":
        """Map an existing ring by its name."""
        return cls(SharedMemory(name))

    @property
    def name(self) -> str:
        """The shared memory's name, for `attach`."""
        return self._memory.name

    @property
    def room(self) -> int:
        """Bytes for records and blocks."""
        return self._memory.size - RING_HEADER_BYTES

    def lay_out(self, layout: BlockLayout) -> None:
        """Place the records and blocks of a layout that was planned for this ring's room."""
        g = layout
        start = RING_HEADER_BYTES + g.columns_bytes
        self.records = np.ndarray((g.frames, len(COLUMNS)), np.int64, self._buffer, RING_HEADER_BYTES)
        self.blocks = np.ndarray(
            (g.blocks, g.frames_per_block, *g.shape),
            g.dtype,
            self._buffer,
            start,
            strides=(g.block_stride, g.frame_bytes, g.shape[1] * g.dtype.itemsize, g.dtype.itemsize),
        )
        self._blocks_bytes = self._buffer[start : start + g.blocks * g.block_stride]
        self._stride = g.block_stride

    def reserve(self) -> None:
        """Back every page with memory and map it: on tmpfs a page that cannot be had later would be a SIGBUS.

        Raises
        ------
        StorageError
            Shared memory has no room for it.
        """
        if self._lock is None or self._map is None:
            self.touch()
            return
        self._map.use_huge_pages()
        try:
            if hasattr(os, "posix_fallocate"):
                os.posix_fallocate(self._lock, 0, self._memory.size)
        except OSError as exc:
            raise StorageError(
                f"shared memory has no room for a ring of {self._memory.size:,} bytes ({exc}): "
                "give a smaller buffer_bytes or enlarge /dev/shm"
            ) from exc
        if not self._map.populate():
            self.touch()

    def touch(self) -> None:
        """Map every page, which has memory already, into this process, so that no frame pays for it."""
        self._buffer[::PAGE].tobytes()

    def write_record(self, slot: int, values: tuple[int, ...]) -> None:
        """Store the columns of the frame in frame slot ``slot``."""
        _RECORD.pack_into(self._buffer, RING_HEADER_BYTES + slot * RECORD_BYTES, *values)

    def block_bytes(self, slot: int, start: int, stop: int) -> memoryview:
        """Return bytes ``start`` to ``stop`` of the block in slot ``slot``, not copied."""
        return self._blocks_bytes[slot * self._stride + start : slot * self._stride + stop]

    def add_loss(self, before_frame: int, count: int, stage: str) -> None:
        """Count lost frames and locate them."""
        code = STAGES.index(stage)
        entries = self.counters[RingField.LOSS_ENTRIES]
        last = self._losses[entries - 1]
        if entries and (entries == MAX_LOSSES or (last[0] == before_frame and last[2] == code)):
            last[1] += count
        else:
            self._losses[entries] = before_frame, count, code
            self.counters[RingField.LOSS_ENTRIES] = entries + 1
        self.counters[RingField.LOST] += count

    def losses(self) -> npt.NDArray[np.int64]:
        """Return a copy of the ledger, ``(entries, 3)``: before which frame, how many, stage code."""
        return self._losses[: self.counters[RingField.LOSS_ENTRIES]].copy()

    def close(self) -> None:
        """Unmap the ring from this process; idempotent."""
        for name in ("records", "blocks", "_losses", "_map"):
            self.__dict__.pop(name, None)
        for name in ("_blocks_bytes", "counters", "_buffer"):
            view = self.__dict__.pop(name, None)
            if view is not None:
                with contextlib.suppress(BufferError):  # an array of the ring, in a traceback perhaps, still needs it
                    view.release()
        self._memory.close()
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def share_lock(self) -> Connection | None:
        """Return the ring's lock for a new process, which then has it from its first moment; None where there is none.

        Otherwise the ring would look abandoned if the producer were killed before the new process has attached.
        """
        return None if self._lock is None else Connection(os.dup(self._lock))

    def unlink(self) -> None:
        """Give the memory back to the system, once; whoever still has it mapped keeps it."""
        self._memory.unlink()


def _hold(name: str) -> int | None:
    """Lock the memory's file as in use, until this process lets go of it or dies; None where it has no file."""
    place = SHM / name.lstrip("/")
    if not (has_shm() and place.exists()):
        return None
    descriptor = open_file(place, os.O_RDWR)
    lock_shared(descriptor)
    return descriptor
