"""The simulated core's calls about images, its circular buffer and sequences."""

# ruff: noqa: D102 - these are the core's own methods: MMCore documents them

from typing import Any

from ..core_adapter import MAX_BUFFERED_FRAMES, Image
from .backends import EMPTY, TOO_SMALL, core_tags, java_tags
from .calls import BOOL, FLOAT, INT, TEXT, core_call
from .properties import RefusedError
from .sequence import Entry
from .state import MockState

_BYTES_PER_MB = 2**20
_STOP_LIMIT_S = 600.0
_RUNNING = "This operation can not be executed while sequence acquisition is running."


class SequenceCalls(MockState):
    """Images, the circular buffer and sequences."""

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
        values = () if self._family is None else self.sensor.properties.items()
        if self._family is not None and sequence.stalled and self._family.waits_for_trigger.intersection(values):
            self.triggered.wait(_STOP_LIMIT_S)
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
