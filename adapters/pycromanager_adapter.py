"""A core of pycromanager as a `CoreAdapter`: what both backends share, and the one in this process."""

import threading
from abc import abstractmethod
from collections.abc import Callable, Mapping
from typing import Any, Literal

import numpy as np

from ..errors import CoreError, SettingError
from .colour import CHANNELS, COMPONENTS_IN_CORE, view_channels
from .core_adapter import MAX_BUFFERED_FRAMES, MAX_FRAMES, CoreAdapter, Frame, Image, ImageFormat, Roi
from .tags import read_counters

_BYTES_PER_MB = 2**20

# Dtype of a pixel, or of a channel, and number of channels. GRAY32 is floating point, which pymmcore does not report.
_PIXELS_OF_TAG: dict[str, tuple[np.dtype[Any], int]] = {
    "GRAY8": (np.dtype(np.uint8), 1),
    "GRAY16": (np.dtype(np.uint16), 1),
    "GRAY32": (np.dtype(np.float32), 1),
    "RGB32": (np.dtype(np.uint8), CHANNELS),
    "RGB64": (np.dtype(np.uint16), CHANNELS),
}
_PIXELS_OF_FORMAT: dict[tuple[int, int], tuple[np.dtype[Any], int]] = {
    (1, 1): _PIXELS_OF_TAG["GRAY8"],
    (2, 1): _PIXELS_OF_TAG["GRAY16"],
    (4, 1): _PIXELS_OF_TAG["GRAY32"],
    (4, COMPONENTS_IN_CORE): _PIXELS_OF_TAG["RGB32"],
    (8, COMPONENTS_IN_CORE): _PIXELS_OF_TAG["RGB64"],
}


class _ClosedCore:
    def __getattr__(self, name: str) -> Any:
        raise CoreError("this core was closed before; connect again")


_CLOSED = _ClosedCore()


