"""A ring and its writer in this process, without others, so that a test chooses what happens when."""

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np

import mmspool
from mmspool.persistence import verify
from mmspool.persistence.block_layout import plan_blocks
from mmspool.persistence.options import SpoolOptions
from mmspool.persistence.shared_ring.ring import Ring, RingField
from mmspool.persistence.system.clock import wall_offset_ns
from mmspool.persistence.writer_process.messages import StartWriting
from mmspool.persistence.writer_process.writer import FrameWriter
from support.frames import SHAPE, noise


class InProcessWriter:
    """A ring, and the parameters of the writer that empties it."""

    def __init__(self, path: Path, compression: str | None) -> None:
        self.path = path
        self.ring = Ring.create(8 << 20)
        geometry = plan_blocks(SHAPE, np.dtype("<u2"), self.ring.usable_bytes, 100, compressed=compression is not None)
        self.ring.lay_out(geometry)
        self.per_block, self.blocks, self.frames = geometry.frames_per_block, geometry.blocks, geometry.frames
        self.begin = StartWriting(
            path=path,
            layout=geometry,
            start=datetime.now(UTC),
            start_ns=0,
            wall_offset_ns=wall_offset_ns(),
            options=SpoolOptions(sync_interval_s=0.0, compression=compression),
        )
        path.touch()

    def put(self, count: int) -> int:
        """Put so many frames; return how many there are."""
        counters = self.ring.counters
        for index in range(counters[RingField.PUT], counters[RingField.PUT] + count):
            self.ring.put_frame(index, noise(index), (-1, -1, -1, index))
        return counters[RingField.PUT]

    def writer(self, *, resume: bool = False) -> FrameWriter:
        """Return a new writer."""
        return FrameWriter(self.ring, replace(self.begin, resume=resume))

    def finish(
        self, writer: FrameWriter, *, interrupted: bool = False, end_reason: str = "closed"
    ) -> tuple[int, int, str]:
        """Finish the file; return frames written, frames lost and state."""
        closed = writer.finish(interrupted=interrupted, end_reason=end_reason)
        return closed.frames_written, closed.frames_lost, closed.state

    def check(self, path: Path, count: int) -> None:
        """Look at a file that holds so many frames."""
        with mmspool.open(path) as recording:
            assert len(recording) == count
            assert (recording[:] == np.stack([noise(index) for index in range(count)])).all()
        assert verify(path).intact
