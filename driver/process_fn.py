"""`ProcessFn`: the image processing function of a pycromanager acquisition that stores its images."""

import threading
from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from itertools import islice
from typing import Any

from ..adapters import Frame, Image, frame_metadata, timestamp_source, unpack_colours
from ..errors import FrameError
from ..persistence import Spool
from .frame_counters import GapDetector

_LOOK_AHEAD = 10_000
"""Planned images among which the place of one that came is looked for."""

Axes = Mapping[str, Any]


class ProcessFn:
    """Stores each image of a pycromanager ``Acquisition``, of either backend, in a spool; ``spool.process_fn`` is one.

    An error in it, such as a full disk, makes pycromanager abort the acquisition and raise at its end.

    Parameters
    ----------
    spool
        Where the images go; it holds those of one camera.
    """

    def __init__(self, spool: Spool) -> None:
        self._spool = spool
        self._lock = threading.Lock()
        self._camera: str | None = None
        self._gaps = GapDetector()
        self._planned: deque[Axes] | None = None

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
            if timestamp_source(metadata) == "host":  # pycromanager puts the start of the event in its place
                numbers["camera_timestamp"] = -1
            if (arrival_ns := _arrival_ns(metadata)) is not None:
                numbers["host_timestamp"] = arrival_ns
            self._enter_missing(image, numbers, metadata.get("Axes") or {})
            self._spool.put(unpack_colours(image, metadata.get("PixelType")), numbers)

    def pass_on(self, image: Image, metadata: dict[str, Any]) -> tuple[Image, dict[str, Any]]:
        """Store a copy of an image, and return both arguments for pycromanager to save and show as well."""
        self(image, metadata)
        return image, metadata

    def expect(self, events: Any) -> Any:
        """Take down the events of an acquisition, and return them for ``acquire``.

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
            if self._planned:
                self._spool.record_loss(len(self._planned), "unknown")
                self._planned.clear()

    def _expected(self, events: Iterator[Any]) -> Iterator[Any]:
        for event in events:
            self._plan(event)
            yield event

    def _plan(self, events: Any) -> None:
        listed: Iterable[Any] = [events] if isinstance(events, Mapping) else events
        with self._lock:
            if self._planned is None:
                self._planned = deque()
            self._planned.extend(dict(event["axes"]) for event in listed)

    def _check_camera(self, camera: str) -> None:
        if self._camera is None:
            self._camera = camera
        if camera != self._camera:
            raise FrameError(
                f"an image of {camera or 'an unnamed camera'} arrived in the recording of {self._camera}: a file holds "
                "the frames of one camera; call the process_fn of a spool of its own for each"
            )

    def _enter_missing(self, image: Image, numbers: Mapping[str, int], axes: Axes) -> None:
        """Enter into the ledger what is missing before this image: by the plan if there is one, or by its counters."""
        if self._planned is not None:
            if (missing := self._take_planned(axes)) > 0:
                self._spool.record_loss(missing, "unknown")
            return
        if numbers["image_number"] == 0:  # the core numbers the images of each sequence
            self._gaps = GapDetector()
        frame = Frame(image, numbers["image_number"], numbers["camera_frame_number"], numbers["camera_timestamp"])
        for gap in self._gaps.missing_before(frame):
            self._spool.record_loss(gap.count, gap.stage)

    def _take_planned(self, axes: Axes) -> int:
        """Take an image off the plan, and return how many before it did not come; 0 for one that is not planned."""
        planned = self._planned or ()
        place = next((at for at, each in enumerate(islice(planned, _LOOK_AHEAD)) if each.items() <= axes.items()), None)
        if self._planned is None or place is None:
            return 0
        for _ in range(place + 1):
            self._planned.popleft()
        return place


def _arrival_ns(metadata: Mapping[str, Any]) -> int | None:
    """Return when the core received an image, ns of the computer's clock; snapped images do not tell."""
    try:
        return round(datetime.fromisoformat(metadata["TimeReceivedByCore"]).timestamp() * 1e6) * 1000
    except (KeyError, TypeError, ValueError):
        return None
