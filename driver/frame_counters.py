"""Finding lost frames in the counters that come with each frame."""

from dataclasses import dataclass

from ..adapters import Frame


@dataclass(frozen=True, slots=True)
class Gap:
    """``count`` frames are missing before the frame just looked at, lost at ``stage``."""

    count: int
    stage: str


class GapDetector:
    """Compares each frame's counters with those of the frame before it."""

    def __init__(self) -> None:
        self.image_number = -1  # the core counts from 0 in each sequence
        self.camera_frame_number: int | None = None  # a camera's counter may start anywhere

    def missing_before(self, frame: Frame) -> list[Gap]:
        """Return what was lost between the frame before and this one.

        ``ImageNumber`` counts inserts into the core's buffer, so a jump is a loss in the core; a jump back is a
        buffer that was emptied unread, of which at least the frames before the new number are lost. What the camera's
        own counter misses beyond that was lost before the core.
        """
        missing = []
        in_core = self._core_step(frame.image_number)
        if in_core:
            missing.append(Gap(in_core, "core"))
        in_camera = self._camera_step(frame.camera_frame_number) - in_core
        if in_camera > 0:
            missing.append(Gap(in_camera, "camera"))
        return missing

    def _core_step(self, number: int) -> int:
        if number < 0:
            return 0
        expected, self.image_number = self.image_number + 1, number
        return number - expected if number >= expected else max(1, number)

    def _camera_step(self, number: int) -> int:
        if number < 0:
            return 0
        before, self.camera_frame_number = self.camera_frame_number, number
        return max(0, number - before - 1) if before is not None else 0
