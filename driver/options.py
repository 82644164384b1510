"""The options of a recording from a camera: as keywords, and checked."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal, Self, TypedDict

from ..persistence import Compression, OnFull, Plan, PlanLike, SpoolOptions, refuse_unknown_options
from .events import RecordingEvent
from .frame_columns import ColumnSource, FrameColumns
from .live import LiveFrame
from .stop_conditions import StopConditions
from .triggers import NO_PLAN, TriggerPlan

_FRAME_TIMEOUT_S = 10.0
_MISSING_TRIGGERS = 10  # in a row; then the trigger has ended


class RecordingKeywords(TypedDict, total=False):
    """The options of `Camera.start_recording` and `Camera.record`; the first of them describes them."""

    frames: int | None
    seconds: float | None
    until: Callable[[], bool] | None
    frame_timeout_s: float | None
    triggers: int | None
    frames_per_trigger: int
    trigger_timeout_s: float | None
    core_buffer_mb: int | None
    pre_trigger_frames: int | None
    on_frame: Callable[[LiveFrame], object] | None
    on_event: Callable[[RecordingEvent], object] | None
    columns: Mapping[str, ColumnSource] | None
    plan: PlanLike | None
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


@dataclass(frozen=True, kw_only=True, slots=True)
class RecordingOptions:
    """The options of one recording, checked without its camera.

    Attributes
    ----------
    conditions
        When it ends.
    triggers
        What each trigger gives.
    core_buffer_mb, pixel_stamp, pre_trigger_frames, on_frame, on_event
        As `Camera.start_recording` has them.
    columns
        What reads the values of the user's own columns.
    spool
        The options of its `Spool`.
    """

    conditions: StopConditions
    triggers: TriggerPlan
    core_buffer_mb: int | None
    pixel_stamp: Literal["pco"] | None
    pre_trigger_frames: int | None
    on_frame: Callable[[LiveFrame], object] | None
    on_event: Callable[[RecordingEvent], object] | None
    columns: FrameColumns | None
    spool: dict[str, Any]

    @classmethod
    def from_keywords(cls, options: RecordingKeywords, *, exposure_ms: float) -> Self:
        """Check a caller's keywords; the default frame timeout depends on the exposure.

        Raises
        ------
        TypeError
            There is no such option; the message names the nearest.
        ValueError
            An option makes no sense.
        """
        refuse_unknown_options("a recording", options, RecordingKeywords.__annotations__)
        given: dict[str, Any] = dict(options)
        timeout_s = given.pop("frame_timeout_s", None)
        trigger_timeout_s = given.pop("trigger_timeout_s", None)
        plan = TriggerPlan(
            frames_per_trigger=given.pop("frames_per_trigger", 1),
            triggers=given.pop("triggers", None),
            timeout_s=math.inf if trigger_timeout_s is None else trigger_timeout_s,
        )
        if timeout_s is None:
            timeout_s = _FRAME_TIMEOUT_S + exposure_ms / 100
            if math.isfinite(plan.timeout_s):
                timeout_s = max(timeout_s, _MISSING_TRIGGERS * plan.timeout_s)
        sources = given.pop("columns", None)
        columns = FrameColumns(sources) if sources else None
        if columns is not None:
            given["columns"] = columns.columns
        planned = given.get("plan")
        if planned is not None:
            given["plan"] = places = Plan.of(planned)
            ends = plan.triggers or any(given.get(name) for name in ("frames", "seconds", "until"))
            if not ends and not places.repeats:
                given["frames"] = len(places)
        elif plan != NO_PLAN:
            given["plan"] = {"trigger": None, "frame": plan.frames_per_trigger}
        checked = cls(
            conditions=StopConditions(
                frames=plan.frames(given.pop("frames", None)),
                seconds=given.pop("seconds", None),
                until=given.pop("until", None),
                frame_timeout_s=timeout_s,
            ),
            triggers=plan,
            core_buffer_mb=given.pop("core_buffer_mb", None),
            pixel_stamp=given.pop("pixel_stamp", None),
            pre_trigger_frames=given.pop("pre_trigger_frames", None),
            on_frame=given.pop("on_frame", None),
            on_event=given.pop("on_event", None),
            columns=columns,
            spool=given,
        )
        SpoolOptions(**checked.spool)
        return checked

    def __post_init__(self) -> None:
        if self.pixel_stamp not in (None, "pco"):
            raise ValueError(f"pixel_stamp is 'pco' or None, not {self.pixel_stamp!r}")
        held = self.pre_trigger_frames
        if held is not None and not (hasattr(held, "__index__") and held >= 1):
            raise ValueError(f"pre_trigger_frames is a whole number, 1 or more, not {held!r}")
