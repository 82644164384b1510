"""Triggered recordings: bursts, and triggers that do not come."""

import math

import pytest

import mmspool
from mmspool import EndReason, Faults, MockCore, SettingError, SteppedClock
from mmspool import frame_index as index_of
from mmspool.adapters import wrap
from mmspool.driver.acquisition import Acquisition
from mmspool.driver.intake import FrameIntake
from mmspool.driver.options import RecordingOptions
from mmspool.driver.stop_conditions import StopConditions
from mmspool.driver.triggers import TriggerPlan, TriggerWatch


class SimulatedTime:
    """The time of the simulated camera, which goes on when the loop sleeps."""

    def __init__(self, clock):
        self.monotonic = clock
        self.sleep = clock.advance


def simulate_time(mocker, clock):
    """Let a recording's loop have the time of a clock."""
    for module in ("acquisition", "intake"):
        mocker.patch(f"mmspool.driver.{module}.time", SimulatedTime(clock))


class MemorySpool:
    """Keeps the indices of frames, and losses as (before which frame, how many, where)."""

    def __init__(self):
        self.indices, self.losses, self.stats = [], [], None

    def put(self, image, _metadata):
        """Keep the index of a frame."""
        self.indices.append(index_of(image))
        return True

    def record_loss(self, count, stage):
        """Keep a loss."""
        self.losses.append((len(self.indices), count, stage))

    def report_backlog(self, share):
        """Do nothing: nothing is compressed."""


@pytest.fixture
def run(mocker, backend):
    """Return a function that records a camera with a trigger every 10 ms, some of which do not come."""

    def record(frames, *, lost=(), stall_after=None, timeout_s=0.011, frames_per_trigger=1, frame_timeout_s=math.inf):
        clock = SteppedClock()
        simulate_time(mocker, clock)
        faults = Faults(lost_triggers=frozenset(lost), stall_after=stall_after)
        core = MockCore(backend, width=64, height=32, clock=clock, faults=faults)
        spool = MemorySpool()
        loop = Acquisition(
            wrap(core),
            FrameIntake(spool, triggers=TriggerPlan(timeout_s=timeout_s, frames_per_trigger=frames_per_trigger)),
            StopConditions(frames=frames, frame_timeout_s=frame_timeout_s),
        )
        loop.start()
        return loop.run(), spool

    return record


class TestMissing:
    """A limit for the missing trigger."""

    def test_are_marked_where_they_belong(self, run):
        """Each trigger that does not come is one loss at its place; the recording goes on and has all places."""
        end, spool = run(50, lost={10, 11, 12, 30})
        assert end is EndReason.COMPLETED
        assert spool.losses == [(10, 1, "trigger"), (10, 1, "trigger"), (10, 1, "trigger"), (27, 1, "trigger")]
        assert spool.indices == [index for index in range(50) if index not in {10, 11, 12, 30}]

    def test_last_ones(self, run):
        """When the last triggers do not come their places are marked, and the recording ends without more frames."""
        end, spool = run(50, lost=set(range(45, 1000)))
        assert end is EndReason.COMPLETED
        assert spool.indices == list(range(45))
        assert sum(count for _, count, stage in spool.losses if stage == "trigger") == 5

    def test_none_is_marked_before_the_first_frame(self, run):
        """The first trigger may take as long as ``frame_timeout_s``: what had not begun was not missed."""
        end, spool = run(50, stall_after=0, frame_timeout_s=1.0)
        assert (end, spool.indices) == (EndReason.TIMEOUT, [])
        assert spool.losses == [(0, 50, "camera")]

    def test_that_never_come_again(self, run):
        """After ``frame_timeout_s`` it ends all the same; what was to come until then is missing too."""
        end, spool = run(50, stall_after=20, frame_timeout_s=0.2)
        assert end is EndReason.TIMEOUT
        assert sum(count for _, count, _ in spool.losses) == 30
        assert {stage for _, _, stage in spool.losses} == {"trigger"}

    def test_not_asked_for(self, run):
        """Without a limit nothing is marked: a camera that waits is not a camera that lost something."""
        end, spool = run(50, lost={10, 11, 12}, timeout_s=math.inf)
        assert (end, spool.losses, len(spool.indices)) == (EndReason.COMPLETED, [], 50)

    def test_whole_bursts(self, run):
        """A missing trigger is a burst of frames; a burst that stops in the middle is the camera's loss."""
        end, spool = run(40, lost={*range(8, 12), 18, 19}, frames_per_trigger=4, timeout_s=0.035)
        assert end is EndReason.COMPLETED
        assert spool.losses[0] == (8, 4, "trigger")
        _, spool = run(40, stall_after=6, frames_per_trigger=4, frame_timeout_s=0.05, timeout_s=0.035)
        assert spool.losses[0] == (6, 2, "camera")


