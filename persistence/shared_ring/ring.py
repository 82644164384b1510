"""The ring in shared memory: the only buffer between the producer and the writer process.

The whole state is two counters that only grow: ``put`` (frames the producer has published) and ``written`` (frames
the writer has handed to the device). Frame *i* lies in block ``i // F``, in slot ``block % blocks``; its slot is free
when the block that had it before is written. The counters, the ledger of losses and the order to stop live in the
ring, so a process that attaches knows what is left to do.

Memory model: one process writes each counter, as one aligned store of 64 bits, which no reader sees half done. What a
counter announces has to be seen before it, and the handshake of a failing writer (the producer stores ``claimed`` and
loads ``failed``, the writer stores ``failed`` and loads ``claimed``) has to see one of the two stores. ``fence`` orders
both: it takes a lock, an atomic operation that no load or store passes on x86; on other processors, such as ARM, it
takes it twice, and none passes from before the first release to after the second acquisition. x86 keeps stores in
order by itself, so that publishing a frame needs no fence there.
"""

import os
import struct
import sys
import threading
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from ...errors import StorageError
from ..block_layout import COLUMNS, LOSS_FIELDS, PAGE, RECORD_BYTES, RING_HEADER_BYTES, BlockLayout
from ..columns import Value
from ..losses import MAX_LOSSES, STAGES, LossStage
from .buffer_size import check_free_memory
from .shared_memory import Handle, SharedBlock, allocate, attach, touch

# platform.machine() starts a process on Windows.
_MACHINE = os.environ.get("PROCESSOR_ARCHITECTURE", "") if sys.platform == "win32" else os.uname().machine
_STORES_IN_ORDER = _MACHINE.lower() in ("x86_64", "amd64", "i686", "x86")
_REASON = slice(1024, PAGE)  # of the header's first page; the counters are before it
_CACHED_BYTES = 256 << 10  # of a frame's rows


