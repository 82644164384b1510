"""How much NTFS would fill with zeros: ``python tests/windows/zero_fill.py``, on any system.

NTFS knows up to where a file was ever written, and fills the gap with zeros before a write that begins behind it. This
records in one process, looks at every write of the product, and adds the gaps up.
"""

import argparse
import sys
import tempfile
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import numpy as np

from mmspool.persistence.block_layout import plan_blocks
from mmspool.persistence.options import SpoolOptions
from mmspool.persistence.shared_ring.ring import Ring
from mmspool.persistence.system import os_file
from mmspool.persistence.writer_process.messages import StartWriting
from mmspool.persistence.writer_process.writer import FrameWriter

Write = Callable[[int, memoryview, int], int]


class Gaps:
    """Where the file was written to, and what lay between."""

    def __init__(self) -> None:
        self.written_bytes = self.end = self.zero_bytes = 0

    def watch(self, write: Write) -> Write:
        """Return a write that is looked at."""

        def watched(descriptor: int, data: memoryview, offset: int) -> int:
            done = write(descriptor, data, offset)
            self.zero_bytes += max(0, offset - self.end)
            self.end = max(self.end, offset + done)
            self.written_bytes += done
            return done

        return watched


def record(path: Path, shape: tuple[int, int], frames: int) -> None:
    """Record frames of zeros in this process."""
    path.touch()
    ring = Ring.create(256 << 20)
    layout = plan_blocks(shape, np.dtype("<u2"), ring.usable_bytes, 100)
    ring.lay_out(layout)
    start = StartWriting(
        path=path, layout=layout, start=datetime.now(UTC), start_ns=0, wall_offset_ns=0, options=SpoolOptions()
    )
    writer = FrameWriter(ring, start)
    frame = np.zeros(shape, "<u2")
    for index in range(frames):
        ring.put_frame(index, frame, (-1, -1, -1, index))
        if (index + 1) % 8 == 0:
            writer.write_to(index + 1)
    writer.write_to(frames)
    writer.finish(interrupted=False, end_reason="closed")
    ring.close()


def main() -> None:
    """Print the figures of three sizes of frames."""
    argparse.ArgumentParser(description=__doc__.splitlines()[0]).parse_args()
    write, write_direct = os_file.write_once, os_file.write_direct_once
    for shape, frames in (((2048, 2048), 500), ((512, 512), 4000), ((64, 64), 100_000)):
        gaps = Gaps()
        os_file.write_once, os_file.write_direct_once = gaps.watch(write), gaps.watch(write_direct)
        with tempfile.TemporaryDirectory() as folder:
            record(Path(folder) / "run.h5", shape, frames)
        sys.stdout.write(
            f"{frames:,} frames of {shape[0]}x{shape[1]}: {gaps.written_bytes / 1e6:,.0f} MB written, "
            f"{gaps.zero_bytes / 1e6:,.0f} MB of zeros in gaps\n"
        )


if __name__ == "__main__":
    main()
