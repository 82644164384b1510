"""The options of a recording from a camera: as keywords, and checked."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal, Self

from ..persistence import Plan, PlanLike, SpoolOptions, StorageKeywords, refuse_unknown_options
from .column_sources import ColumnSource, ColumnSources
from .live import LiveFrame
from .recording_events import RecordingEvent
from .stop_conditions import StopConditions
from .triggers import NO_PLAN, TriggerPlan

_FRAME_TIMEOUT_S = 10.0
_MISSING_TRIGGERS = 10  # in a row; then the trigger has ended


class RecordingKeywords(StorageKeywords, total=False):
    """The options of `Camera.start_recording` and `Camera.record`.

    Parameters
    ----------
    frames, seconds, until
        When to end: after this many frames, this many seconds, or when ``until()`` is true (called often, from
        another thread); whatever comes first. Without any of them: until `RunningRecording.stop`.
    frame_timeout_s
        End when no frame came for this long; by default 10 s and ten exposures, or ten ``trigger_timeout_s``.
        ``math.inf`` waits without limit for a trigger.
    triggers, frames_per_trigger
        End after this many triggers, each of which gives a burst of this many frames; in place of ``frames``.
    trigger_timeout_s
        From the first frame on, each time this long without a frame is a missing trigger: its frames enter the
        ledger at the stage ``"trigger"``, keep their places, and the recording goes on. A little longer than the
        longest time between triggers. By default none is marked.
    core_buffer_mb
        Size of the core's circular buffer; by default it is left as it is.
    pre_trigger_frames
        Hold this many newest frames in memory, store none, and go on so until `RunningRecording.save` is called:
        then these and all that follow are stored. ``frames`` and ``seconds`` count from then on, the held frames
        included.
    on_frame
        Called with the newest `LiveFrame`, from a thread of its own, which never slows saving: what it is too slow
        for is left out.
    on_event
        Called with a `RecordingEvent` at the start, at losses and at the end, from a thread of its own. What it
        raises is logged and ends nothing. `wait` and `record` return when it has heard of the end.
    columns
        Columns of your own: by its name a function that returns the value of the present frame, called for each one
        from the recording's thread, or the name of one of the core's tags; in a pair with a dtype or `Column` where
        it is not that of the function's first value, or text for a tag:
        ``{"z_um": stage_z, "temperature_c": ("CCDTemperature", float)}``.
    plan
        What should come, as for `SpoolOptions`; without any other end, the recording ends with it. A plan of frames
        per trigger is made of ``frames_per_trigger`` by itself.
    pixel_stamp
        ``"pco"`` reads the camera's counter and time from the first pixels of each frame, where PCO cameras write
        them with ``Timestampmode`` "Binary"; the file says that these pixels are no image.
    buffer_bytes
        Size of the ring; by default as for `Spool`, but no more than ``frames`` need.
    on_full, timeout_s, grow_frames, overwrite, metadata, ...
        As for `SpoolOptions`.
    """

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
        As `RecordingKeywords` has them.
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
    columns: ColumnSources | None
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
        columns = ColumnSources(sources) if sources else None
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
        names = ("core_buffer_mb", "pixel_stamp", "pre_trigger_frames", "on_frame", "on_event")
        own = {name: given.pop(name, None) for name in names}
        checked = cls(
            conditions=StopConditions(
                frames=plan.frames(given.pop("frames", None)),
                seconds=given.pop("seconds", None),
                until=given.pop("until", None),
                frame_timeout_s=timeout_s,
            ),
            triggers=plan,
            columns=columns,
            spool=given,
            **own,
        )
        SpoolOptions(**checked.spool)
        return checked

    def __post_init__(self) -> None:
        if self.pixel_stamp not in (None, "pco"):
            raise ValueError(f"pixel_stamp is 'pco' or None, not {self.pixel_stamp!r}")
        held = self.pre_trigger_frames
        if held is not None and not (hasattr(held, "__index__") and held >= 1):
            raise ValueError(f"pre_trigger_frames is a whole number, 1 or more, not {held!r}")
