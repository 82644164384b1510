"""The events of a pycromanager acquisition: what was asked for, and which of it came."""

from collections import deque
from collections.abc import Mapping
from itertools import islice
from typing import Any, NamedTuple

from .event_columns import Values, axis_name, plain_values

_LOOK_AHEAD = 10_000
"""Planned images among which the place of one that came is looked for."""

Axes = Mapping[str, Any]


class Taken(NamedTuple):
    """An event whose image came: its place among all, how many before it did not come, and what it says."""

    place: int
    missing: int
    values: Values


class PlannedEvents:
    """Events in the order in which they were asked for, until their images come.

    Attributes
    ----------
    announced
        Whether there was any event.
    """

    def __init__(self) -> None:
        self._waiting: deque[tuple[Axes, Values]] = deque()
        self._passed = 0
        self.announced = False

    def __len__(self) -> int:
        return len(self._waiting)

    def expect(self, event: Mapping[str, Any]) -> None:
        """Add an event."""
        self.announced = True
        self._waiting.append((dict(event["axes"]), event_values(event)))

    def values(self) -> list[Values]:
        """Return what the events say whose images did not come yet."""
        return [values for _, values in self._waiting]

    def take(self, axes: Axes) -> Taken | None:
        """Remove an image's event, and those before it, whose images did not come; None if none was planned."""
        ahead = enumerate(islice(self._waiting, _LOOK_AHEAD))
        missing = next((at for at, (planned, _) in ahead if planned.items() <= axes.items()), None)
        if missing is None:
            return None
        for _ in range(missing):
            self._waiting.popleft()
        _, values = self._waiting.popleft()
        self._passed += missing + 1
        return Taken(self._passed - 1, missing, values)

    def give_up(self) -> int:
        """Return how many images never came, and expect them no longer."""
        count = len(self._waiting)
        self._waiting.clear()
        return count


def event_values(event: Mapping[str, Any]) -> Values:
    """Return what an event says about its image."""
    values = {axis_name(axis): at for axis, at in event["axes"].items()}
    for name, key in _NUMBERS.items():
        if event.get(key) is not None:
            values[name] = float(event[key])
    if event.get("config_group"):
        values["preset"] = str(event["config_group"][1])
    return plain_values(values)


def image_values(metadata: Mapping[str, Any]) -> Values:
    """Return what the metadata of an image say about it, beside its counters and times."""
    values = {axis_name(axis): at for axis, at in (metadata.get("Axes") or {}).items()}
    for name, key in _NUMBERS_OF_IMAGE.items():
        if metadata.get(key) is not None:
            values[name] = float(metadata[key])
    return plain_values(values)


_NUMBERS = {"x_um": "x", "y_um": "y", "z_um": "z", "exposure_ms": "exposure", "min_start_time_s": "min_start_time"}
_NUMBERS_OF_IMAGE = {f"{axis.lower()}_um": f"{axis}Position_um_Intended" for axis in "XYZ"} | {
    "exposure_ms": "Exposure"
}
