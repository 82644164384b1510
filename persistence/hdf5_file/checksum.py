"""The checksum of a frame: xxh3_64 of its pixels, row by row, as they lie in the file."""

from typing import Any

import numpy as np
import numpy.typing as npt
import xxhash

ALGORITHM = "xxh3_64"
NO_CHECKSUMS = "none"
"""What a recording without checksums says in place of the algorithm."""


def of_frame(frame: npt.NDArray[Any]) -> int:
    """Return the checksum of a frame ``(Y, X)``."""
    return xxhash.xxh3_64_intdigest(np.ascontiguousarray(frame).data)


def of_frames(pixels: memoryview, frame_bytes: int) -> npt.NDArray[np.uint64]:
    """Return the checksum of each frame of ``frame_bytes`` in a run of frames."""
    count = len(pixels) // frame_bytes
    digests = (
        xxhash.xxh3_64_intdigest(pixels[index * frame_bytes : (index + 1) * frame_bytes]) for index in range(count)
    )
    return np.fromiter(digests, "<u8", count)
