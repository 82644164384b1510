"""What every format's writer is given."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from ..calibration import Calibration
from ..persistence import Recording
from ..selection import ProgressCallback, Window
from .layout import Layout


@dataclass(frozen=True, kw_only=True)
class Job:
    """Images to write, and what is known of them.

    Attributes
    ----------
    recording, window, calibration
        Where they come from, which part, and its scales.
    layout
        Which frame is which plane, where it is known; for the formats that have channels, z and positions.
    images
        Yields them in order, each ``(Y, X)`` or ``(Y, X, 3)``; may be used once.
    compress
        Whether to compress.
    progress
        Called with images written and images in all.
    """

    recording: Recording
    layout: Layout | None
    window: Window
    calibration: Calibration
    images: Iterator[npt.NDArray[Any]]
    compress: bool
    progress: ProgressCallback

    def counted(self) -> Iterator[npt.NDArray[Any]]:
        """Yield the images, C-contiguous, and report each."""
        total = self.window.shape[0]
        for done, image in enumerate(self.images, 1):
            yield np.ascontiguousarray(image)
            self.progress(done, total)

    def planes_of(self, layout: Layout, position: int) -> Iterator[npt.NDArray[Any]]:
        """Yield the planes of a position in the order T, C, Z, cropped and binned, and report each."""
        of_one = layout.frames[0].size
        missing = np.zeros(self.window.shape[1:], self.window.dtype)
        for done, frame in enumerate(layout.order(position), 1):
            image = missing if frame < 0 else self.window.load(self.recording, range(frame, frame + 1))[0]
            yield np.ascontiguousarray(image)
            self.progress(position * of_one + done, layout.frames.size)

    def plane_times_s(self, frames: npt.ArrayLike) -> npt.NDArray[np.float64]:
        """Return the times of planes, NaN where a frame is missing."""
        places = np.asarray(frames)
        return np.where(places >= 0, self.calibration.times_s[places], np.nan)

    @property
    def times_s(self) -> npt.NDArray[np.float64]:
        """The time of each image: that of the first frame it is made of."""
        return self.calibration.times_s[self.window.first_frames]

    @property
    def interval_s(self) -> float | None:
        """The median interval of two images."""
        interval = self.calibration.frame_interval_s
        return None if interval is None else interval * self.window.frames.step * self.window.group_frames

    @property
    def pixel_um(self) -> tuple[float, float] | None:
        """The size of an image's pixel ``(y, x)``, um."""
        pixel = self.calibration.pixel_um
        side = self.window.selection.bin
        return None if pixel is None else (pixel[0] * side, pixel[1] * side)

    def facts(self) -> dict[str, str]:
        """Return what is known beyond the scales, by name: source, what was lost, and the camera's settings."""
        recording, window = self.recording, self.window
        selection, crop = window.selection, window.crop
        camera = recording.metadata["detector"].get("camera", {})
        known = {
            "source": recording.path.name,
            "state": recording.state,
            "frames": f"{window.frames.start}:{window.frames.stop}:{window.frames.step}",
            "crop": f"{crop.x},{crop.y},{crop.width},{crop.height}",
            "bin": f"{selection.bin} ({selection.bin_method})",
            "projection": selection.projection or "none",
            "frames a projection": str(window.group_frames),
            "frames lost": str(recording.frames_lost),
            "losses": ", ".join(f"{loss.count} before {loss.before_frame}" for loss in recording.losses),
            "camera": self.calibration.camera,
        }
        known |= {f"property {name}": str(value) for name, value in camera.get("properties", {}).items()}
        known |= {str(name): str(value) for name, value in recording.metadata["metadata"].items()}
        if self.layout is not None:
            known["missing planes"] = self.layout.missing
        return {name: value for name, value in known.items() if value}
