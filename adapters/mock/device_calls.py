"""The simulated core's calls about devices, properties and the camera's settings."""

# ruff: noqa: D102 - these are the core's own methods: MMCore documents them

from collections.abc import Callable
from typing import Any

from .calls import FLOAT, INT, TEXT, VALUE, core_call
from .properties import PropertySpec, RefusedError
from .state import MockState


class DeviceCalls(MockState):
    """Devices, properties and settings."""

    # The core and its devices.

    @core_call()
    def get_version_info(self) -> str:
        return "MMCore version 12.5.1 (simulated)"

    @core_call()
    def get_loaded_devices(self) -> Any:
        return self.backend_look.strings((self._label, "Core") if self._label else ("Core",))

    @core_call()
    def get_camera_device(self) -> str:
        return self._label

    @core_call(TEXT)
    def get_device_library(self, label: str) -> str:
        self._device(label)
        return "MockCamera" if self._family is None else self._family.library

    @core_call(TEXT)
    def get_device_name(self, label: str) -> str:
        self._device(label)
        return "MockSCMOS" if self._family is None else self._family.device

    @core_call(TEXT)
    def get_device_description(self, label: str) -> str:
        self._device(label)
        return "Simulated sCMOS camera"

    @core_call(TEXT)
    def wait_for_device(self, label: str) -> None:
        self._device(label)

    @core_call()
    def unload_all_devices(self) -> None:
        if self._sequence_now().running:
            raise RefusedError("Cannot switch camera device while sequence acquisition is running")
        self._label = ""

    # Properties.

    @core_call(TEXT)
    def get_device_property_names(self, label: str) -> Any:
        self._device(label)
        return self.backend_look.strings(self.sensor.properties.names())

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
        sequence = self._sequence_now()
        self.sensor.set_property(name, text, running=sequence.running)
        sequence.change_period(self.sensor.period_s)

    @core_call(TEXT, TEXT)
    def get_allowed_property_values(self, label: str, name: str) -> Any:
        self._device(label)
        known = name in self.sensor.properties
        return self.backend_look.strings(self.sensor.properties.spec(name).allowed if known else ())

    @core_call(TEXT, TEXT)
    def has_property_limits(self, label: str, name: str) -> bool:
        return self._spec(label, name).limits is not None

    @core_call(TEXT, TEXT)
    def get_property_lower_limit(self, label: str, name: str) -> float:
        return self.backend_look.number((self._spec(label, name).limits or (0.0, 0.0))[0])

    @core_call(TEXT, TEXT)
    def get_property_upper_limit(self, label: str, name: str) -> float:
        return self.backend_look.number((self._spec(label, name).limits or (0.0, 0.0))[1])

    @core_call(TEXT, TEXT)
    def is_property_read_only(self, label: str, name: str) -> bool:
        return self._spec(label, name).read_only

    @core_call(TEXT, TEXT)
    def is_property_pre_init(self, label: str, name: str) -> bool:
        return self._spec(label, name).pre_init

    # Camera settings.

    @core_call()
    def get_exposure(self) -> float:
        return self.backend_look.number(self.sensor.exposure_ms)

    @core_call(FLOAT)
    def set_exposure(self, exposure_ms: float) -> None:
        self._require_camera()
        sequence = self._sequence_now()
        self.sensor.set_exposure_ms(exposure_ms)
        sequence.change_period(self.sensor.period_s)

    @core_call()
    def get_roi(self) -> Any:
        form = self.sensor.format
        return self.backend_look.roi(form.x, form.y, form.width, form.height)

    @core_call(INT, INT, INT, INT)
    def set_roi(self, x: int, y: int, width: int, height: int) -> None:
        self._require_camera()
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
        return self.backend_look.number(self._pixel_size_um)

    def _spec(self, label: str, name: str) -> PropertySpec:
        self._device(label)
        return self.sensor.properties.spec(name)

    def _change_region(self, change: Callable[[], None]) -> None:
        sequence = self._sequence_now()
        before = self.sensor.format
        change()
        sequence.clear()
        sequence.change_period(self.sensor.period_s)
        if self.sensor.format.frame_bytes != before.frame_bytes:
            sequence.end_at_next_frame()