class TestPlan:
    """What can be asked for."""

    def test_triggers_are_frames(self):
        """A number of triggers, each of which gives a burst, is a number of frames."""
        options = RecordingOptions.from_keywords({"triggers": 5, "frames_per_trigger": 20}, exposure_ms=10)
        assert options.conditions.frames == 100

    def test_time_limit(self):
        """A recording waits ten missing triggers before it ends, or as long as it was told to."""
        limit = RecordingOptions.from_keywords({"trigger_timeout_s": 60}, exposure_ms=10).conditions.frame_timeout_s
        assert limit == 600
        told = {"trigger_timeout_s": 60, "frame_timeout_s": 5}
        assert RecordingOptions.from_keywords(told, exposure_ms=10).conditions.frame_timeout_s == 5

    @pytest.mark.parametrize(
        ("options", "message"),
        [
            ({"triggers": 5, "frames": 100}, "triggers or frames, not both"),
            ({"frames": 10, "frames_per_trigger": 4}, "no whole number of triggers of 4 frames"),
            ({"triggers": 0}, "triggers is a whole number"),
            ({"frames_per_trigger": 1.5, "triggers": 2}, "frames_per_trigger is a whole number"),
            ({"trigger_timeout_s": 0}, "trigger_timeout_s is a positive number"),
            ({"trigger_timeout_s": math.nan}, "trigger_timeout_s is a positive number"),
        ],
    )
    def test_that_makes_no_sense(self, mock, record, tmp_path, options, message):
        """It is refused before anything is created."""
        with pytest.raises(ValueError, match=message):
            record(mock(), **options)
        assert list(tmp_path.iterdir()) == []

    def test_burst_that_the_camera_does_not_give(self, mock, record, tmp_path):
        """A camera that is set to another number of frames for a trigger is refused, with what to set."""
        camera = mock(family="tucam")
        with pytest.raises(
            SettingError, match=r"gives 1 for each trigger: give that number, or set camera.trigger.burst_frames = 5"
        ):
            record(camera, triggers=2, frames_per_trigger=5)
        assert list(tmp_path.iterdir()) == []
        camera.trigger.burst_frames = 5
        with pytest.raises(SettingError, match="gives 5 for each trigger: give that number, or set camera"):
            record(camera, triggers=2)
        assert record(camera, triggers=2, frames_per_trigger=5).frames_written == 10


class TestRecording:
    """Files of triggered recordings."""

    def test_says_what_was_planned_and_missed(self, mock, record, mocker):
        """The file has the plan, missing triggers are losses, and each frame has its place among the planned ones."""
        clock = SteppedClock()
        simulate_time(mocker, clock)
        camera = mock(faults=Faults(stall_after=12), clock=clock)
        camera.properties["TriggerMode"] = "External"
        result = record(camera, triggers=8, frames_per_trigger=2, trigger_timeout_s=0.05)
        assert (result.end_reason, result.frames_written, result.frames_lost) == (EndReason.COMPLETED, 12, 4)
        assert not result.complete
        assert {loss.stage for loss in result.losses} == {"trigger"}
        with mmspool.open(result.path) as recording:
            plan = recording.metadata["detector"]["camera"]["trigger"]
            places = mmspool.frames_by_place(recording).reshape(-1, 2)
        assert plan == {"frames_per_trigger": 2, "triggers": 8, "timeout_s": 0.05}
        assert places.tolist()[:6] == [[2 * trigger, 2 * trigger + 1] for trigger in range(6)]
        assert places.tolist()[6:] == [[-1, -1], [-1, -1]]


def test_watch_counts_one_trigger_each_limit():
    """After one limit one trigger is missing, after two limits two, whenever one looks."""
    watch = TriggerWatch(TriggerPlan(timeout_s=1.0, frames_per_trigger=3))
    assert watch.missing(100.0, 0) is None
    watch.frame_came(10.0)
    assert watch.missing(10.9, 3) is None
    assert watch.missing(12.5, 3) == (3, "trigger")
    assert watch.missing(12.5, 6) == (3, "trigger")
    assert watch.missing(12.5, 9) is None
    assert watch.missing(13.5, 10) == (2, "camera")
