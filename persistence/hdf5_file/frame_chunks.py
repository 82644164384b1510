"""The chunks of frames in a file that is being written: where each one lies."""

import math

import h5py
import numpy as np

from ..block_layout import PAGE, BlockLayout, round_up
from .btree import chunk_offsets
from .codec import load_filters
from .direct_file import DirectFile
from .journaled_file import JournaledFile

_LEAST_DIRECT_BYTES = 256 << 10  # a smaller chunk is on its way sooner through the page cache


class FrameChunks:
    """A block of frames is a chunk: uncompressed at an offset known before, or compressed, placed as it is written.

    Parameters
    ----------
    images
        The dataset.
    layout
        Of its frames.
    blocks
        The file that it is in, for what is written past HDF5.
    journaled
        The same file, as HDF5 writes it.
    """

    def __init__(
        self, images: h5py.h5d.DatasetID, layout: BlockLayout, blocks: DirectFile, journaled: JournaledFile
    ) -> None:
        self._images = images
        self._layout = layout
        self._blocks = blocks
        self._journaled = journaled
        self._compressed = images.get_create_plist().get_nfilters() > 0
        self._written = self.count() if self._compressed else 0
        self._offsets: dict[int, int] = {}
        load_filters(images)  # HDF5 itself compresses the last chunk again when it cuts it

    def count(self) -> int:
        """Return how many chunks there are."""
        return int(self._images.get_num_chunks())

    def size_bytes(self, capacity: int, grown: int) -> int:
        """Return the bytes to allocate for growing from ``capacity`` frames to ``grown``.

        Compressed chunks are allocated as they are written: this counts all that may not be yet.
        """
        g = self._layout
        frames = grown - (self._written * g.frames_per_block if self._compressed else capacity)
        return frames // g.frames_per_block * round_up(g.block_bytes, PAGE)

    def look_up(self, first: int, capacity: int) -> None:
        """Find the uncompressed chunks of the frames from ``first`` to ``capacity``."""
        if self._compressed:
            return
        per_block, images = self._layout.frames_per_block, self._images
        written = chunk_offsets(self._journaled.writes(), images.rank, self._layout.block_bytes)
        for block in range(first // per_block, math.ceil(capacity / per_block)):
            start = block * per_block
            if start not in written:  # in a file that another process wrote
                written[start] = images.get_chunk_info_by_coord(self._first_pixel(block)).byte_offset
            self._offsets[block] = written[start]

    def offset(self, block: int) -> int:
        """Return where in the file block ``block`` starts; blocks are asked for in order."""
        self._offsets.pop(block - 1, None)
        return self._offsets[block]

    def write(self, block: int, data: memoryview, filter_mask: int) -> None:
        """Write a new chunk, compressed, or not if ``filter_mask`` says so; a commit makes it a part of the file."""
        start, content = self._first_pixel(block), np.frombuffer(data, np.uint8)
        offset = self._journaled.write_offset_of(
            data, lambda: self._images.write_direct_chunk(start, content, filter_mask)
        )
        self._written += 1
        write = self._blocks.write_block if len(data) >= _LEAST_DIRECT_BYTES else self._blocks.write
        write(data, offset)

    def stored(self, block: int) -> tuple[int, bool]:
        """Return how many bytes a chunk takes in a compressed file, and whether it is stored as it is."""
        info = self._images.get_chunk_info_by_coord(self._first_pixel(block))
        return info.size, bool(info.filter_mask)

    def _first_pixel(self, block: int) -> tuple[int, ...]:
        return (block * self._layout.frames_per_block, *(0 for _axis in self._layout.shape))
