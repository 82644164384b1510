"""The acquisition loop against a simulated core, with a spool in memory: fast, and steppable to the call."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mmspool import CoreError, EndReason, Faults, FrameError, MockCore, RingFullError, SteppedClock, WriterError
from mmspool import frame_index as index_of
from mmspool.adapters import MAX_FRAMES, wrap
from mmspool.driver import acquisition as module
from mmspool.driver.acquisition import Acquisition
from mmspool.driver.intake import FrameIntake
from mmspool.driver.stop_conditions import StopConditions

FRAMES_PER_MB = 2**20 // (64 * 32 * 2)
TOO_SLOW = RingFullError("the ring was full")


class MemorySpool:
    """Takes frames and losses as a spool does, and keeps what they show.

    ``fails`` is ``{frame: exception}``.
    """

    def __init__(self, fails=None):
        self.indices, self.metadata, self.losses = [], [], []
        self.stats, self.most_backlog = None, 0.0
        self._fails = fails or {}

    def put(self, image, metadata):
        """Keep the index of a frame, or fail."""
        if error := self._fails.get(len(self.indices)):
            raise error
        self.indices.append(index_of(image))
        self.metadata.append(metadata)
        return True

    def record_loss(self, count, stage):
        """Keep a loss as (before which frame, how many, where)."""
        self.losses.append((len(self.indices), count, stage))

    def report_backlog(self, share):
        """Keep how full the core's buffer was at most."""
        self.most_backlog = max(self.most_backlog, share)


class Rig:
    """A loop that is ready to start, and everything around it."""

    def __init__(self, *, tick_s=0.004, faults=None, backend="python", spool_fails=None, buffer_mb=None, **plan):
        self.clock = SteppedClock(tick_s=tick_s)
        self.core = MockCore(backend, width=64, height=32, clock=self.clock, faults=faults, camera_counter=True)
        self.adapter = wrap(self.core)
        if buffer_mb:
            self.adapter.set_buffer_mb(buffer_mb)
        self.spool = MemorySpool(spool_fails)
        self.loop = Acquisition(self.adapter, FrameIntake(self.spool), StopConditions(**plan))

    def run(self):
        """Start and run to the end."""
        self.loop.start()
        return self.loop.run()

    def run_into(self, error):
        """Start, run into an exception, and return it."""
        self.loop.start()
        with pytest.raises(error) as caught:
            self.loop.run()
        return caught.value

    @property
    def received(self):
        """How many frames were taken."""
        return self.loop.stats.frames_received


class TestPlan:
    """When a recording ends."""

    @pytest.mark.parametrize("frames", [0, -1, MAX_FRAMES + 1, 1e4, 2.5, "10"])
    def test_frames_is_a_whole_number(self, frames):
        """Not zero, not more than a C long, and no float."""
        with pytest.raises(ValueError, match=r"frames is a whole number, 1 to 2,147,483,647, not"):
            StopConditions(frames=frames)

    @pytest.mark.parametrize("value", [0, -1.0, math.nan])
    @pytest.mark.parametrize("name", ["seconds", "frame_timeout_s"])
    def test_times_are_positive(self, name, value):
        """Zero and NaN are no time to wait."""
        with pytest.raises(ValueError, match=f"{name} is a positive number"):
            StopConditions(**{name: value})

    def test_open_ended_is_without_any_end(self):
        """A time limit for single frames is no end that was asked for."""
        assert StopConditions(frame_timeout_s=5).open_ended
        for limits in ({"frames": 1}, {"seconds": 1}, {"until": lambda: True}):
            assert not StopConditions(**limits).open_ended