class PycromanagerAdapter(CoreAdapter):
    """What both of pycromanager's backends share; `CoreAdapter` documents the methods.

    Every call holds one lock, so a script may use the camera while another thread pops. The lock is re-entrant: a
    signal handler that stops the sequence must not wait for the call it interrupted.

    Parameters
    ----------
    core
        A core with pycromanager's snake_case names.
    release
        Called once by `close`, for a core that this process started.
    """

    def __init__(self, core: Any, release: Callable[[], None] | None = None) -> None:
        self._core = core
        self._release = release
        self._lock = threading.RLock()

    @staticmethod
    @abstractmethod
    def _unpack_strings(vector: Any) -> tuple[str, ...]: ...

    @staticmethod
    @abstractmethod
    def _unpack_roi(roi: Any) -> Roi: ...

    def _call(self, name: str, *args: str | float | bool, unpack: Callable[[Any], Any] | None = None) -> Any:
        """Call the core; `unpack` reads a returned object under the same lock, since on Java that is a call as well."""
        try:
            with self._lock:
                value = self._returned(getattr(self._core, name)(*args))
                return value if unpack is None else unpack(value)
        except Exception as exc:
            raise core_failure(name, args, exc) from exc

    def _returned(self, value: Any) -> Any:
        """Return what the core returned; raise it where it is an error."""
        return value

    def version(self) -> str:
        return str(self._call("get_version_info"))

    def camera_label(self) -> str:
        label = str(self._call("get_camera_device"))
        if not label:
            raise CoreError(
                "the core has no camera: load a configuration that names one, or choose one with set_camera_device"
            )
        return label

    def device_info(self, device: str) -> dict[str, str]:
        return {
            "library": str(self._call("get_device_library", device)),
            "name": str(self._call("get_device_name", device)),
            "description": str(self._call("get_device_description", device)),
        }

    def property_names(self, device: str) -> tuple[str, ...]:
        names: tuple[str, ...] = self._call("get_device_property_names", device, unpack=self._unpack_strings)
        return names

    def get_property(self, device: str, name: str) -> str:
        return str(self._call("get_property", device, name))

    def set_property(self, device: str, name: str, value: str) -> None:
        self._call("set_property", device, name, str(value))

    def allowed_values(self, device: str, name: str) -> tuple[str, ...]:
        values: tuple[str, ...] = self._call("get_allowed_property_values", device, name, unpack=self._unpack_strings)
        return values

    def limits(self, device: str, name: str) -> tuple[float, float] | None:
        if not self._call("has_property_limits", device, name):
            return None
        lower = float(self._call("get_property_lower_limit", device, name))
        return lower, float(self._call("get_property_upper_limit", device, name))

    def is_read_only(self, device: str, name: str) -> bool:
        return bool(self._call("is_property_read_only", device, name))

    def get_exposure_ms(self) -> float:
        return float(self._call("get_exposure"))

    def set_exposure_ms(self, value: float) -> None:
        self._call("set_exposure", float(value))

    def get_roi(self, camera: str = "") -> Roi:
        roi: Roi = self._call("get_roi", *((camera,) if camera else ()), unpack=self._unpack_roi)
        return roi

    def set_roi(self, roi: Roi) -> None:
        self._call("set_roi", int(roi.x), int(roi.y), int(roi.width), int(roi.height))

    def clear_roi(self) -> None:
        self._call("clear_roi")

    def image_format(self) -> ImageFormat:
        layout = int(self._call("get_bytes_per_pixel")), int(self._call("get_number_of_components"))
        pixels = _PIXELS_OF_FORMAT.get(layout)
        if pixels is None:
            raise CoreError(
                f"the camera's pixels have {layout[0]} bytes and {layout[1]} components, which mmspool does not know; "
                "expected 1, 2 or 4 bytes of 1 component, or 4 or 8 bytes of 4: choose another PixelType"
            )
        height, width = int(self._call("get_image_height")), int(self._call("get_image_width"))
        dtype, channels = pixels
        bit_depth = int(self._call("get_image_bit_depth"))
        if channels > 1:  # some cameras count the bits of all channels
            bit_depth = min(bit_depth, 8 * dtype.itemsize)
        return ImageFormat(height, width, dtype, bit_depth, channels)

    def pixel_size_um(self) -> float:
        return float(self._call("get_pixel_size_um"))

    def snap(self) -> Image:
        self._call("snap_image")
        pixels = self._call("get_image")
        form = self.image_format()
        image = _image(pixels, form.height, form.width, form.dtype, form.channels)
        return np.ascontiguousarray(image)

    def set_buffer_mb(self, megabytes: int) -> None:
        self._call("set_circular_buffer_memory_footprint", int(megabytes))

    def buffer_capacity(self) -> int:
        # The core's own figure stays that of the last sequence until the next one starts.
        form = self.image_format()
        if not form.core_bytes:
            raise CoreError(f"the camera's frames have no pixels ({form.height} x {form.width}): set the region again")
        buffer_bytes = int(self._call("get_circular_buffer_memory_footprint")) * _BYTES_PER_MB
        return min(buffer_bytes // form.core_bytes, MAX_BUFFERED_FRAMES)

    @staticmethod
    def _check_frames(frames: int) -> None:
        if not 1 <= frames <= MAX_FRAMES:
            raise SettingError(f"a sequence of {frames} frames was asked for; expected 1 to {MAX_FRAMES}")

    def start_sequence(self, frames: int) -> None:
        self._check_frames(frames)
        self._call("start_sequence_acquisition", int(frames), 0.0, True)

    def stop_sequence(self) -> None:
        try:
            self._call("stop_sequence_acquisition")
        except CoreError:
            # Stopped, some cameras report the overflow that ended their sequence: `is_overflowed` reports that.
            if self.is_sequence_running() or not self.is_overflowed():
                raise

    def is_sequence_running(self) -> bool:
        # After an overflow the core takes no frame until the next start, but some cameras say that they run on.
        return bool(self._call("is_sequence_running")) and not self.is_overflowed()

    def remaining(self) -> int:
        return int(self._call("get_remaining_image_count"))

    def is_overflowed(self) -> bool:
        return bool(self._call("is_buffer_overflowed"))

    def pop(self) -> Frame | None:
        popped = self._pop_tagged()
        if popped is None:
            return None
        pixels, tags = popped
        return Frame(_popped_image(pixels, tags), *read_counters(tags), tags)

    def _pop_tagged(self) -> tuple[Image, Mapping[str, Any]] | None:
        """Take the oldest frame, as the core gives it, and its tags."""
        try:
            with self._lock:
                tagged = self._returned(self._core.pop_next_tagged_image())
                # Read once: on Java every access is a new transfer.
                return tagged.pix, tagged.tags
        except Exception as exc:
            if isinstance(exc, IndexError) or "buffer is empty" in str(exc):
                return None
            raise core_failure("pop_next_tagged_image", (), exc) from exc

    def close(self) -> None:
        with self._lock:
            self._core = _CLOSED
            release, self._release = self._release, None
        if release is None:
            return
        try:
            release()
        except Exception as exc:
            raise CoreError(
                f"the core could not be shut down: {exc}; end this process before using the camera"
            ) from exc


class PymmcoreAdapter(PycromanagerAdapter):
    """A core in this process (pycromanager's Python backend, pymmcore) as a `CoreAdapter`."""

    backend: Literal["python", "java"] = "python"

    @staticmethod
    def _unpack_strings(vector: Any) -> tuple[str, ...]:
        return tuple(str(item) for item in vector)

    @staticmethod
    def _unpack_roi(roi: Any) -> Roi:
        x, y, width, height = roi
        return Roi(int(x), int(y), int(width), int(height))


def core_failure(name: str, args: tuple[object, ...], exc: Exception) -> CoreError:
    """Return the error of a call of the core that raised ``exc``."""
    # A Java message carries the whole stack below its first line; the cause keeps it.
    reason = (str(exc).strip() or type(exc).__name__).splitlines()[0]
    return CoreError(f"core.{name}({', '.join(map(repr, args))}) failed: {reason}")


def _popped_image(pixels: Image, tags: Mapping[str, Any]) -> Image:
    try:
        height, width, (dtype, channels) = int(tags["Height"]), int(tags["Width"]), _PIXELS_OF_TAG[tags["PixelType"]]
    except (KeyError, ValueError) as exc:
        raise CoreError(
            "a popped frame has no format tags: expected the tags Height, Width and PixelType "
            f"({', '.join(_PIXELS_OF_TAG)}), got "
            f"{tags.get('Height')!r}, {tags.get('Width')!r} and {tags.get('PixelType')!r}; the frame is lost"
        ) from exc
    return _image(pixels, height, width, dtype, channels)


def _image(pixels: Image, height: int, width: int, dtype: np.dtype[Any], channels: int) -> Image:
    """Give a frame as the core returns it, flat or 2-D, its shape and dtype, without a copy."""
    # A pop reads the buffer with the camera's present settings: changed since, the pixels are scrambled.
    frame_bytes = height * width * dtype.itemsize * (1 if channels == 1 else COMPONENTS_IN_CORE)
    if pixels.nbytes != frame_bytes or (pixels.ndim == 2 and pixels.shape != (height, width)):
        raise CoreError(
            f"a frame arrived as {pixels.dtype} of shape {pixels.shape}, where the core says {height} x {width} of "
            f"{dtype}: the camera's settings were changed between exposing and reading it, and the frame is lost: "
            "change them between recordings"
        )
    if channels > 1:
        return view_channels(pixels, height, width, dtype)
    if pixels.dtype != dtype:
        pixels = pixels.view(dtype)
    return pixels if pixels.ndim == 2 else pixels.reshape(height, width)
