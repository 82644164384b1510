"""The settings half of the simulated core: devices, properties, exposure and region."""

# ruff: noqa: D102 - these are the core's own methods: MMCore documents them

import functools
import time
from collections import Counter
from collections.abc import Callable
from typing import Any, Concatenate, Literal, ParamSpec, TypeVar

from ..core_adapter import Image
from .backends import BOOL, FLOAT, INT, TEXT, VALUE, Flavour, JavaFlavour, PythonFlavour
from .camera import MockSensor
from .faults import Faults, SteppedClock
from .properties import PropertySpec, RefusedError
from .sequence import MockSequence

_P = ParamSpec("_P")
_R = TypeVar("_R")
_S = TypeVar("_S", bound="MockSettings")
METHODS: set[str] = set()
"""The names of the core's methods that a fault can be scripted for."""


def core_call(
    *types: tuple[type, ...], optional: int = 0
) -> Callable[[Callable[Concatenate[_S, _P], _R]], Callable[Concatenate[_S, _P], _R]]:
    """Make a method behave as a bridge's: positional arguments of plain types, failures in the flavour's exceptions."""

    def decorate(function: Callable[Concatenate[_S, _P], _R]) -> Callable[Concatenate[_S, _P], _R]:
        name = function.__name__.lstrip("_")
        METHODS.add(name)
        signature = f"{name}({', '.join(kinds[0].__name__ for kinds in types)})"

        @functools.wraps(function)
        def method(self: _S, /, *args: Any) -> _R:
            if not len(types) - optional <= len(args) <= len(types) or not all(map(isinstance, args, types)):
                raise self.flavoured.wrong_arguments(signature, args)
            self.calls[name] += 1
            fault = self.faults.errors.get(name)
            if fault and self.calls[name] in fault:
                raise self.flavoured.failure(fault[self.calls[name]])
            try:
                return function(self, *args)  # type: ignore[call-arg]
            except RefusedError as exc:
                raise self.flavoured.failure(str(exc)) from None

        return method  # type: ignore[return-value]

    return decorate


