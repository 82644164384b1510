"""The acquisition loop: takes frames from the core as they come, and knows every way in which they may not."""

import time
from collections import deque

from ..adapters import MAX_FRAMES, CoreAdapter, Frame, owns_memory
from ..errors import CoreError, RingFullError, SpoolClosedError, WriterError
from ..persistence import LossStage
from .intake import FrameIntake
from .result import EndReason, RecordStats
from .stop_conditions import StopConditions
from .stopping import CameraStopper

_IDLE_S = 0.0005  # the core has no event for a new frame; at 1,000 frames/s this polls twice a frame
_QUIET_S = 0.02  # between two looks while no frame comes: 50 a second cost less than a percent of a core
_QUIET_SHARE = 0.05  # of the time since the last frame
_BATCH = 64  # frames taken between two looks at the clock and at requests to stop
_GRACE_S = 1.0  # for a camera to end by itself once it has made all its frames
_ENDING_S = 10.0  # for a core to give the rest of its frames and to say that it has stopped


class Acquisition:
    """One sequence of the camera, from its start to its last frame.

    Parameters
    ----------
    core
        The core, idle and configured.
    intake
        Stores its frames.
    conditions
        When to end.
    pre_trigger_frames
        Hold this many newest frames in memory and store none, until `save`; None stores all.

    Attributes
    ----------
    conditions
        When it ends.
    intake
        Stores its frames.
    stopper
        Stops the camera.
    stopped_by
        Name of the signal that ended it; empty for none.
    """

    def __init__(
        self,
        core: CoreAdapter,
        intake: FrameIntake,
        conditions: StopConditions,
        *,
        pre_trigger_frames: int | None = None,
    ) -> None:
        self._core = core
        self.intake = intake
        self.conditions = conditions
        self._held: deque[Frame] | None = None if pre_trigger_frames is None else deque(maxlen=pre_trigger_frames)
        self._runs_on = self._held is not None  # though it has the frames it was asked for
        self._save = False
        self.stopper = CameraStopper(core)
        self._stop = False
        self.stopped_by = ""
        self._failure: BaseException | None = None
        self._in_transit = 0
        self._waiting = 0
        self._core_peak = 0
        self._capacity = core.buffer_capacity()
        self._started = 0.0
        self._last_frame = 0.0

    @property
    def stats(self) -> RecordStats:
        """Current status."""
        return RecordStats(
            frames_requested=self.conditions.frames,
            frames_received=self.intake.received,
            core_waiting=self._waiting,
            core_peak=self._core_peak,
            core_capacity=self._capacity,
            spool=self.intake.spool.stats,
            frame_path=self._core.frame_path,
        )

    @property
    def duration_s(self) -> float:
        """From the start to the last frame so far."""
        return max(0.0, self._last_frame - self._started)

    def start(self) -> None:
        """Start the camera: a finite count and stop-on-overflow, since any other way loses frames silently."""
        frames = None if self._runs_on else self.conditions.frames
        self._core.start_sequence(frames or MAX_FRAMES)
        self._started = self._last_frame = time.monotonic()

    def stop(self, by: str = "") -> None:
        """Ask the loop to stop the camera, take what it made and return; from any thread or signal handler.

        ``by`` is the name of the signal that asked for it, if one did; the first one counts. Asked again, it gives up a
        core in another process that has not answered a call for some seconds.
        """
        if self._stop:
            self._core.abandon_stuck_call()
        else:
            self.stopped_by = by
        self._stop = True  # an Event has a lock, on which a signal handler that interrupted it would deadlock

    def save(self) -> None:
        """Store the frames that are held and all that follow; from any thread or signal handler."""
        self._save = True

    def run(self) -> EndReason:
        """Take frames until the end, and enter what is missing into the spool's ledger.

        Raises
        ------
        CoreError
            The core failed; the frames until then are in the spool.
        SpoolError
            The spool failed.
        BaseException
            What ``until`` raised; all frames that the camera made are in the spool.
        """
        try:
            end = self._close_ledger(self._take_all())
        except Exception as exc:
            self._stop_after(exc)
            raise
        if self._failure is not None:
            raise self._failure
        return end

    def _take_all(self) -> EndReason | None:
        """Take frames until there are no more; return why the camera was stopped, None when it ended by itself."""
        end: EndReason | None = None
        self._wait_for_others()
        last_progress = time.monotonic()
        while True:
            running = self._core.is_sequence_running()  # before remaining: the other order loses the last frame
            self._waiting = self._core.remaining()
            self._core_peak = max(self._core_peak, self._waiting)
            self.intake.spool.report_backlog(self._waiting / max(1, self._capacity))
            if self._save and self._held is not None:
                self._put_held(self._held)
            got = self._take(min(self._waiting, _BATCH))
            if running and not self._waiting and end is None:
                self.intake.mark_missing_triggers()
            if not running and not self._waiting:
                return end
            # One that has ended by itself is not stopped by anybody, though its frames are still to be taken.
            if running and end is None and (end := self._reason_to_stop()):
                self.stopper.stop()
                last_progress = time.monotonic()
            if got or (running and end is None):
                last_progress = time.monotonic()
            elif time.monotonic() - last_progress > _ENDING_S:
                raise CoreError(
                    f"the core does not come to an end: for {_ENDING_S:g} s it gave no frame, says that "
                    f"{self._waiting} wait, and that its sequence {'runs' if running else 'has ended'}: restart the "
                    "core before the next recording"
                )
            if not got:
                time.sleep(self._pause_s())

    def _wait_for_others(self) -> None:
        """Wait until the sequence runs, as one of several cameras; time counts from then."""
        while not self._core.has_started() and not self._stop:
            time.sleep(_IDLE_S)
            self._started = self._last_frame = time.monotonic()

    def _pause_s(self) -> float:
        """Return how long to wait for a frame: the longer none came, the less often the core is asked."""
        quiet_s = time.monotonic() - self._last_frame
        return min(_QUIET_S, max(_IDLE_S, quiet_s * _QUIET_SHARE))

    def _take(self, count: int) -> int:
        for taken in range(count):
            self._in_transit = 1
            frame = self._core.pop()
            if frame is None:  # the core may promise one more than it has
                self._in_transit = 0
                return taken
            if self._held is None:
                self._put(frame)
            else:  # the core may use a frame's memory again for the next one
                held = frame if owns_memory(frame.pixels) else frame._replace(pixels=frame.pixels.copy())
                self._held.append(held)
                self._last_frame = time.monotonic()
            self._in_transit = 0
        return count

    def _put_held(self, held: deque[Frame]) -> None:
        """Store what was held; frames that were dropped before are no loss, and the time counts from here."""
        self._held = None
        self._started = time.monotonic()
        if held:
            self.intake.begin_with(held[0])
        for frame in held:
            self._put(frame)

    def _put(self, frame: Frame) -> None:
        if self._has_enough():
            return
        self._last_frame = self.intake.put(frame)

    def _has_enough(self) -> bool:
        """Whether a camera that goes on by itself has made what was asked for.

        It does so after frames that were held, and where triggers are missing, instead of which it waits for others.
        """
        frames = self.conditions.frames
        if frames is None or not (self._runs_on or self.intake.marks):
            return False
        return self.intake.received + (self.intake.lost if self.intake.marks else 0) >= frames

    def _reason_to_stop(self) -> EndReason | None:
        conditions, now = self.conditions, time.monotonic()
        quiet_s = now - self._last_frame
        if self._stop:
            return EndReason.STOPPED
        elapsed = conditions.seconds is not None and now - self._started >= conditions.seconds and self._held is None
        if elapsed or self._has_enough():
            return EndReason.COMPLETED
        if conditions.frames is not None and self.intake.received >= conditions.frames and quiet_s > _GRACE_S:
            return EndReason.COMPLETED  # some cameras run on until they are stopped
        if quiet_s > conditions.frame_timeout_s:
            return EndReason.TIMEOUT
        return self._asked_by_script()

    def _asked_by_script(self) -> EndReason | None:
        """Ask ``until``; when it fails, the frames that were made are taken before its error is raised."""
        try:
            return EndReason.COMPLETED if self.conditions.until is not None and self.conditions.until() else None
        except BaseException as exc:  # noqa: BLE001 - raised by run
            self._failure = exc
            return EndReason.FAILED

    def _stop_after(self, exc: Exception) -> None:
        """Stop the camera after a failure; that this fails too must not hide the failure."""
        if self.stopper.stuck:
            return
        waiting = 0
        try:
            self.stopper.stop()
            waiting = self._core.remaining()
        except CoreError as stopping:
            exc.add_note(f"the camera could not be stopped either: {stopping}")
        if isinstance(exc, RingFullError):  # the spool has entered this frame
            self.intake.lost += 1
            self._in_transit = 0
        if not isinstance(exc, WriterError | SpoolClosedError):
            self._enter_shortage("core", waiting + self._in_transit)
        elif not_put := waiting + self._in_transit:
            exc.add_note(f"the camera had made {not_put:,} more frames, which were not recorded")

    def _close_ledger(self, end: EndReason | None) -> EndReason:
        """Find out why the camera is silent, and what is missing at the end."""
        if self._core.is_overflowed():
            end = EndReason.OVERFLOW
        elif self.conditions.frames is not None and self.intake.accounted >= self.conditions.frames:
            end = EndReason.COMPLETED
        elif end is None:
            end = EndReason.CAMERA_STOPPED
        if end is EndReason.OVERFLOW:
            self.stopper.stop()  # some cameras cannot be started again without
            self._enter_shortage("core", 1)
        elif end in (EndReason.CAMERA_STOPPED, EndReason.TIMEOUT):
            self._enter_shortage("trigger" if self.intake.marks and end is EndReason.TIMEOUT else "camera", 0)
        return end

    def _enter_shortage(self, stage: LossStage, known: int) -> None:
        """Enter the frames that were asked for and never came; without a number, those ``known`` to be lost."""
        if self._held is not None:  # none was to be stored yet
            return
        asked = self.conditions.frames
        short = known if asked is None else asked - self.intake.accounted
        if short > 0:
            self.intake.enter_loss(short, stage)
