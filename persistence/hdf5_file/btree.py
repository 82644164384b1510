"""HDF5's index of chunks, a tree of nodes: where chunks lie, and in which order nodes can be written under a reader.

Format: "Version 1 B-trees" in the HDF5 File Format Specification (III.A.1), node type 1 (raw data chunks). A node
starts with ``TREE``, its type and its level, 0 for a leaf; entries of 8-byte addresses and keys follow.

Asking HDF5 for a chunk's offset (``get_chunk_info_by_coord``) walks through all chunks before it: milliseconds at
10,000 chunks, more than 0.1 s at a million. But after a growth the index's changed leaves, with the new chunks in them,
are among the writes that HDF5 has just handed over.
"""

from collections.abc import Iterable

import numpy as np

_NODE = b"TREE\x01"  # signature, node type 1; the level follows
_LEAF = _NODE + b"\x00"
_SUPERBLOCK = b"\x89HDF"
_K = 32  # HDF5's default: a node has room for 2 K chunks
_HEAD_BYTES = 24
_ADDRESS_BYTES = 8


def chunk_offsets(writes: Iterable[bytes], rank: int, chunk_bytes: int) -> dict[int, int]:
    """Return where the chunks lie that occur in leaves of the index among ``writes``.

    Parameters
    ----------
    writes
        Whole writes by HDF5, oldest first.
    rank
        Dimensions of the dataset; leaves of others have another size.
    chunk_bytes
        Size of the dataset's chunks, unfiltered.

    Returns
    -------
    dict
        From a chunk's first index in the first dimension to its offset in the file.
    """
    key = np.dtype(
        [("bytes", "<u4"), ("filter_mask", "<u4"), ("start", "<u8", (rank + 1,)), ("address", "<u8")]
    )  # the last "start" is that of the element's bytes, always 0
    leaf_bytes = _HEAD_BYTES + 2 * _K * _ADDRESS_BYTES + (2 * _K + 1) * (key.itemsize - _ADDRESS_BYTES)
    found: dict[int, int] = {}
    for content in writes:
        if len(content) == leaf_bytes and content.startswith(_LEAF):
            entries = np.frombuffer(content, key, int.from_bytes(content[6:8], "little"), _HEAD_BYTES)
            ours = entries[entries["bytes"] == chunk_bytes]
            found.update(zip(ours["start"][:, 0].tolist(), ours["address"].tolist(), strict=True))
    return found


def write_rank(content: bytes, before: bytes, *, shrinks: bool) -> tuple[int, int]:
    """Return a write's rank among those of one change: in their order, a reader misses nothing at any moment.

    New nodes come first, from the leaves up, while nothing refers to them, then the others from the root down: what a
    node hands over to a new one can be found there before it is gone here. The superblock has the file's end, which is
    never to be before anything that is referred to.

    Parameters
    ----------
    content
        What is written.
    before
        What the file has there.
    shrinks
        Whether the file becomes shorter by the change.
    """
    if content.startswith(_SUPERBLOCK):
        return (4, 0) if shrinks else (0, 0)
    if not content.startswith(_NODE):
        return (3, 0)
    level = content[len(_NODE)]
    return (2, -level) if before.startswith(_NODE) else (1, level)
