"""`SpoolingEngine`: an MDA engine of pymmcore-plus around another one, which stores each frame before handing it on."""

from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

from ...errors import SpoolError
from ...persistence import LossStage
from .recording import MDARecording
from .useq_events import planned_frames

Signal = str | None
"""What the runner sends into a running event: ``"cancel"``, ``"pause"`` or None."""


class SpoolingEngine:
    """The engine `inner`, whose frames also go to `recording`.

    Whatever `inner` has beyond the six methods of ``pymmcore_plus.mda.PMDAEngine`` is reached through this one too.

    Parameters
    ----------
    inner
        The engine that drives the microscope.
    core
        Its ``CMMCorePlus``.
    recording
        Where the frames go.
    at_end
        Called when the run is over and the files are closed.

    Attributes
    ----------
    inner
        The engine that drives the microscope.
    started
        Whether a run began.
    failure
        The error that ended the run, or that of closing the files.
    finish_reason
        How the run ended, as ``pymmcore_plus.mda.FinishReason`` has it; empty before.
    """

    __slots__ = (
        "_at_end",
        "_canceled",
        "_core",
        "_finished",
        "_planned",
        "_recording",
        "failure",
        "finish_reason",
        "inner",
        "started",
    )

    def __init__(self, inner: Any, core: Any, recording: MDARecording, at_end: Callable[[], None]) -> None:
        self.inner = inner
        self._core = core
        self._recording = recording
        self._at_end = at_end
        self._planned = 0
        self._canceled = False
        self._finished = True
        self.started = False
        self.failure: BaseException | None = None
        self.finish_reason = ""

    def __getattr__(self, name: str) -> Any:
        return getattr(self.inner, name)

    def __setattr__(self, name: str, value: Any) -> None:
        if name in SpoolingEngine.__slots__:
            object.__setattr__(self, name, value)
        else:
            setattr(self.inner, name, value)

    def setup_sequence(self, sequence: Any) -> Any:
        """Prepare the microscope, then create the files: the format of the frames is known, and none is exposed yet."""
        self.started = True
        with self._failure_noted():
            summary = self.inner.setup_sequence(sequence)
            self._recording.begin(sequence, summary)
            return summary

    def event_iterator(self, events: Iterable[Any]) -> Iterator[Any]:
        """Return the events as `inner` merges them."""
        iterate = getattr(self.inner, "event_iterator", iter)
        return iter(iterate(events))

    def setup_event(self, event: Any) -> None:
        """Prepare the microscope for an event; one that `inner` skips is a loss of all its frames."""
        self._planned, self._finished = 0, True
        try:
            self.inner.setup_event(event)
        except Exception as exc:
            skipped = getattr(exc, "num_frames", None)  # pymmcore_plus.mda.SkipEvent
            if skipped is None:
                self.failure = self.failure or exc
            else:
                self._planned = skipped
            raise

    def exec_event(self, event: Any) -> Generator[Any, Signal, None]:
        """Yield the frames of an event, each stored before; the runner's signals are passed on to `inner`."""
        self._planned, self._finished = planned_frames(event), False
        with self._failure_noted():
            frames = iter(self.inner.exec_event(event) or ())
            signal: Signal = None
            while True:
                try:
                    payload = frames.send(signal) if signal and isinstance(frames, Generator) else next(frames)
                except StopIteration:
                    break
                if payload is not None:
                    self._store(payload, frames)
                signal = yield payload
                self._canceled = self._canceled or signal == "cancel"
            if self._canceled:
                self._store_rest(event)
            self._finished = True

    def teardown_event(self, event: Any) -> None:
        """Finish an event; what it did not deliver of the frames that it asked for is entered into the ledger."""
        try:
            if teardown := getattr(self.inner, "teardown_event", None):
                teardown(event)
        finally:
            if not self._canceled:
                with suppress(SpoolError) if self.failure else self._failure_noted():
                    self._recording.end_event(self._planned, self._stage())

    def teardown_sequence(self, sequence: Any) -> None:
        """Finish the run and close the files."""
        try:
            if teardown := getattr(self.inner, "teardown_sequence", None):
                with self._failure_noted():
                    teardown(sequence)
        finally:
            self.finish_reason = reason = str(self._core.mda.status.finish_reason)
            if self.failure is not None:
                reason = f"{type(self.failure).__name__}: {self.failure}".rstrip(": ")
            try:
                with self._failure_noted():
                    self._recording.close(interrupted=reason != "completed", reason=reason)
            finally:
                self._at_end()

    def _store(self, payload: Any, frames: Iterator[Any]) -> None:
        try:
            self._recording.put(*payload)
        except Exception as exc:
            # The camera would run on into a buffer that nobody empties.
            try:
                if isinstance(frames, Generator):
                    frames.send("cancel")
            except StopIteration:
                pass
            except Exception as stopping:  # noqa: BLE001 - must not hide why it was stopped
                exc.add_note(f"the camera could not be stopped either: {stopping}")
            raise

    def _store_rest(self, event: Any) -> None:
        """Store what the camera had made when the run was canceled, which `inner` leaves in the core's buffer."""
        labels = list(self._recording.spools)
        while isinstance(getattr(event, "events", None), tuple) and self._core.getRemainingImageCount():
            image, tags = self._core.popNextImageAndMD()
            tags = dict(tags)
            camera = labels.index(tags["Camera"]) if len(labels) > 1 else 0
            taken = event.events[self._recording.accounted(camera)]
            index = taken.index | ({"cam": camera} if len(labels) > 1 else {})
            self._recording.put(image, taken.model_copy(update={"index": index}), {"camera_metadata": tags})

    def _stage(self) -> LossStage:
        """Return where the frames were lost that the event did not deliver."""
        if isinstance(self.failure, SpoolError) or self._core.isBufferOverflowed():
            return "core"
        # Left unfinished without a failure of its own, the event was given up by the runner.
        return "camera" if self._finished or self.failure else "unknown"

    @contextmanager
    def _failure_noted(self) -> Iterator[None]:
        try:
            yield
        except Exception as exc:
            self.failure = self.failure or exc
            raise