class TestEnds:
    """Why a recording ends."""

    def test_all_frames(self, backend):
        """Each frame once, in order, with its counters."""
        rig = Rig(frames=200, backend=backend)
        assert rig.run() is EndReason.COMPLETED
        assert rig.spool.indices == list(range(200))
        assert rig.spool.losses == []
        assert [entry["image_number"] for entry in rig.spool.metadata] == list(range(200))
        assert [entry["camera_frame_number"] for entry in rig.spool.metadata] == list(range(1, 201))
        assert rig.core.calls["stop_sequence_acquisition"] == 0

    @given(st.integers(1, 3), st.floats(0.0001, 0.03), st.booleans())
    def test_last_frame_is_never_lost(self, frames, tick_s, java):
        """However the end of a short sequence falls between two questions to the core."""
        rig = Rig(frames=frames, tick_s=tick_s, backend="java" if java else "python")
        assert rig.run() is EndReason.COMPLETED
        assert rig.spool.indices == list(range(frames))

    def test_sequence_is_finite_and_stops_on_overflow(self, mocker):
        """Any other way to start a sequence loses frames silently."""
        rig = Rig(seconds=1e-9)
        started = mocker.spy(rig.core, "start_sequence_acquisition")
        rig.run()
        started.assert_called_once_with(MAX_FRAMES, 0.0, True)

    def test_time(self):
        """After so many seconds the camera is stopped, and what it made is taken."""
        rig = Rig(seconds=1e-9)
        assert rig.run() is EndReason.COMPLETED
        assert rig.core.calls["stop_sequence_acquisition"] == 1
        assert rig.spool.losses == []
        assert rig.adapter.remaining() == 0

    def test_until(self):
        """Whatever a script wants to wait for."""
        rig = Rig(until=lambda: len(rig.spool.indices) >= 20)
        assert rig.run() is EndReason.COMPLETED
        assert rig.spool.indices == list(range(rig.received))
        assert rig.received >= 20
        assert rig.adapter.remaining() == 0

    def test_stop(self):
        """A request to stop is heard, and all frames until then are taken."""
        rig = Rig(until=lambda: rig.received >= 20 and rig.loop.stop())
        assert rig.run() is EndReason.STOPPED
        assert rig.spool.indices == list(range(rig.received))
        assert rig.spool.losses == []

    def test_stop_after_the_last_frame_changes_nothing(self):
        """All frames that were asked for are all frames."""
        rig = Rig(frames=5)
        put = rig.spool.put
        rig.spool.put = lambda *frame: put(*frame) and rig.received == 4 and rig.loop.stop()
        assert rig.run() is EndReason.COMPLETED

    def test_camera_ends_early(self, backend):
        """A camera reports errors in no other way than by too few frames."""
        rig = Rig(frames=20, faults=Faults(end_after=5), backend=backend)
        assert rig.run() is EndReason.CAMERA_STOPPED
        assert rig.spool.indices == list(range(5))
        assert rig.spool.losses == [(5, 15, "camera")]

    def test_camera_ends_early_without_a_number(self):
        """A camera that stops early without a requested number ends the recording as CAMERA_STOPPED."""
        rig = Rig(seconds=1e6, faults=Faults(end_after=5))
        assert rig.run() is EndReason.CAMERA_STOPPED
        assert rig.spool.losses == []

    def test_request_to_stop_does_not_hide_that_the_camera_had_ended(self):
        """A camera that failed while its frames were still being taken was not stopped by the user."""
        rig = Rig(faults=Faults(end_after=200), tick_s=10)
        rig.loop.stop()
        assert rig.run() is EndReason.CAMERA_STOPPED
        assert rig.spool.indices == list(range(200))

    @pytest.mark.parametrize("plan", [{"frames": 10}, {"seconds": 1e6}])
    def test_missed_trigger(self, plan):
        """When no frame came in time, the camera is stopped; frames that were asked for are missing."""
        rig = Rig(**plan, frame_timeout_s=0.03, faults=Faults(stall_after=3))
        assert rig.run() is EndReason.TIMEOUT
        assert rig.spool.indices == [0, 1, 2]
        assert rig.spool.losses == ([(3, 7, "camera")] if "frames" in plan else [])
        assert not rig.adapter.is_sequence_running()

    def test_lost_trigger_is_no_loss(self):
        """An exposure that never happened is no frame; the camera goes on until it has its frames."""
        rig = Rig(frames=10, faults=Faults(lost_triggers=frozenset({3, 4})))
        assert rig.run() is EndReason.COMPLETED
        assert rig.spool.indices == [0, 1, 2, *range(5, 12)]
        assert rig.spool.losses == []

    def test_camera_that_runs_on_after_its_last_frame_is_stopped(self, mocker, monkeypatch):
        """A camera that runs on after its last frame is stopped after a moment, not after the frame timeout."""
        monkeypatch.setattr(module, "_GRACE_S", 0.0)
        rig = Rig(frames=5)
        running = mocker.patch.object(rig.adapter, "is_sequence_running")
        running.side_effect = lambda: rig.core.calls["stop_sequence_acquisition"] == 0
        assert rig.run() is EndReason.COMPLETED
        assert rig.spool.indices == list(range(5))
        assert rig.spool.losses == []

    @pytest.mark.parametrize("stuck", ["is_sequence_running", "get_remaining_image_count"])
    def test_core_that_does_not_end_is_given_up(self, mocker, monkeypatch, stuck):
        """No wait is without a limit: one for a core that promises frames or an end that never come."""
        monkeypatch.setattr(module, "_ENDING_S", 0.02)
        rig = Rig(until=lambda: rig.received >= 3)
        mocker.patch.object(rig.core, stuck, side_effect=lambda: rig.clock.tick() or 1)
        error = rig.run_into(CoreError)
        assert str(error).startswith("the core does not come to an end: for 0.02 s it gave no frame")
        assert rig.spool.indices == list(range(rig.received))


