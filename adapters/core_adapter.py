"""What the driver needs of a Micro-Manager core, the same for every backend.

Everything that differs between pycromanager's two backends (see ``docs/micromanager.md``) ends here: frames have one
shape, vectors are tuples, numbers have one type, an empty buffer is ``None`` and every failure is a ``CoreError``.
"""

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Literal, NamedTuple

import numpy as np
import numpy.typing as npt

Image = npt.NDArray[Any]
"""A frame of shape ``(Y, X)``, or ``(Y, X, 3)``: red, green, blue."""

MAX_FRAMES = 2**31 - 1
"""The longest finite sequence: a C long has 32 bits on Windows."""

MAX_BUFFERED_FRAMES = 10_000_000
"""The most frames the core's circular buffer holds, however small they are (MMCore 12)."""


def owns_memory(pixels: Image) -> bool:
    """Return whether an array's memory is its own, so that it outlives the core's next frame."""
    array: object = pixels
    while isinstance(array, np.ndarray):
        array = array.base
    return array is None


@dataclass(frozen=True, slots=True)
class Roi:
    """A region of the sensor, in pixels of the frames that arrive, that is, after the camera's binning.

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

    ``pixels`` has shape ``(Y, X)``, in colour ``(Y, X, 3)``, any memory layout, and is valid until the next
    `CoreAdapter.pop`, which may reuse its memory. What the camera does not report is -1.
    """

    pixels: Image
    image_number: int
    """The core's ``ImageNumber``: 0-based, counts inserts into the core's buffer."""
    camera_frame_number: int
    """The camera's own frame counter, where its adapter has one."""
    camera_timestamp_ns: int
    """The camera's or its adapter's time stamp."""
    tags: Mapping[str, Any] = MappingProxyType({})
    """All of its tags, text on the Python backend, text or numbers on the Java backend."""


class ImageFormat(NamedTuple):
    """What the next frame will look like: ``(height, width)`` pixels of ``dtype``, ``bit_depth`` bits significant.

    ``channels`` is 1 for grey, 3 for red, green and blue; ``dtype`` and ``bit_depth`` are those of each.
    """

    height: int
    width: int
    dtype: np.dtype[Any]
    bit_depth: int
    channels: int = 1

    @property
    def shape(self) -> tuple[int, ...]:
        """Of a frame: ``(Y, X)``, or ``(Y, X, 3)`` in colour."""
        return (self.height, self.width) if self.channels == 1 else (self.height, self.width, self.channels)

    @property
    def frame_bytes(self) -> int:
        """Size of a frame."""
        return math.prod(self.shape) * self.dtype.itemsize

    @property
    def core_bytes(self) -> int:
        """Size of a frame in the core's buffer, which has a fourth component with each colour."""
        return self.frame_bytes if self.channels == 1 else self.frame_bytes // self.channels * (self.channels + 1)


class FramePath(NamedTuple):
    """The way that frames take from the core to this process.

    Attributes
    ----------
    way
        ``"direct"``: the core is in this process. ``"java-pump"``: a script in Micro-Manager's Java process copies them
        into shared memory. ``"java-bridge"``: the ZMQ bridge, 40 to 90 full frames a second.
    reason
        Why it is the bridge; "" otherwise.
    """

    way: Literal["direct", "java-pump", "java-bridge"]
    reason: str = ""


