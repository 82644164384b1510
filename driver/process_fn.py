"""`ProcessFn`: the image processing function of a pycromanager acquisition that stores its images."""

import threading
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from typing import Any

from ..adapters import Image, frame_metadata, timestamp_source, unpack_colours
from ..errors import FrameError
from ..persistence import Spool
from .event_columns import FittingValues, Values, plan_of, with_columns
from .frame_counters import SequenceGaps
from .planned_events import PlannedEvents, image_values


class ProcessFn:
    """Stores each image of a pycromanager ``Acquisition``, of either backend, in a spool; ``spool.process_fn`` is one.

    An error in it, such as a full disk, makes pycromanager abort the acquisition and raise at its end.

    What the image's axes and metadata say (index on each axis, position, exposure) become columns of the recording, and
    the events given to `expect` before the first image its plan: ``run.plan``, ``run.aligned()``. A spool that was made
    with ``shape`` has its file already, and takes what it has columns for.

    Parameters
    ----------
    spool
        Where the images go; it holds those of one camera.
    """

    def __init__(self, spool: Spool) -> None:
        self._spool = spool
        self._lock = threading.Lock()
        self._camera: str | None = None
        self._gaps = SequenceGaps()
        self._planned = PlannedEvents()
        self._fitting: FittingValues | None = None
        self._has_places = False

    def __call__(self, image: Image, metadata: Mapping[str, Any]) -> None:
        """Store a copy of an image, and return nothing: pycromanager itself neither saves nor shows it.

        Raises
        ------
        FrameError
            The image does not fit the recording; it was not stored.
        SpoolError
            The spool failed, or is closed.
        """
        with self._lock:
            self._check_camera(str(metadata.get("Camera", "")))
            numbers = frame_metadata(metadata)
            if timestamp_source(metadata) == "host":  # pycromanager puts the start of the event there
                numbers["camera_timestamp"] = -1
            if (arrival_ns := _arrival_ns(metadata)) is not None:
                numbers["host_timestamp"] = arrival_ns
            values = self._own_values(numbers, metadata)
            self._spool.put(unpack_colours(image, metadata.get("PixelType")), numbers | values)

    def pass_on(self, image: Image, metadata: dict[str, Any]) -> tuple[Image, dict[str, Any]]:
        """Store a copy of an image, and return both arguments for pycromanager to save and show as well."""
        self(image, metadata)
        return image, metadata

    def expect(self, events: Any) -> Any:
        """Note the events of an acquisition, and return them for ``acquire``.

        pycromanager says nothing of images that an aborted acquisition, a failing hook or a time limit left out. Those
        of `events` that never come are entered into the ledger.

        Parameters
        ----------
        events
            What ``Acquisition.acquire`` takes: an event, a list of events, or a generator of either.
        """
        if isinstance(events, Iterator):
            return self._expected(events)
        self._plan(events)
        return events

    def finish(self) -> None:
        """Enter the planned images into the ledger that never came; called when the spool is closed."""
        with self._lock:
            if missing := self._planned.give_up():
                self._spool.record_loss(missing, "unknown")

    def _expected(self, events: Iterator[Any]) -> Iterator[Any]:
        for event in events:
            self._plan(event)
            yield event

    def _plan(self, events: Any) -> None:
        listed: Iterable[Any] = [events] if isinstance(events, Mapping) else events
        with self._lock:
            for event in listed:
                self._planned.expect(event)

    def _check_camera(self, camera: str) -> None:
        if self._camera is None:
            self._camera = camera
        if camera != self._camera:
            raise FrameError(
                f"an image of {camera or 'an unnamed camera'} arrived in the recording of {self._camera}: a file holds "
                "the frames of one camera; call the process_fn of a spool of its own for each"
            )

    def _own_values(self, numbers: Mapping[str, int], metadata: Mapping[str, Any]) -> dict[str, Any]:
        """Return an image's values for the spool's columns, after what is missing before it is in the ledger."""
        values = image_values(metadata)
        if self._fitting is None:
            self._fitting = self._declare(values)
        if not self._planned.announced:
            for gap in self._gaps.missing_before(numbers):
                self._spool.record_loss(gap.count, gap.stage)
            return self._fitting.of(values)
        taken = self._planned.take(metadata.get("Axes") or {})
        if taken is not None:
            values |= taken.values
            if taken.missing:
                self._spool.record_loss(taken.missing, "unknown")
        fitting = self._fitting.of(values)
        return fitting | {"expected": -1 if taken is None else taken.place} if self._has_places else fitting

    def _declare(self, first: Values) -> FittingValues:
        """Give a spool without a file its columns, and the plan as far as it is known; one with a file keeps its."""
        events = self._planned.values()
        if self._spool.shape is None:
            plan = plan_of(events) if events and self._spool.plan is None else None
            self._spool.declare(columns=with_columns(self._spool.columns, [*events, first]), plan=plan)
            self._has_places = plan is not None
        return FittingValues(self._spool.columns)


def _arrival_ns(metadata: Mapping[str, Any]) -> int | None:
    """Return when the core received an image, ns of the computer's clock; snapped images have no such tag."""
    try:
        return round(datetime.fromisoformat(metadata["TimeReceivedByCore"]).timestamp() * 1e6) * 1000
    except (KeyError, TypeError, ValueError):
        return None