class TestOverflow:
    """The core's buffer is full."""

    def test_slow_consumer(self, backend):
        """The buffered frames are taken, and the rest is missing in the core."""
        rig = Rig(frames=5000, tick_s=100, buffer_mb=1, backend=backend)
        assert rig.run() is EndReason.OVERFLOW
        assert rig.spool.indices == list(range(FRAMES_PER_MB))
        assert rig.spool.losses == [(FRAMES_PER_MB, 5000 - FRAMES_PER_MB, "core")]
        assert rig.loop.stats.core_peak == rig.loop.stats.core_capacity == FRAMES_PER_MB

    def test_while_frames_are_put(self):
        """Time that passes in a slow put fills the buffer, too."""
        rig = Rig(frames=5000, buffer_mb=1)
        put = rig.spool.put
        rig.spool.put = lambda *frame: put(*frame) and rig.clock.advance(0.05)
        assert rig.run() is EndReason.OVERFLOW
        taken = rig.received
        assert taken > FRAMES_PER_MB
        assert rig.spool.indices == list(range(taken))
        assert rig.spool.losses == [(taken, 5000 - taken, "core")]

    def test_without_a_number_one_frame_is_known_to_be_lost(self):
        """An overflow without a requested number counts one lost frame: the one that did not fit."""
        rig = Rig(tick_s=100, buffer_mb=1)
        assert rig.run() is EndReason.OVERFLOW
        assert rig.spool.losses == [(FRAMES_PER_MB, 1, "core")]
        assert rig.spool.most_backlog == 1.0

    def test_is_not_hidden_by_a_request_to_stop(self):
        """An overflow is reported even if a stop was requested before the last frames were taken."""
        rig = Rig(tick_s=100, buffer_mb=1)
        rig.loop.stop()
        assert rig.run() is EndReason.OVERFLOW

    def test_camera_that_runs_on_can_be_started_again(self, backend):
        """Some cameras have to be stopped after an overflow, and complain even then."""
        rig = Rig(frames=5000, tick_s=100, buffer_mb=1, backend=backend, faults=Faults(runs_on_after_overflow=True))
        assert rig.run() is EndReason.OVERFLOW
        assert rig.spool.losses == [(FRAMES_PER_MB, 5000 - FRAMES_PER_MB, "core")]
        rig.adapter.start_sequence(1)


class TestLosses:
    """Frames that are missing in the middle."""

    def test_jump_of_the_image_number(self):
        """A jump of the image number is a loss before the frame that jumped."""
        rig = Rig(frames=20, faults=Faults(image_number_jumps={5: 3, 10: 1}))
        rig.run()
        assert rig.spool.losses == [(5, 3, "core"), (7, 1, "core")]

    def test_frames_lost_in_the_core_count_as_delivered(self):
        """The camera made them: what is short of the number at the end is only the rest."""
        rig = Rig(frames=20, faults=Faults(image_number_jumps={5: 3}, end_after=17))
        assert rig.run() is EndReason.COMPLETED
        assert rig.spool.losses == [(5, 3, "core")]

    def test_reset_of_the_image_number(self):
        """A reset of the image number, which older cores make when their buffer is full, is a loss in the core."""
        rig = Rig(frames=20, faults=Faults(image_number_reset_at=8))
        rig.run()
        assert rig.spool.losses == [(8, 1, "core")]
        assert rig.received == 20

    def test_gap_of_the_camera_counter(self):
        """Frames lost between sensor and core are counted once, where they are missing."""
        rig = Rig(frames=20, faults=Faults(dropped_in_camera=frozenset({4, 5, 11})))
        assert rig.run() is EndReason.COMPLETED
        assert rig.spool.indices == [index for index in range(20) if index not in {4, 5, 11}]
        assert rig.spool.losses == [(4, 2, "camera"), (9, 1, "camera")]

    def test_frames_lost_in_the_camera_at_the_end(self):
        """Frames that the camera lost at the end are found by comparing with the requested number."""
        rig = Rig(frames=20, faults=Faults(dropped_in_camera=frozenset({4, 18, 19})))
        assert rig.run() is EndReason.CAMERA_STOPPED
        assert rig.spool.losses == [(4, 1, "camera"), (17, 2, "camera")]

    @pytest.mark.parametrize("pops", [{1}, {3}, {20}, {5, 6, 7, 8}, set(range(1, 40, 2))])
    def test_pop_that_fails_although_a_frame_waits(self, backend, pops):
        """The frame is taken later; nothing is lost."""
        rig = Rig(frames=20, faults=Faults(empty_pops=frozenset(pops)), backend=backend)
        assert rig.run() is EndReason.COMPLETED
        assert rig.spool.indices == list(range(20))
        assert rig.spool.losses == []


