"""A simulated Micro-Manager core with one sCMOS camera, behind the core's own API as pycromanager shows it."""

# ruff: noqa: D102 - these are the core's own methods: MMCore documents them

from collections import Counter
from collections.abc import Callable
from typing import Any, Literal, Self, TypedDict

from ..core_adapter import MAX_BUFFERED_FRAMES, Image
from .backends import EMPTY, TOO_SMALL, Backend, JavaBackend, PythonBackend, core_tags, java_tags
from .calls import BOOL, FLOAT, INT, TEXT, VALUE, core_call, core_methods
from .camera import MockSensor
from .clock import Clock, RealClock
from .families import FAMILIES
from .faults import Faults
from .properties import PropertySpec, RefusedError
from .sequence import Entry, MockSequence

_BYTES_PER_MB = 2**20
_RUNNING = "This operation can not be executed while sequence acquisition is running."


class MockKeywords(TypedDict, total=False):
    """The options of `MockCore`, which describes them."""

    backend: Literal["python", "java"]
    seed: int
    width: int
    height: int
    clock: Clock | None
    faults: Faults | None
    camera_counter: bool
    line_time_us: float
    roi_step: int
    pixel_size_um: float
    label: str
    family: str | None


class MockCore:
    """A simulated core that looks like ``pycromanager.Core()`` of either backend; it needs no Micro-Manager.

    It has no thread: what the camera did since is worked out from the clock on each call, and pixels are made when a
    frame is read. It does what the real core with the DemoCamera does, refusals and losses included (the contract tests
    hold it to that), but is stricter in two things: a region beyond the sensor is refused, and a footprint set during a
    sequence always ends it, where the real sequence survives more often than not.

    Parameters
    ----------
    backend
        The backend to look like.
    seed
        Makes hot pixels and noise; equal seeds and settings give equal frames.
    width, height
        Size of the sensor, pixels.
    clock
        The time; by default the real one. `SteppedClock` for tests without real time.
    faults
        What goes wrong.
    camera_counter
        Whether frames carry the camera's own counter, as the tag ``PVCAM-FrameNr``.
    line_time_us
        Time to read one row in the fast scan mode, us.
    roi_step
        Regions are rounded down to multiples of this many pixels.
    pixel_size_um
        Sample pixel size, um.
    label
        The camera's device label.
    family
        Whose camera to look like: its properties, tags and refusals. "andor_sdk3", "hamamatsu", "pco", "pvcam" or
        "tucam"; None for a camera of its own kind.

    Attributes
    ----------
    calls
        How often each method was called.
    transfers
        How often ``pix`` and ``tags`` of a tagged image crossed the bridge; Java backend only.
    """

    def __new__(cls, backend: Literal["python", "java"] = "python", **_options: Any) -> Self:
        # The backends differ in their methods too.
        return object.__new__(JavaMockCore if cls is MockCore and backend == "java" else cls)  # type: ignore[return-value]

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
        for name, value in (
            ("width", width),
            ("height", height),
            ("line_time_us", line_time_us),
            ("roi_step", roi_step),
        ):
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

    # The core and its devices.

    @core_call()
    def get_version_info(self) -> str:
        return "MMCore version 12.5.1 (simulated)"

    @core_call()
    def get_api_version_info(self) -> str:
        return "Device API version 75, Module API version 10"

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

    # Images.

    @core_call()
    def snap_image(self) -> None:
        self._require_camera()
        if self._sequence_now().running:
            raise RefusedError(_RUNNING)
        self._clock.advance(self.sensor.delay_s)
        self._snapped = self.sensor.render(self._snaps)
        self._snaps += 1

    @core_call()
    def get_image(self) -> Image:
        return self.backend_look.pixels(self._last_snap().copy())

    @core_call(INT, TEXT, INT, INT, optional=4)
    def get_tagged_image(self, *args: Any) -> Any:
        if bool(args) == (self.backend == "java"):
            raise self.backend_look.wrong_arguments("get_tagged_image", args)
        image = self._last_snap().copy()
        height, width = image.shape
        tags: dict[str, Any] = {"Camera": self._label, "Height": height, "Width": width, "PixelType": None}
        return self.backend_look.tagged(image, tags | {"CameraChannelIndex": 0})

    @core_call()
    def get_last_image(self) -> Image:
        return self.backend_look.pixels(self._render(self._last()))

    # The circular buffer.

    @core_call(INT)
    def set_circular_buffer_memory_footprint(self, megabytes: int) -> None:
        sequence = self._sequence_now()
        sequence.running = False
        sequence.clear()
        self._buffer_mb = megabytes
        self._size_buffer()

    @core_call()
    def get_circular_buffer_memory_footprint(self) -> int:
        return self._buffer_mb

    @core_call()
    def get_buffer_total_capacity(self) -> int:
        return self.sequence.capacity

    @core_call()
    def get_buffer_free_capacity(self) -> int:
        return self.sequence.capacity - len(self._sequence_now().entries)

    @core_call()
    def clear_circular_buffer(self) -> None:
        self._sequence_now().clear()

    @core_call()
    def initialize_circular_buffer(self) -> None:
        self._sequence_now().clear()
        self._size_buffer()

    # Sequences.

    @core_call(INT, FLOAT, BOOL)
    def start_sequence_acquisition(self, frames: int, _interval_ms: float, stop_on_overflow: bool) -> None:
        # Asked for none, the DemoCamera makes one; other cameras have other ideas.
        self._start(max(frames, 1), stop_on_overflow=stop_on_overflow)

    @core_call(FLOAT)
    def start_continuous_sequence_acquisition(self, _interval_ms: float) -> None:
        for name, value in ({} if self._family is None else self._family.continuous).items():
            self.sensor.properties.publish(name, value)
        self._start(None, stop_on_overflow=False)

    @core_call()
    def stop_sequence_acquisition(self) -> None:
        self._require_camera()
        sequence = self._sequence_now()
        failed = sequence.running and sequence.overflowed
        sequence.running = False
        if failed:
            raise RefusedError(f'Error in device "{self._label}": Buffer Overflow. (22)')

    @core_call()
    def is_sequence_running(self) -> bool:
        self._clock.tick()
        return self._sequence_now().running

    @core_call()
    def get_remaining_image_count(self) -> int:
        self._clock.tick()
        return len(self._sequence_now().entries)

    @core_call()
    def is_buffer_overflowed(self) -> bool:
        return self._sequence_now().overflowed

    @core_call()
    def pop_next_image(self) -> Image:
        return self.backend_look.pixels(self._render(self._pop()))

    @core_call()
    def pop_next_tagged_image(self) -> Any:
        return self._tagged(self._pop())

    def _start(self, frames: int | None, *, stop_on_overflow: bool) -> None:
        self._require_camera()
        if self._sequence_now().running:
            raise RefusedError(_RUNNING)
        sensor = self.sensor
        self._size_buffer()
        self.sequence.start(
            self._clock(),
            frames=frames,
            stop_on_overflow=stop_on_overflow,
            delay_s=sensor.delay_s,
            period_s=sensor.period_s,
            format_=sensor.format,
        )

    def _size_buffer(self) -> None:
        frames = self._buffer_mb * _BYTES_PER_MB // self.sensor.format.frame_bytes
        self.sequence.capacity = min(frames, MAX_BUFFERED_FRAMES)
        if not self.sequence.capacity:
            raise RefusedError(TOO_SMALL)

    def _pop(self) -> Entry:
        entry = self._sequence_now().pop()
        if entry is None:
            raise RefusedError(EMPTY)
        return entry

    def _last(self) -> Entry:
        entries = self._sequence_now().entries
        if not entries:
            raise RefusedError(EMPTY)
        return entries[-1]

    def _last_snap(self) -> Image:
        if self._snapped is None:
            raise RefusedError("Issue snapImage before getImage.")
        return self._snapped

    def _render(self, entry: Entry) -> Image:
        # With the present settings, as the core does: changed since the exposure, frame and tags disagree.
        image = self.sensor.render(entry.exposure)
        if self._family is not None:
            self._family.stamp(image, entry, dict(self.sensor.properties.items()))
        return image

    def _tagged(self, entry: Entry) -> Any:
        tags = core_tags(entry, self._label, camera_counter=self._camera_counter)
        if self._family is not None:
            tags |= self._family.tags(entry, dict(self.sensor.properties.items()))
        if self.backend == "java":
            tags = java_tags(
                tags,
                bit_depth=entry.format.bit_depth,
                pixel_size_um=self._pixel_size_um,
                system_state=self.sensor.properties.items() if self._system_state else (),
            )
        return self.backend_look.tagged(self._render(entry), tags)

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


class JavaMockCore(MockCore):
    """The simulated core of the Java backend, with the method that the other one lacks."""

    @core_call(BOOL)
    def set_include_system_state_cache(self, state: bool) -> None:
        self._system_state = state
