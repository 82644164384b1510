"""What the driver needs of a Micro-Manager core, the same for every backend.

Everything that differs between pycromanager's two backends (see ``docs/micromanager.md``) ends here: frames are always
2-D, vectors are tuples, numbers have one type, an empty buffer is ``None`` and every failure is a ``CoreError``.
"""

from dataclasses import dataclass
from typing import Any, Literal, NamedTuple, Protocol

import numpy as np
import numpy.typing as npt

Image = npt.NDArray[Any]
"""A frame of shape ``(Y, X)``."""

MAX_FRAMES = 2**31 - 1
"""The longest finite sequence: a C long has 32 bits on Windows."""

MAX_BUFFERED_FRAMES = 10_000_000
"""The most frames the core's circular buffer holds, however small they are (MMCore 12)."""


@dataclass(frozen=True, slots=True)
class Roi:
    """A region of the sensor, in unbinned-by-us camera pixels as the core counts them.

    Parameters
    ----------
    x, y
        Left and top edge, pixels.
    width, height
        Size, pixels.
    """

    x: int
    y: int
    width: int
    height: int


class Frame(NamedTuple):
    """One frame popped from the core's circular buffer.

    ``pixels`` has shape ``(Y, X)`` and belongs to the receiver. What the camera does not tell is -1.
    """

    pixels: Image
    image_number: int
    """The core's ``ImageNumber``: 0-based, counts inserts into the core's buffer."""
    camera_frame_number: int
    """The camera's own frame counter, where its adapter has one."""
    camera_timestamp_ns: int
    """The camera's or its adapter's time stamp."""


class ImageFormat(NamedTuple):
    """What the next frame will look like: ``(height, width)`` pixels of ``dtype``, ``bit_depth`` bits significant."""

    height: int
    width: int
    dtype: np.dtype[Any]
    bit_depth: int


class CoreAdapter(Protocol):
    """A Micro-Manager core as the driver sees it; every method may raise ``CoreError``.

    Calls of several threads are serialised, so a script may use the camera while another thread pops. That does not
    make two calls one: what one thread reads, another may change before the next call.
    """

    backend: Literal["python", "java"]

    # --- the core and its devices
    def version(self) -> str:
        """Return the core's version text."""
        ...

    def camera_label(self) -> str:
        """Return the current camera's device label; ``CoreError`` when the core has no camera."""
        ...

    def device_info(self, device: str) -> dict[str, str]:
        """Return ``library``, ``name`` and ``description`` of a device."""
        ...

    def property_names(self, device: str) -> tuple[str, ...]:
        """Return the names of a device's properties."""
        ...

    def get_property(self, device: str, name: str) -> str:
        """Return a property's present value, as text."""
        ...

    def set_property(self, device: str, name: str, value: str) -> None:
        """Set a property; read it back to learn what the device made of it."""
        ...

    def allowed_values(self, device: str, name: str) -> tuple[str, ...]:
        """Return the values a property is restricted to, empty when it is not."""
        ...

    def limits(self, device: str, name: str) -> tuple[float, float] | None:
        """Return a property's lower and upper limit, or None."""
        ...

    def is_read_only(self, device: str, name: str) -> bool:
        """Tell whether a property can never be set."""
        ...

    # --- camera settings
    def get_exposure_ms(self) -> float:
        """Return the exposure, ms."""
        ...

    def set_exposure_ms(self, value: float) -> None:
        """Set the exposure, ms; cameras round it."""
        ...

    def get_roi(self) -> Roi:
        """Return the region that is read out."""
        ...

    def set_roi(self, roi: Roi) -> None:
        """Set the region that is read out; cameras round it."""
        ...

    def clear_roi(self) -> None:
        """Read out the whole sensor."""
        ...

    def image_format(self) -> ImageFormat:
        """Return shape, dtype and bit depth of the next frame."""
        ...

    def pixel_size_um(self) -> float:
        """Return the sample pixel size at the present magnification, um; 0.0 when unknown."""
        ...

    # --- images
    def snap(self) -> Image:
        """Expose and return one frame ``(Y, X)``, owned by the caller."""
        ...

    def set_buffer_mb(self, megabytes: int) -> None:
        """Size the core's circular buffer; never during a sequence."""
        ...

    def buffer_capacity(self) -> int:
        """Return how many frames of the present format the core's buffer holds."""
        ...

    def start_sequence(self, frames: int) -> None:
        """Start a finite sequence (interval 0, stop on overflow); discards what the buffer held.

        ``SettingError`` unless `frames` is 1 to ``MAX_FRAMES``: what 0 means is up to the camera.
        """
        ...

    def stop_sequence(self) -> None:
        """Stop the sequence; frames in the buffer stay poppable. Harmless when none runs.

        Some cameras need it after an overflow before they can start again.
        """
        ...

    def is_sequence_running(self) -> bool:
        """Tell whether more frames can come: False after an overflow. Ask this *before* ``remaining``."""
        ...

    def remaining(self) -> int:
        """Return how many frames wait in the core's buffer."""
        ...

    def is_overflowed(self) -> bool:
        """Tell whether the sequence ended because the core's buffer was full."""
        ...

    def pop(self) -> Frame | None:
        """Take the oldest frame from the core's buffer; None when there is none (even if ``remaining`` said so).

        ``CoreError`` when the frame does not have the format that its tags tell: it is lost, the next pop goes on.
        """
        ...

    def close(self) -> None:
        """Let go of the core; idempotent. A core that this adapter started is stopped."""
        ...
