"""Micro-Manager's Multi Camera taken apart: the frames of its one sequence, each for the camera that made it."""

import threading
from collections import deque
from typing import Any, cast

from ..errors import CoreError, SettingError
from .core_adapter import CoreAdapter, Frame, owns_memory

_PHYSICAL = "Physical Camera "
_UNDEFINED = "Undefined"
_GREY_BYTES = 2
_AHEAD_BYTES = 64 << 20  # of frames that one camera may have waiting while the sequence runs; the core has the rest
_AHEAD_FRAMES = 4


def is_multi_camera(core: CoreAdapter, device: str) -> bool:
    """Return whether a device is the Multi Camera of Micro-Manager's Utilities."""
    about = core.device_info(device)
    return (about["library"], about["name"]) == ("Utilities", "Multi Camera")


def split_multi_camera(core: CoreAdapter) -> dict[str, CoreAdapter]:
    """Return the cameras of the core's Multi Camera by their labels, each as a core of its own.

    Such a core has the camera's label and properties, and of the frames only those with its label in their tag
    ``Camera``; exposure, region and buffer are those of all. The sequence starts when the last of them is started, and
    stops when the last of them is stopped. They are good for one sequence.

    Raises
    ------
    SettingError
        The Multi Camera has no cameras, or they differ in size or pixel type, or are not grey of 8 or 16 bits.
    """
    device = core.camera_label()
    values = [core.get_property(device, name) for name in core.property_names(device) if name.startswith(_PHYSICAL)]
    labels = [value for value in values if value and value != _UNDEFINED]
    if not labels:
        raise SettingError(f"{device} combines no cameras yet: set its properties '{_PHYSICAL}1', '{_PHYSICAL}2', ...")
    formats = {label: _format(core, label) for label in labels}
    if len(set(formats.values())) > 1:
        text = ", ".join(f"{label} has {frames}" for label, frames in formats.items())
        raise SettingError(
            f"{device} combines cameras whose frames differ, which its buffer cannot hold ({text}): give them the same "
            "region and PixelType, or each a core of its own"
        )
    if core.image_format().dtype.itemsize > _GREY_BYTES:
        raise SettingError(
            f"{device} does not say whether its pixels of 4 bytes are colours or floats, and is recorded with grey of "
            f"8 or 16 bits only: choose such a PixelType for {', '.join(labels)}, or give each a core of its own"
        )
    sequence = _SharedSequence(core, labels)
    return {label: cast("CoreAdapter", _OneOfSeveral(sequence, label)) for label in labels}


def _format(core: CoreAdapter, label: str) -> str:
    roi = core.get_roi(label)
    pixel_type = core.get_property(label, "PixelType") if "PixelType" in core.property_names(label) else ""
    return f"{roi.width}x{roi.height} {pixel_type}".rstrip()


class _SharedSequence:
    """One sequence of the core, from which several threads take frames, each those of its camera.

    A camera that is stopped gets what was made until then; the sequence itself stops with the last one.
    """

    def __init__(self, core: CoreAdapter, labels: list[str]) -> None:
        self.core = core
        self._queues: dict[str, deque[Frame]] = {label: deque() for label in labels}
        self._armed: set[str] = set()
        self._over: set[str] = set()
        self._started = False
        self._ahead = _AHEAD_FRAMES
        self._lock = threading.RLock()

    def start(self, label: str, frames: int) -> None:
        with self._lock:
            if len(self._armed | {label}) == len(self._queues) and not self._over:
                self._ahead = max(_AHEAD_FRAMES, _AHEAD_BYTES // self.core.image_format().frame_bytes)
                self.core.start_sequence(frames)
                self._started = True
            self._armed.add(label)

    def stop(self, label: str) -> None:
        with self._lock:
            if not self._started:
                self._over.add(label)
            elif len(self._over | {label}) == len(self._queues):
                self.core.stop_sequence()
            else:
                self._take_all()
                self._over.add(label)

    def has_started(self) -> bool:
        return self._started

    def is_running(self, label: str) -> bool:
        with self._lock:
            if label in self._over:
                return False
            if label in self._armed and not self._started:
                return not self._over  # it waits for the others
            return self.core.is_sequence_running()

    def remaining(self, label: str) -> int:
        """Return how many frames a camera has; while the sequence runs, those of the others in the core count too."""
        with self._lock:
            if not self._started:
                return 0
            if label in self._over:
                return len(self._queues[label])
            if not self.core.is_sequence_running():
                self._take_all()
            return len(self._queues[label]) + self.core.remaining()

    def pop(self, label: str) -> Frame | None:
        with self._lock:
            own = self._queues[label]
            while not own:
                if not self._started or label in self._over:
                    return None
                if self._is_far_ahead() and self.core.is_sequence_running():
                    return None
                frame = self.core.pop()
                if frame is None:
                    return None
                self._sort(frame)
            return own.popleft()

    def _take_all(self) -> None:
        """Take what the core has; its buffer's size is the limit."""
        while (frame := self.core.pop()) is not None:
            self._sort(frame)

    def _is_far_ahead(self) -> bool:
        """Return whether one camera's frames are not taken fast enough: then the core's buffer holds all of them."""
        return any(len(queue) >= self._ahead for label, queue in self._queues.items() if label not in self._over)

    def _sort(self, frame: Frame) -> None:
        label = str(frame.tags.get("Camera", ""))
        if label not in self._queues:
            raise CoreError(
                f"a frame has {label!r} in its tag Camera, but {self.core.camera_label()} combines "
                f"{', '.join(self._queues)}: it cannot be said whose frame it is, and it is lost. Give each camera a "
                "core of its own"
            )
        if label in self._over:  # made after its camera was stopped
            return
        if not owns_memory(frame.pixels):  # the core may use it again for the next frame
            frame = frame._replace(pixels=frame.pixels.copy())
        self._queues[label].append(frame)


class _OneOfSeveral:
    """One camera of a Multi Camera as a `CoreAdapter`: what is not its own it has from the common core."""

    def __init__(self, sequence: _SharedSequence, label: str) -> None:
        self._sequence = sequence
        self._label = label

    def __getattr__(self, name: str) -> Any:
        return getattr(self._sequence.core, name)

    def camera_label(self) -> str:
        return self._label

    def start_sequence(self, frames: int) -> None:
        self._sequence.start(self._label, frames)

    def has_started(self) -> bool:
        return self._sequence.has_started()

    def stop_sequence(self) -> None:
        self._sequence.stop(self._label)

    def is_sequence_running(self) -> bool:
        return self._sequence.is_running(self._label)

    def remaining(self) -> int:
        return self._sequence.remaining(self._label)

    def pop(self) -> Frame | None:
        return self._sequence.pop(self._label)

    def close(self) -> None:
        """Do nothing: the common core is the caller's."""


CoreAdapter.register(_OneOfSeveral)
