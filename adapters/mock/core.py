"""A simulated Micro-Manager core with one sCMOS camera, behind the core's own API as pycromanager shows it."""

# ruff: noqa: D102 - these are the core's own methods: MMCore documents them

from typing import Any

from ..core_adapter import MAX_BUFFERED_FRAMES, Image
from .backends import BOOL, EMPTY, FLOAT, INT, TEXT, TOO_SMALL, core_tags, java_tags
from .properties import RefusedError
from .sequence import Entry
from .settings import MockSettings, core_call

_BYTES_PER_MB = 2**20
_RUNNING = "This operation can not be executed while sequence acquisition is running."


class MockCore(MockSettings):
    """A simulated core that looks like ``pycromanager.Core()`` of either backend; it needs no Micro-Manager.

    It has no thread: what the camera did since is worked out from the clock on each call, and pixels are made when a
    frame is read. It does what the real core with the DemoCamera does, refusals and losses included (the contract tests
    hold it to that), but is stricter in two things: a region beyond the sensor is refused, and a footprint set during a
    sequence always ends it, where the real sequence survives more often than not.

    Parameters
    ----------
    flavour
        The backend to look like.
    seed
        Makes hot pixels and noise; equal seeds and settings give equal frames.
    width, height
        Size of the sensor, pixels.
    clock
        The time, s; `SteppedClock` for tests without real time.
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

    Attributes
    ----------
    calls
        How often each method was called.
    transfers
        How often ``pix`` and ``tags`` of a tagged image crossed the bridge; Java flavour only.
    """

    @core_call()
    def snap_image(self) -> None:
        self.require_camera()
        if self.advanced().running:
            raise RefusedError(_RUNNING)
        self._pass_time(self.sensor.delay_s)
        self._snapped = self.sensor.render(self._snaps)
        self._snaps += 1

    @core_call()
    def get_image(self) -> Image:
        return self.flavoured.pixels(self._last_snap().copy())

    @core_call(INT, TEXT, INT, INT, optional=4)
    def get_tagged_image(self, *args: Any) -> Any:
        if bool(args) == (self.flavour == "java"):
            raise self.flavoured.wrong_arguments("get_tagged_image", args)
        image = self._last_snap().copy()
        height, width = image.shape
        tags: dict[str, Any] = {"Camera": self._label, "Height": height, "Width": width, "PixelType": None}
        return self.flavoured.tagged(image, tags | {"CameraChannelIndex": 0})

    @core_call()
    def get_last_image(self) -> Image:
        return self.flavoured.pixels(self._render(self._last()))

    # The circular buffer.

    @core_call(INT)
    def set_circular_buffer_memory_footprint(self, megabytes: int) -> None:
        sequence = self.advanced()
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
        return self.sequence.capacity - len(self.advanced().entries)

    @core_call()
    def clear_circular_buffer(self) -> None:
        self.advanced().clear()

    @core_call()
    def initialize_circular_buffer(self) -> None:
        self.advanced().clear()
        self._size_buffer()

    # Sequences.

    @core_call(INT, FLOAT, BOOL)
    def start_sequence_acquisition(self, frames: int, _interval_ms: float, stop_on_overflow: bool) -> None:
        # Asked for none, the DemoCamera makes one; other cameras have other ideas.
        self._start(max(frames, 1), stop_on_overflow=stop_on_overflow)

    @core_call(FLOAT)
    def start_continuous_sequence_acquisition(self, _interval_ms: float) -> None:
        self._start(None, stop_on_overflow=False)

    @core_call()
    def stop_sequence_acquisition(self) -> None:
        self.require_camera()
        sequence = self.advanced()
        failed = sequence.running and sequence.overflowed
        sequence.running = False
        if failed:
            raise RefusedError(f'Error in device "{self._label}": Buffer Overflow. (22)')

    @core_call()
    def is_sequence_running(self) -> bool:
        self._tick()
        return self.advanced().running

    @core_call()
    def get_remaining_image_count(self) -> int:
        self._tick()
        return len(self.advanced().entries)

    @core_call()
    def is_buffer_overflowed(self) -> bool:
        return self.advanced().overflowed

    @core_call()
    def pop_next_image(self) -> Image:
        return self.flavoured.pixels(self._render(self._pop()))

    @core_call()
    def pop_next_tagged_image(self) -> Any:
        return self._tagged(self._pop())

    def _start(self, frames: int | None, *, stop_on_overflow: bool) -> None:
        self.require_camera()
        if self.advanced().running:
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
        entry = self.advanced().pop()
        if entry is None:
            raise RefusedError(EMPTY)
        return entry

    def _last(self) -> Entry:
        entries = self.advanced().entries
        if not entries:
            raise RefusedError(EMPTY)
        return entries[-1]

    def _last_snap(self) -> Image:
        if self._snapped is None:
            raise RefusedError("Issue snapImage before getImage.")
        return self._snapped

    def _render(self, entry: Entry) -> Image:
        # With the present settings, as the core does: changed since the exposure, frame and tags disagree.
        return self.sensor.render(entry.exposure)

    def _tagged(self, entry: Entry) -> Any:
        tags = core_tags(entry, self._label, camera_counter=self._camera_counter)
        if self.flavour == "java":
            tags = java_tags(
                tags,
                bit_depth=entry.format.bit_depth,
                pixel_size_um=self._pixel_size_um,
                system_state=self.sensor.properties.items() if self._system_state else (),
            )
        return self.flavoured.tagged(self._render(entry), tags)
