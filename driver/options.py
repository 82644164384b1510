"""The options of a recording from a camera, as keywords."""

from collections.abc import Callable, Mapping
from typing import Any, Literal, TypedDict

from ..persistence import Compression, OnFull
from .live import LiveFrame


class RecordingKeywords(TypedDict, total=False):
    """The options of `Camera.start_recording` and `Camera.record`; the first of them describes them."""

    frames: int | None
    seconds: float | None
    until: Callable[[], bool] | None
    frame_timeout_s: float | None
    core_buffer_mb: int | None
    pre_trigger_frames: int | None
    on_frame: Callable[[LiveFrame], object] | None
    pixel_stamp: Literal["pco"] | None
    buffer_bytes: int | None
    on_full: OnFull
    timeout_s: float
    grow_frames: int
    overwrite: bool
    metadata: Mapping[str, Any] | None
    direct: bool
    checksum: bool
    sync_interval_s: float
    compression: Compression | None
    raw_if_slow: bool
    keep_awake: bool
