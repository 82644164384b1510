"""The frames that a sequence of pymmcore-plus plans, and what its events say about each."""

import logging
import math
from collections.abc import Mapping
from dataclasses import replace
from itertools import islice
from typing import Any

import numpy as np

from ...persistence import Column, Plan
from ..event_columns import Values, axis_name, plain_values, with_columns
from .useq_events import event_index, planned_frames

_MOST_LISTED = 5_000
"""Events of a sequence that are looked at before it runs, at about 0.1 ms each; of longer ones the axes are known."""

_USUAL: Values = {
    **dict.fromkeys("tpczg", 0),
    **dict.fromkeys(("x_um", "y_um", "z_um", "exposure_ms", "min_start_time_s"), 0.0),
    "channel": "",
    "position": "",
}
"""What events say that come from a generator, as far as can be known before the first one."""

_RUNNERS_OWN = "runner_t0"
"""What pymmcore-plus' runner keeps for itself in the metadata of the first event."""

_log = logging.getLogger("mmspool")


class PlannedFrames:
    """What a run plans of each camera.

    Parameters
    ----------
    sequence
        The ``useq.MDASequence`` of the run; of a generator nothing is known before it runs.
    own
        Columns that the user declared; those of the events' own metadata among them are filled.

    Attributes
    ----------
    columns
        Of the recording.
    plan
        Of the recording; None where it is not known.
    """

    def __init__(self, sequence: Any, own: Mapping[str, Column]) -> None:
        self.plan: Plan | None = None
        self._listed: list[Values] = []
        self._place_of: dict[tuple[tuple[str, int], ...], int] = {}
        if type(sequence).__name__ == "GeneratorMDASequence":
            self.columns = with_columns(own, [_USUAL])
            return
        sizes = {str(axis): int(size) for axis, size in sequence.sizes.items() if size}
        is_long = math.prod(sizes.values()) > _MOST_LISTED
        events = list(islice(filter(planned_frames, sequence), 1 if is_long else _MOST_LISTED + 1))
        if is_long or len(events) > _MOST_LISTED:
            self.plan = _plan_of_axes(sequence, sizes)
        elif events:
            self._list(events, sizes)
        self.columns = with_columns(own, map(event_values, events))

    def values(self, event: Any, lost: int) -> dict[str, Any]:
        """Return a frame's values for the recording's columns, its ``expected`` place among them.

        Parameters
        ----------
        event
            Which pymmcore-plus took for that of the frame.
        lost
            Frames of the same burst that were lost before: pymmcore-plus gives the events of a burst to frames as they
            come, so this one's event is ``lost`` further.
        """
        if self.plan is None:
            return {} if lost else event_values(event)  # rather nothing than what another frame had
        place = self._place(event)
        if place is None:
            return {"expected": -1} if lost else {**event_values(event), "expected": -1}
        if not lost:
            return {**event_values(event), "expected": place}
        place += lost
        if place >= len(self.plan):
            return {"expected": -1}
        if self._listed:
            return {**self._listed[place], "expected": place}
        index = np.unravel_index(place, self.plan.shape)
        return {**dict(zip(self.plan.axes, map(int, index), strict=True)), "expected": place}

    def _list(self, events: list[Any], sizes: dict[str, int]) -> None:
        """Note every event; those that fill their axes in order make a plan of that shape."""
        self._listed = [event_values(event) for event in events]
        self._place_of = {_key(event): place for place, event in enumerate(events)}
        try:
            plan = Plan.of(self._listed)
        except (ValueError, TypeError) as exc:
            _log.warning("the events are not stored as a plan: %s", exc)
            return
        axes = tuple(axis_name(axis) for axis in sizes)
        indices = [tuple(values.get(axis, -1) for axis in axes) for values in self._listed]
        if axes and indices == list(np.ndindex(*sizes.values())):
            plan = replace(plan, axes=axes, shape=tuple(sizes.values()))
        self.plan = plan

    def _place(self, event: Any) -> int | None:
        if self._listed:
            return self._place_of.get(_key(event))
        assert self.plan is not None  # noqa: S101 - its only caller has one
        index = {axis_name(axis): at for axis, at in event_index(event).items()}
        try:
            return int(np.ravel_multi_index([index[axis] for axis in self.plan.axes], self.plan.shape))
        except (KeyError, ValueError):
            return None


def event_values(event: Any) -> Values:
    """Return what an event says about its frame: its index on each axis, position, channel, and its own metadata."""
    values: Values = {axis_name(axis): at for axis, at in event_index(event).items() if axis != "cam"}
    numbers = {"x_um": "x_pos", "y_um": "y_pos", "z_um": "z_pos"}
    numbers |= {"exposure_ms": "exposure", "min_start_time_s": "min_start_time"}
    for name, attribute in numbers.items():
        if (number := getattr(event, attribute, None)) is not None:
            values[name] = float(number)
    if (channel := getattr(event, "channel", None)) is not None:
        values["channel"] = str(channel.config)
    if (position := getattr(event, "pos_name", None)) is not None:
        values["position"] = str(position)
    metadata = getattr(event, "metadata", None) or {}
    own = {name: value for name, value in metadata.items() if name not in values and name != _RUNNERS_OWN}
    return plain_values(values | own)


def _key(event: Any) -> tuple[tuple[str, int], ...]:
    return tuple(sorted((axis, at) for axis, at in event_index(event).items() if axis != "cam"))


def _plan_of_axes(sequence: Any, sizes: dict[str, int]) -> Plan | None:
    """Return the plan of a long sequence, if its events are all places of its axes."""
    positions, channels = getattr(sequence, "stage_positions", ()), getattr(sequence, "channels", ())
    skips = any(at.sequence for at in positions) or any(ch.acquire_every != 1 or not ch.do_stack for ch in channels)
    return None if skips or not sizes else Plan.of({axis_name(axis): size for axis, size in sizes.items()})
