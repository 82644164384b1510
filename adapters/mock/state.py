"""What a simulated core consists of: a backend's look, a sensor, a sequence, and the time."""

import threading
from collections import Counter
from typing import Literal

from ..core_adapter import Image
from .backends import Backend, JavaBackend, PythonBackend
from .calls import core_methods
from .camera import MockSensor
from .clock import Clock, RealClock
from .families import FAMILIES
from .faults import Faults
from .properties import RefusedError
from .sequence import MockSequence


class MockState:
    """The parts of a `MockCore`, which documents the parameters, and what all its calls need."""

    def __init__(
        self,
        backend: Literal["python", "java"] = "python",
        *,
        seed: int = 0,
        width: int = 2048,
        height: int = 2048,
        clock: Clock | None = None,
        faults: Faults | None = None,
        camera_counter: bool = False,
        line_time_us: float = 9.744,
        roi_step: int = 1,
        pixel_size_um: float = 0.1625,
        label: str = "Camera",
        family: str | None = None,
    ) -> None:
        if backend not in ("python", "java"):
            raise ValueError(f"backend is {backend!r}; expected 'python' or 'java'")
        sizes = {"width": width, "height": height, "line_time_us": line_time_us, "roi_step": roi_step}
        for name, value in sizes.items():
            if not value > 0:
                raise ValueError(f"{name} is {value}; expected more than 0")
        self.backend = backend
        self.calls: Counter[str] = Counter()
        self.transfers: Counter[str] = Counter()
        self.backend_look: Backend = JavaBackend(self.transfers) if backend == "java" else PythonBackend()
        self.faults = faults or Faults()
        methods = core_methods(type(self))
        if unknown := set(self.faults.errors).difference(methods):
            raise ValueError(f"Faults.errors names {sorted(unknown)}; expected methods of the core: {methods}")
        self._clock = RealClock() if clock is None else clock
        self._camera_counter = camera_counter
        self._pixel_size_um = pixel_size_um
        self._label = label
        if family is not None and family not in FAMILIES:
            raise ValueError(f"family is {family!r}; expected one of {', '.join(FAMILIES)}, or None")
        self._family = None if family is None else FAMILIES[family]
        self.sensor = MockSensor(
            width=width,
            height=height,
            seed=seed,
            line_time_us=line_time_us,
            roi_step=roi_step,
            family=self._family,
        )
        self.sequence = MockSequence(self.faults, self.sensor.format)
        self._buffer_mb = 250
        self._snaps = 0
        self._snapped: Image | None = None
        self._system_state = True
        self.triggered = threading.Event()

    def _sequence_now(self) -> MockSequence:
        """Return the sequence as it is by now."""
        self.sequence.advance(self._clock())
        return self.sequence

    def _require_camera(self) -> None:
        """Refuse the call when the camera is unloaded."""
        if not self._label:
            raise RefusedError("Camera not loaded or initialized.")

    def _device(self, label: str) -> None:
        if not label or label != self._label:
            raise RefusedError(f'No device with label "{label}"')
