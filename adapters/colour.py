"""Colours as Micro-Manager's core has them, seen as red, green and blue without a copy.

The core keeps blue, green, red and an unused component of each pixel, in this order, in RGB32 (8 bits each) and in
RGB64 (16 bits each). The backends show them as one number a pixel, flat, or split.
"""

from typing import Any

import numpy as np

from .core_adapter import Image

COMPONENTS_IN_CORE = 4
"""Components of a colour pixel in the core's buffer."""

CHANNELS = 3
"""Of these, the ones that are recorded."""

_DTYPE_OF_TAG: dict[str, np.dtype[Any]] = {"RGB32": np.dtype(np.uint8), "RGB64": np.dtype(np.uint16)}


def view_channels(pixels: Image, height: int, width: int, dtype: np.dtype[Any]) -> Image:
    """Return packed or flat pixels of the core as a view ``(Y, X, 3)``: red, green, blue.

    Parameters
    ----------
    pixels
        ``(Y, X)`` with one number a pixel, or flat with one number a component; contiguous.
    height, width
        Size, pixels.
    dtype
        Of a component.
    """
    return pixels.view(dtype).reshape(height, width, COMPONENTS_IN_CORE)[..., CHANNELS - 1 :: -1]


def unpack_colours(image: Image, pixel_type: object) -> Image:
    """Return an image that pycromanager hands over as a frame: grey ones as they are, colours ``(Y, X, 3)``.

    Parameters
    ----------
    image
        ``(Y, X)``; of colours also ``(Y, X, 3)`` or ``(Y, X, 4)``, blue first.
    pixel_type
        The tag ``PixelType``.
    """
    dtype = _DTYPE_OF_TAG.get(str(pixel_type))
    if dtype is None:
        return image
    if image.ndim == CHANNELS and image.dtype == dtype:
        return image[..., CHANNELS - 1 :: -1]
    return view_channels(np.ascontiguousarray(image), image.shape[0], image.shape[1], dtype)