class MockSettings:
    """What the simulated core knows of its devices; `MockCore` documents the parameters."""

    def __init__(
        self,
        flavour: Literal["python", "java"] = "python",
        *,
        seed: int = 0,
        width: int = 2048,
        height: int = 2048,
        clock: Callable[[], float] = time.monotonic,
        faults: Faults | None = None,
        camera_counter: bool = False,
        line_time_us: float = 9.744,
        roi_step: int = 1,
        pixel_size_um: float = 0.1625,
        label: str = "Camera",
    ) -> None:
        if flavour not in ("python", "java"):
            raise ValueError(f"flavour is {flavour!r}; expected 'python' or 'java'")
        for name, value in (
            ("width", width),
            ("height", height),
            ("line_time_us", line_time_us),
            ("roi_step", roi_step),
        ):
            if not value > 0:
                raise ValueError(f"{name} is {value}; expected more than 0")
        self.flavour = flavour
        self.calls: Counter[str] = Counter()
        self.transfers: Counter[str] = Counter()
        self.flavoured: Flavour = JavaFlavour(self.transfers) if flavour == "java" else PythonFlavour()
        self.faults = faults or Faults()
        unknown = set(self.faults.errors) - METHODS
        if unknown:
            raise ValueError(f"Faults.errors names {sorted(unknown)}; expected methods of the core: {sorted(METHODS)}")
        self._clock = clock
        self._tick: Callable[[], None] = clock.tick if isinstance(clock, SteppedClock) else _no_tick
        self._pass_time: Callable[[float], None] = clock.advance if isinstance(clock, SteppedClock) else time.sleep
        self._camera_counter = camera_counter
        self._pixel_size_um = pixel_size_um
        self._label = label
        self.sensor = MockSensor(width=width, height=height, seed=seed, line_time_us=line_time_us, roi_step=roi_step)
        self.sequence = MockSequence(self.faults, self.sensor.format)
        self._buffer_mb = 250
        self._snaps = 0
        self._snapped: Image | None = None
        self._system_state = True
        if flavour == "java":
            # The name must not exist on the other flavour.
            self.set_include_system_state_cache = self._set_include_system_state_cache

    # The core and its devices.

    @core_call()
    def get_version_info(self) -> str:
        return "MMCore version 12.5.1 (simulated)"

    @core_call()
    def get_api_version_info(self) -> str:
        return "Device API version 75, Module API version 10"

    @core_call()
    def get_loaded_devices(self) -> Any:
        return self.flavoured.strings((self._label, "Core") if self._label else ("Core",))

    @core_call()
    def get_camera_device(self) -> str:
        return self._label

    @core_call(TEXT)
    def get_device_library(self, label: str) -> str:
        self._device(label)
        return "MockCamera"

    @core_call(TEXT)
    def get_device_name(self, label: str) -> str:
        self._device(label)
        return "MockSCMOS"

    @core_call(TEXT)
    def get_device_description(self, label: str) -> str:
        self._device(label)
        return "Simulated sCMOS camera"

    @core_call(TEXT)
    def wait_for_device(self, label: str) -> None:
        self._device(label)

    @core_call()
    def unload_all_devices(self) -> None:
        if self.advanced().running:
            raise RefusedError("Cannot switch camera device while sequence acquisition is running")
        self._label = ""

    @core_call(BOOL)
    def _set_include_system_state_cache(self, state: bool) -> None:
        self._system_state = state

    # Properties.

    @core_call(TEXT)
    def get_device_property_names(self, label: str) -> Any:
        self._device(label)
        return self.flavoured.strings(self.sensor.properties.names())

    @core_call(TEXT, TEXT)
    def has_property(self, label: str, name: str) -> bool:
        self._device(label)
        return name in self.sensor.properties

    @core_call(TEXT, TEXT)
    def get_property(self, label: str, name: str) -> str:
        self._device(label)
        return self.sensor.properties.get(name)

    @core_call(TEXT, TEXT, VALUE)
    def set_property(self, label: str, name: str, value: str | float | bool) -> None:
        self._device(label)
        text = str(int(value)) if isinstance(value, bool) else str(value)
        sequence = self.advanced()
        self.sensor.set_property(name, text, running=sequence.running)
        sequence.retime(self.sensor.period_s)

    @core_call(TEXT, TEXT)
    def get_allowed_property_values(self, label: str, name: str) -> Any:
        self._device(label)
        known = name in self.sensor.properties
        return self.flavoured.strings(self.sensor.properties.spec(name).allowed if known else ())

    @core_call(TEXT, TEXT)
    def has_property_limits(self, label: str, name: str) -> bool:
        return self._spec(label, name).limits is not None

    @core_call(TEXT, TEXT)
    def get_property_lower_limit(self, label: str, name: str) -> float:
        return self.flavoured.number((self._spec(label, name).limits or (0.0, 0.0))[0])

    @core_call(TEXT, TEXT)
    def get_property_upper_limit(self, label: str, name: str) -> float:
        return self.flavoured.number((self._spec(label, name).limits or (0.0, 0.0))[1])

    @core_call(TEXT, TEXT)
    def is_property_read_only(self, label: str, name: str) -> bool:
        return self._spec(label, name).read_only

    @core_call(TEXT, TEXT)
    def is_property_pre_init(self, label: str, name: str) -> bool:
        return self._spec(label, name).pre_init

    # Camera settings.

    @core_call()
    def get_exposure(self) -> float:
        return self.flavoured.number(self.sensor.exposure_ms)

    @core_call(FLOAT)
    def set_exposure(self, exposure_ms: float) -> None:
        self.require_camera()
        sequence = self.advanced()
        self.sensor.set_exposure_ms(exposure_ms)
        sequence.retime(self.sensor.period_s)

    @core_call()
    def get_roi(self) -> Any:
        form = self.sensor.format
        return self.flavoured.roi(form.x, form.y, form.width, form.height)

    @core_call(INT, INT, INT, INT)
    def set_roi(self, x: int, y: int, width: int, height: int) -> None:
        self.require_camera()
        self._change_region(lambda: self.sensor.set_roi(x, y, width, height))

    @core_call()
    def clear_roi(self) -> None:
        self._change_region(self.sensor.clear_roi)

    @core_call()
    def get_image_width(self) -> int:
        return self.sensor.format.width

    @core_call()
    def get_image_height(self) -> int:
        return self.sensor.format.height

    @core_call()
    def get_image_bit_depth(self) -> int:
        return self.sensor.format.bit_depth

    @core_call()
    def get_bytes_per_pixel(self) -> int:
        return self.sensor.format.bytes_per_pixel

    @core_call()
    def get_number_of_components(self) -> int:
        return 1

    @core_call()
    def get_pixel_size_um(self) -> float:
        return self.flavoured.number(self._pixel_size_um)

    def advanced(self) -> MockSequence:
        """Return the sequence as it is by now."""
        self.sequence.advance(self._clock())
        return self.sequence

    def require_camera(self) -> None:
        """Refuse the call when the camera is unloaded."""
        if not self._label:
            raise RefusedError("Camera not loaded or initialized.")

    def _device(self, label: str) -> None:
        if not label or label != self._label:
            raise RefusedError(f'No device with label "{label}"')

    def _spec(self, label: str, name: str) -> PropertySpec:
        self._device(label)
        return self.sensor.properties.spec(name)

    def _change_region(self, change: Callable[[], None]) -> None:
        sequence = self.advanced()
        before = self.sensor.format
        change()
        sequence.clear()
        sequence.retime(self.sensor.period_s)
        if self.sensor.format.frame_bytes != before.frame_bytes:
            sequence.doom()


def _no_tick() -> None:
    pass
