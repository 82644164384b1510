"""What counts as a frame, and the errors for input that does not."""

import operator
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from ..errors import FrameError
from .columns import METADATA_KEYS, unknown_names

_KNOWN = frozenset(METADATA_KEYS)
_MAX_FLOAT_BYTES = 8  # longer ones differ between machines and most readers of HDF5 cannot read them


def is_colour(shape: tuple[int, ...], dtype: np.dtype[Any]) -> bool:
    """Return whether frames of ``shape`` hold red, green and blue for each pixel."""
    return len(shape) == 3 and shape[2] == 3 and dtype.kind == "u" and dtype.itemsize <= 2


def as_frame(image: object) -> npt.NDArray[Any]:
    """Return ``image`` as an array ``(Y, X)``, or ``(Y, X, 3)`` in colour, that can be stored as it is.

    Raises
    ------
    FrameError
        It is neither, empty, masked, or not of whole numbers, floats or bools.
    """
    if isinstance(image, np.ma.MaskedArray):
        raise FrameError("the frame is a masked array, whose mask would be lost: put image.filled(...) or image.data")
    try:
        frame = np.asarray(image)
    except (TypeError, ValueError, RuntimeError) as exc:  # PyTorch raises the last
        raise FrameError(
            f"the frame of type {type(image).__name__} cannot be turned into a NumPy array ({exc}): "
            "put an array in this computer's memory, of shape (Y, X)"
        ) from exc
    if frame.dtype.kind not in "biuf" or (frame.dtype.kind == "f" and frame.dtype.itemsize > _MAX_FLOAT_BYTES):
        raise FrameError(
            f"the frame's dtype is {frame.dtype}; a recording stores bool, integers and floats of up to 64 bits: "
            "convert it, or record its parts"
        )
    if frame.ndim != 2 and not is_colour(frame.shape, frame.dtype):
        raise FrameError(
            f"the frame has shape {frame.shape} and dtype {frame.dtype}; a frame has two dimensions (Y, X), or is "
            "(Y, X, 3) of uint8 or uint16, red, green and blue: put one image at a time, a flat one from the Java "
            "backend as pixels.reshape(height, width), and of one with alpha image[..., :3]"
        )
    if frame.size == 0:
        raise FrameError(f"the frame has shape {frame.shape}: it holds no pixels, and has to have one at least")
    return frame


def check_same(frame: npt.NDArray[Any], shape: tuple[int, ...], dtype: np.dtype[Any], index: int) -> None:
    """Refuse a frame that differs from those before it.

    Raises
    ------
    FrameError
        Its shape or dtype is another one.
    """
    if frame.shape != shape or frame.dtype != dtype:
        raise FrameError(
            f"frame {index} is {_describe(frame.shape, frame.dtype)}, but this recording holds "
            f"{_describe(shape, dtype)}: one file holds frames of one shape and dtype; the frames before it are safe"
        )


def metadata_values(metadata: Mapping[str, Any] | None, host_ns: int) -> tuple[int, int, int, int]:
    """Return the values of `METADATA_KEYS`, -1 where unknown, the present time for ``host_timestamp``.

    Raises
    ------
    FrameError
        An unknown key, or a value that is not a whole number of 64 bits.
    """
    if not metadata:
        return -1, -1, -1, host_ns
    if not metadata.keys() <= _KNOWN:
        raise FrameError(unknown_names(set(metadata.keys()) - _KNOWN, ()))
    try:
        number, counter, stamp, host = map(operator.index, map(metadata.get, METADATA_KEYS, (-1, -1, -1, host_ns)))
    except TypeError as exc:
        raise FrameError(
            f"metadata {dict(metadata)} has a value that is not a whole number ({exc}): give these as int, and "
            "declare a column for any other value; this frame was not stored"
        ) from exc
    values = number, counter, stamp, host
    if min(values) < -(2**63) or max(values) >= 2**63:
        raise FrameError(
            f"metadata {dict(metadata)} has a value that does not fit in 64 bits: give a smaller one; this frame was "
            "not stored"
        )
    return values


def _describe(shape: tuple[int, ...], dtype: np.dtype[Any]) -> str:
    return f"{'x'.join(map(str, shape))} {dtype.str} ({dtype.name})"