def _copy_channels(frame: npt.NDArray[Any], target: npt.NDArray[Any]) -> None:
    """Copy colours that lie in another order in a third of the time: by channel, of as many rows as a cache holds."""
    rows = max(1, _CACHED_BYTES // frame[0].nbytes)
    for first in range(0, len(frame), rows):
        part = slice(first, first + rows)
        for channel in range(frame.shape[2]):
            target[part, :, channel] = frame[part, :, channel]


class RingField:
    """Indices of the int64 counters in the ring's header; plain numbers, since an Enum's cost tiny frames a tenth."""

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
    STOP: Final = 13
    BACKLOG: Final = 14


_CLOSED, _INTERRUPTED = 1, 2  # values of STOP


class Ring:
    """A block of shared memory with a header, one record of columns a frame, and blocks of frames.

    Parameters
    ----------
    memory
        The shared memory; `create` and `attach` make it.

    Attributes
    ----------
    handle
        By which another process attaches.
    counters
        The header's int64 counters, indexed by `RingField`.
    records
        ``(frames, columns)`` int64, after `lay_out`.
    user_records
        ``(frames,)``, a field for each column of the user's own, after `lay_out`.
    blocks
        ``(blocks, frames_per_block, Y, X)`` of the frames' dtype, after `lay_out`.
    size
        Bytes of it all.
    """

    records: npt.NDArray[np.int64]
    user_records: npt.NDArray[Any]
    blocks: npt.NDArray[Any]

    def __init__(self, memory: SharedBlock) -> None:
        self._memory = memory
        self.handle: Handle = memory.handle
        self._buffer = memory.view
        self.size = len(self._buffer)
        self.counters = self._buffer[:PAGE].cast("q")
        self._losses = np.frombuffer(self._buffer, np.int64, MAX_LOSSES * LOSS_FIELDS, PAGE).reshape(-1, LOSS_FIELDS)
        self._frames = self._per_block = 0
        self._fence = threading.RLock()  # a signal handler may interrupt a fence, and need one

    @classmethod
    def create(cls, size_bytes: int) -> "Ring":
        """Make a ring of at most ``size_bytes``; `reserve` then backs it with memory.

        Raises
        ------
        StorageError
            There is less memory than that, or it does not hold the header.
        """
        size = size_bytes // PAGE * PAGE
        if size <= RING_HEADER_BYTES + PAGE:
            raise StorageError(
                f"buffer_bytes is {size_bytes:,}; the ring needs {RING_HEADER_BYTES + PAGE:,} bytes for its header "
                "alone: give room for at least two frames more"
            )
        check_free_memory(size)
        try:
            return cls(allocate(size))
        except OSError as exc:
            raise StorageError(
                f"cannot make a ring of {size:,} bytes in shared memory ({exc}): give a smaller buffer_bytes"
            ) from exc

    @classmethod
    def attach(cls, handle: Handle) -> "Ring":
        """Map an existing ring by its handle."""
        return cls(attach(handle))

    @property
    def usable_bytes(self) -> int:
        """Bytes for records and blocks."""
        return self.size - RING_HEADER_BYTES

    def lay_out(self, layout: BlockLayout) -> None:
        """Map the records and blocks of a layout that was planned for this ring."""
        g = layout
        start = RING_HEADER_BYTES + g.columns_bytes
        self._record_bytes = g.record_bytes
        codes = "".join(["=", "q" * len(COLUMNS), *(column.code for column in g.columns)])
        self._pack_record = struct.Struct(codes).pack_into
        self.records = np.ndarray(
            (g.frames, len(COLUMNS)), np.int64, self._buffer, RING_HEADER_BYTES, strides=(g.record_bytes, 8)
        )
        own = np.dtype([(column.name, column.dtype) for column in g.columns] or "V1")
        self.user_records = np.ndarray(
            g.frames, own, self._buffer, RING_HEADER_BYTES + RECORD_BYTES, strides=(g.record_bytes,)
        )
        self.blocks = np.ndarray(
            (g.blocks, g.frames_per_block, *g.shape),
            g.dtype,
            self._buffer,
            start,
            strides=(g.block_stride, g.frame_bytes, *g.frame_strides),
        )
        self._blocks_start, self._stride = start, g.block_stride
        self._frames, self._per_block = g.frames, g.frames_per_block

    def reserve(self) -> None:
        """Back every page with memory and map it.

        Raises
        ------
        StorageError
            The system has too little memory.
        """
        self._memory.reserve()

    def touch(self) -> None:
        """Map every page, which has memory already, into this process, so that no frame pays for it."""
        touch(self._buffer)

    def slot(self, index: int) -> npt.NDArray[Any]:
        """Return the slot of frame ``index``, which is free, not copied."""
        slot: npt.NDArray[Any] = self.blocks[divmod(index % self._frames, self._per_block)]
        return slot

    def put_frame(self, index: int, frame: npt.NDArray[Any] | None, values: tuple[Value, ...]) -> bool:
        """Store frame ``index`` and its columns in its slot, which is free, and publish it.

        Parameters
        ----------
        index
            The number of frames put before.
        frame
            ``(Y, X)``, or ``(Y, X, 3)`` in colour; None if it is there already.
        values
            Its columns but the first, the sequence number, which counts lost frames too; then the user's own.

        Returns
        -------
        bool
            Whether the frame is the last of its block.
        """
        slot, counters = index % self._frames, self.counters
        block, at = divmod(slot, self._per_block)
        if frame is None:
            pass
        elif frame.ndim > 2 and not frame.flags.c_contiguous:  # a core's colours
            _copy_channels(frame, self.blocks[block, at])
        else:
            self.blocks[block, at] = frame
        self._pack_record(
            self._buffer, RING_HEADER_BYTES + slot * self._record_bytes, index + counters[RingField.LOST], *values
        )
        if not _STORES_IN_ORDER:
            self.fence()
        counters[RingField.PUT] = index + 1
        return at + 1 == self._per_block

    def fence(self) -> None:
        """Order what this process did in the ring before against what it does after."""
        with self._fence:
            pass
        if not _STORES_IN_ORDER:
            with self._fence:
                pass

    def block_bytes(self, block: int, start: int, stop: int) -> memoryview:
        """Return bytes ``start`` to ``stop`` of a block, not copied."""
        offset = self._blocks_start + block * self._stride
        return self._buffer[offset + start : offset + stop]

    def request_stop(self, *, interrupted: bool, end_reason: str) -> None:
        """Order the writer, this one or its successor, to write all that was put and to close the file; once."""
        if not self.counters[RingField.STOP]:
            reason = end_reason.encode("utf-8", "backslashreplace")[: _REASON.stop - _REASON.start]
            self._buffer[_REASON.start : _REASON.start + len(reason)] = reason
            self.fence()
            self.counters[RingField.STOP] = _INTERRUPTED if interrupted else _CLOSED

    def stop_request(self) -> tuple[bool, str] | None:
        """Return whether the recording was interrupted, and why it ends; None while it goes on."""
        stop = self.counters[RingField.STOP]
        self.fence()
        if not stop:
            return None
        return stop == _INTERRUPTED, bytes(self._buffer[_REASON]).rstrip(b"\0").decode("utf-8", "ignore")

    def add_loss(self, before_frame: int, count: int, stage: LossStage) -> None:
        """Count lost frames and locate them."""
        code = STAGES.index(stage)
        entries = self.counters[RingField.LOSS_ENTRIES]
        last = self._losses[entries - 1]
        if entries and (entries == MAX_LOSSES or (last[0] == before_frame and last[2] == code)):
            last[1] += count
        else:
            self._losses[entries] = before_frame, count, code
            self.fence()
            self.counters[RingField.LOSS_ENTRIES] = entries + 1
        self.counters[RingField.LOST] += count

    def losses(self) -> npt.NDArray[np.int64]:
        """Return a copy of the ledger, ``(entries, 3)``: before which frame, how many, stage code."""
        return self._losses[: self.counters[RingField.LOSS_ENTRIES]].copy()

    def close(self) -> None:
        """Unmap the ring from this process; idempotent. Later calls raise ValueError or TypeError."""
        self.records = self._losses = np.empty((0, 0), np.int64)
        self.blocks = self.user_records = self.records
        self.counters.release()
        self._memory.close()