class CoreAdapter(ABC):
    """A Micro-Manager core as the driver sees it; every method may raise ``CoreError``.

    Calls of several threads are serialised, so a script may use the camera while another thread pops. That does not
    make two calls one: what one thread reads, another may change before the next call.
    """

    backend: Literal["python", "java"]

    @property
    def frame_path(self) -> FramePath:
        """The way that the frames of the last sequence took."""
        return FramePath("direct")

    def abandon_stuck_call(self) -> None:  # noqa: B027 - nothing to do for a core in this process
        """Let a call fail that has got no answer for some seconds, and all later ones; harmless while there is none.

        From any thread or signal handler. Only a core in another process can keep a call waiting that long.
        """

    # --- the core and its devices
    @abstractmethod
    def version(self) -> str:
        """Return the core's version text."""

    @abstractmethod
    def camera_label(self) -> str:
        """Return the current camera's device label; ``CoreError`` when the core has no camera."""

    @abstractmethod
    def device_info(self, device: str) -> dict[str, str]:
        """Return ``library``, ``name`` and ``description`` of a device."""

    @abstractmethod
    def property_names(self, device: str) -> tuple[str, ...]:
        """Return the names of a device's properties."""

    @abstractmethod
    def get_property(self, device: str, name: str) -> str:
        """Return a property's present value, as text."""

    @abstractmethod
    def set_property(self, device: str, name: str, value: str) -> None:
        """Set a property; read it back to learn what the device made of it."""

    @abstractmethod
    def allowed_values(self, device: str, name: str) -> tuple[str, ...]:
        """Return the values a property is restricted to, empty when it is not."""

    @abstractmethod
    def limits(self, device: str, name: str) -> tuple[float, float] | None:
        """Return a property's lower and upper limit, or None."""

    @abstractmethod
    def is_read_only(self, device: str, name: str) -> bool:
        """Return whether a property can never be set."""

    # --- camera settings
    @abstractmethod
    def get_exposure_ms(self) -> float:
        """Return the exposure, ms."""

    @abstractmethod
    def set_exposure_ms(self, value: float) -> None:
        """Set the exposure, ms; cameras round it."""

    @abstractmethod
    def get_roi(self, camera: str = "") -> Roi:
        """Return the region that is read out, of the current camera or of another one of the core."""

    @abstractmethod
    def set_roi(self, roi: Roi) -> None:
        """Set the region that is read out; cameras round it."""

    @abstractmethod
    def clear_roi(self) -> None:
        """Read out the whole sensor."""

    @abstractmethod
    def image_format(self) -> ImageFormat:
        """Return shape, dtype and bit depth of the next frame."""

    @abstractmethod
    def pixel_size_um(self) -> float:
        """Return the sample pixel size at the present magnification, um; 0.0 when unknown."""

    # --- images
    @abstractmethod
    def snap(self) -> Image:
        """Expose and return one frame, owned by the caller."""

    @abstractmethod
    def set_buffer_mb(self, megabytes: int) -> None:
        """Size the core's circular buffer; never during a sequence."""

    @abstractmethod
    def buffer_capacity(self) -> int:
        """Return how many frames of the present format the core's buffer holds."""

    @abstractmethod
    def start_sequence(self, frames: int) -> None:
        """Start a finite sequence (interval 0, stop on overflow); discards what the buffer held.

        ``SettingError`` unless `frames` is 1 to ``MAX_FRAMES``: what 0 means is up to the camera.
        """

    def has_started(self) -> bool:
        """Return whether the sequence that was started runs: one of several cameras waits for the others."""
        return True

    @abstractmethod
    def stop_sequence(self) -> None:
        """Stop the sequence; frames in the buffer stay poppable. Harmless when none runs.

        Some cameras need it after an overflow before they can start again.
        """

    @abstractmethod
    def is_sequence_running(self) -> bool:
        """Return whether more frames can come: False after an overflow. Ask this *before* ``remaining``."""

    @abstractmethod
    def remaining(self) -> int:
        """Return how many frames wait in the core's buffer."""

    @abstractmethod
    def is_overflowed(self) -> bool:
        """Return whether the sequence ended because the core's buffer was full."""

    @abstractmethod
    def pop(self) -> Frame | None:
        """Take the oldest frame from the core's buffer; None when there is none (even if ``remaining`` said so).

        ``CoreError`` when the frame does not have the format that its tags state: it is lost, the next pop goes on.
        """

    @abstractmethod
    def close(self) -> None:
        """Release the core; idempotent. A core that this adapter started is stopped."""