class TestFailures:
    """The core, the spool or the script fails."""

    @pytest.mark.parametrize(
        ("method", "call"),
        [
            ("pop_next_tagged_image", 8),
            ("is_sequence_running", 6),
            ("get_remaining_image_count", 6),
            ("is_buffer_overflowed", 6),
        ],
    )
    def test_core_fails(self, backend, method, call):
        """The error is the core's, the camera is stopped, and all frames that are short are in the ledger."""
        rig = Rig(frames=20, faults=Faults(errors={method: {call: "cable pulled"}}), backend=backend)
        error = rig.run_into(CoreError)
        assert str(error).startswith(f"core.{method}() failed: ")
        assert str(error).endswith("cable pulled")
        assert rig.spool.indices == list(range(rig.received))
        assert 0 < rig.received < 20
        assert rig.spool.losses == [(rig.received, 20 - rig.received, "core")]
        assert not rig.adapter.is_sequence_running()

    def test_core_fails_when_asked_for_the_overflow_at_the_end(self, mocker):
        """Not knowing whether frames are missing is a failure, too."""
        rig = Rig(frames=5)
        mocker.patch.object(rig.adapter, "is_overflowed", side_effect=CoreError("cable pulled"))
        mocker.patch.object(rig.adapter, "is_sequence_running", side_effect=rig.core.is_sequence_running)
        rig.run_into(CoreError)
        assert rig.spool.indices == list(range(5))

    def test_core_fails_without_a_number(self):
        """What waits in the core, and the frame that could not be taken, are known to be lost."""
        rig = Rig(tick_s=0.02, faults=Faults(errors={"pop_next_tagged_image": {8: "cable pulled"}}))
        rig.run_into(CoreError)
        [(before, count, stage)] = rig.spool.losses
        assert (before, stage) == (7, "core")
        assert count == rig.adapter.remaining() + 1

    def test_camera_cannot_be_stopped(self):
        """The error of a stop ends the recording."""
        errors = {"stop_sequence_acquisition": {1: "does not answer"}}
        rig = Rig(until=lambda: rig.received >= 5, faults=Faults(errors=errors))
        assert "does not answer" in str(rig.run_into(CoreError))
        assert rig.spool.indices == list(range(rig.received))
        assert rig.core.calls["stop_sequence_acquisition"] == 2
        assert not rig.adapter.is_sequence_running()

    def test_camera_cannot_be_stopped_after_a_failure(self):
        """The failure is raised; that stopping failed too is a note."""
        errors = {"pop_next_tagged_image": {3: "cable pulled"}, "stop_sequence_acquisition": {1: "does not answer"}}
        error = Rig(frames=9, faults=Faults(errors=errors)).run_into(CoreError)
        assert "cable pulled" in str(error)
        assert error.__notes__ == [
            "the camera could not be stopped either: core.stop_sequence_acquisition() failed: does not answer"
        ]

    def test_spool_fails(self):
        """The camera is stopped; nothing more can be entered anywhere."""
        rig = Rig(frames=20, spool_fails={5: WriterError("disk gone")})
        rig.run_into(WriterError)
        assert rig.spool.indices == list(range(5))
        assert rig.spool.losses == []
        assert not rig.adapter.is_sequence_running()

    def test_ring_is_full(self):
        """The frame that the spool has entered is not entered again; the others that were asked for are."""
        rig = Rig(frames=20, spool_fails={5: TOO_SLOW})
        rig.run_into(RingFullError)
        assert rig.spool.losses == [(5, 14, "core")]

    def test_ring_is_full_without_a_number(self):
        """What waits in the core is lost with it."""
        rig = Rig(tick_s=0.02, spool_fails={5: TOO_SLOW})
        rig.run_into(RingFullError)
        assert rig.spool.losses == [(5, rig.adapter.remaining(), "core")]

    def test_frame_does_not_fit(self):
        """A frame of another format is not stored; the ledger counts it with the frames still waiting."""
        rig = Rig(tick_s=0.02, spool_fails={5: FrameError("another shape")})
        rig.run_into(FrameError)
        assert rig.spool.losses == [(5, rig.adapter.remaining() + 1, "core")]

    @pytest.mark.parametrize("error", [ZeroDivisionError, SystemExit])
    def test_script_fails(self, error):
        """An error in ``until`` is raised, with all frames that the camera made until then in the spool."""

        def until():
            if rig.received >= 5:
                raise error

        rig = Rig(until=until, tick_s=0.02)
        rig.run_into(error)
        assert rig.spool.indices == list(range(rig.received))
        assert rig.spool.losses == []
        assert rig.adapter.remaining() == 0
        assert not rig.adapter.is_sequence_running()
