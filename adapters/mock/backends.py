"""How the simulated core looks from Python through each of pycromanager's backends (docs/micromanager.md)."""

# ruff: noqa: D102 - `PythonBackend` documents the methods of both

from collections import Counter
from datetime import datetime, timedelta
from types import SimpleNamespace
from typing import Any

from ..core_adapter import Image
from .sequence import Entry

EMPTY = "Circular buffer is empty."
TOO_SMALL = "Failed to initialize circular buffer - memory requirements not adequate."
# The simulated clock counts from here, so that time stamps are as repeatable as pixels.
_EPOCH = datetime(2026, 1, 1)


class PythonBackend:
    """pymmcore with mmpycorex's names: NumPy in 2-D, tuples, RuntimeError, tags all text."""

    def failure(self, message: str) -> Exception:
        """Return the exception of a refused or failed call."""
        # The types that SWIG makes of MMCore's exceptions.
        return {EMPTY: IndexError, TOO_SMALL: MemoryError}.get(message, RuntimeError)(message)

    def wrong_arguments(self, signature: str, args: tuple[object, ...]) -> Exception:
        """Return the exception of a call with arguments of the wrong number or type."""
        return TypeError(f"Wrong number or type of arguments for {signature}: {_types_of(args)}")

    def number(self, value: float) -> float:
        """Return a floating-point result."""
        return float(value)

    def strings(self, values: tuple[str, ...]) -> tuple[str, ...]:
        """Return a string vector."""
        return values

    def roi(self, x: int, y: int, width: int, height: int) -> list[int]:
        """Return a region."""
        return [x, y, width, height]

    def pixels(self, image: Image) -> Image:
        """Return an image's pixels."""
        return image

    def tagged(self, image: Image, tags: dict[str, Any]) -> SimpleNamespace:
        """Return an image with its tags."""
        return SimpleNamespace(pix=image, tags=tags)


class JavaBackend:
    """pyjavaz over MMCoreJ: flat pixels, shadow objects, bare exceptions with a Java stack, whole floats as int.

    Parameters
    ----------
    transfers
        Counts each access to ``pix`` and ``tags``, which are transfers over the bridge.
    """

    def __init__(self, transfers: Counter[str]) -> None:
        self._transfers = transfers

    def failure(self, message: str) -> Exception:
        stack = "\n mmcorej.MMCoreJJNI.CMMCore_call(Native Method)\n mmcorej.CMMCore.call(CMMCore.java:1)"
        return Exception(f"java.lang.Exception: {message}{stack}")

    def wrong_arguments(self, signature: str, args: tuple[object, ...]) -> Exception:
        return Exception(f"Incorrect arguments. \nExpected {signature} \nGot {_types_of(args)}")

    def number(self, value: float) -> float:
        return int(value) if float(value).is_integer() else value

    def strings(self, values: tuple[str, ...]) -> "JavaStrings":
        return JavaStrings(values)

    def roi(self, x: int, y: int, width: int, height: int) -> "JavaRectangle":
        return JavaRectangle(x, y, width, height)

    def pixels(self, image: Image) -> Image:
        return image.reshape(-1)

    def tagged(self, image: Image, tags: dict[str, Any]) -> "JavaTaggedImage":
        return JavaTaggedImage(image, tags, self._transfers)


Backend = PythonBackend | JavaBackend
"""The look of one backend."""


class JavaStrings:
    """A ``mmcorej.StrVector``: neither a length nor an iterator."""

    __iter__ = None

    def __init__(self, values: tuple[str, ...]) -> None:
        self._values = values

    def size(self) -> int:
        """Return how many strings there are."""
        return len(self._values)

    def get(self, index: int) -> str:
        """Return one string."""
        return self._values[index]


class JavaRectangle:
    """A ``java.awt.Rectangle``."""

    def __init__(self, x: int, y: int, width: int, height: int) -> None:
        self.x, self.y, self.width, self.height = x, y, width, height


class JavaTaggedImage:
    """A ``mmcorej.TaggedImage``: each access to a field transfers it again."""

    def __init__(self, image: Image, tags: dict[str, Any], transfers: Counter[str]) -> None:
        self._image = image
        self._tags = tags
        self._transfers = transfers

    @property
    def pix(self) -> Image:
        """A new flat copy of the pixels."""
        self._transfers["pix"] += 1
        return self._image.flatten()

    @property
    def tags(self) -> dict[str, Any]:
        """A new copy of the tags."""
        self._transfers["tags"] += 1
        return dict(self._tags)


def core_tags(entry: Entry, camera: str, *, camera_counter: bool) -> dict[str, Any]:
    """Return the tags that the core and the DemoCamera give each frame of a sequence, all text, in the core's order."""
    form = entry.format
    tags: dict[str, Any] = {
        "Binning": str(form.binning),
        "Camera": camera,
        "ElapsedTime-ms": f"{entry.elapsed_s * 1e3:.2f}",
        "Height": str(form.height),
        "ImageNumber": str(entry.image_number),
        "PixelType": "GRAY8" if form.bytes_per_pixel == 1 else "GRAY16",
        "ROI-X-start": str(form.x),
        "ROI-Y-start": str(form.y),
        "TimeReceivedByCore": (_EPOCH + timedelta(seconds=entry.at_s)).isoformat(" ", "microseconds"),
        "Width": str(form.width),
    }
    if camera_counter:
        tags["PVCAM-FrameNr"] = str(entry.camera_frame_number)
    return tags


def java_tags(
    tags: dict[str, Any], *, bit_depth: int, pixel_size_um: float, system_state: tuple[tuple[str, str], ...]
) -> dict[str, Any]:
    """Return `tags` as MMCoreJ has them: a few numbers, and the system state cache as further text."""
    size = int(pixel_size_um) if float(pixel_size_um).is_integer() else pixel_size_um
    numbers = {"Width": int(tags["Width"]), "Height": int(tags["Height"]), "BitDepth": bit_depth, "PixelSizeUm": size}
    return tags | numbers | {f"{tags['Camera']}-{name}": value for name, value in system_state}


def _types_of(args: tuple[object, ...]) -> str:
    return ", ".join(str(type(arg)) for arg in args)
