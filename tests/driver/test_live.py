"""A look at a recording while it runs, a ring before the trigger, and exposures at exact intervals."""

import asyncio
import threading

import numpy as np
import pytest

import mmspool
from mmspool import CameraBusyError, EndReason, Faults, SettingError, frame_index
from mmspool.driver.live import Newest, owns_memory


def table(path):
    """Return a recording's frame indices and its image numbers."""
    with mmspool.open(path) as recording:
        return [frame_index(frame) for frame in recording], list(recording.frame_table()["image_number"])


class TestLatest:
    """The newest frame of a recording that runs."""

    def test_is_the_newest(self, mock, start, wait_until):
        """It is a read-only frame that was stored, without a copy, and stays as it is."""
        recording = start(mock(), frames=50)
        recording.wait()
        newest = recording.latest()
        assert (newest.number, frame_index(newest.pixels)) == (49, 49)
        with pytest.raises(ValueError, match="read-only"):
            newest.pixels[0, 0] = 1

    def test_none_before_the_first(self, mock, start):
        """Before the first frame there is none."""
        recording = start(mock(faults=Faults(stall_after=0)), frames=5)
        assert recording.latest() is None
        recording.stop()
        recording.wait()

    def test_snap_while_recording(self, mock, start, wait_until):
        """The camera has its recording's newest frame, and snapping gives a copy; the recording loses nothing."""
        camera = mock(faults=Faults(stall_after=20))
        assert camera.latest() is None
        recording = start(camera, frames=30)
        wait_until(lambda: recording.stats.frames_received == 20)
        newest, image = camera.latest(), camera.snap()
        assert frame_index(newest.pixels) == frame_index(image) == newest.number == 19
        image[:] = 0
        recording.stop()
        result = recording.wait()
        assert camera.latest() is None
        assert table(result.path)[0] == list(range(20))

    def test_snap_in_somebody_elses_sequence(self, mock):
        """Without a recording there is no frame to give: a running sequence is left alone."""
        camera = mock()
        camera.core.start_sequence(1000)
        with pytest.raises(CameraBusyError, match="cannot snap an image"):
            camera.snap()


class TestMemory:
    """Frames whose memory the core uses again for the next one."""

    def test_is_copied(self):
        """A frame in foreign memory is copied, at most 20 times a second; one with its own memory is kept as it is."""
        memory = bytearray(8)
        foreign = np.frombuffer(memory, np.uint8).reshape(2, 4)
        own = np.zeros((4, 4), np.uint8)[::2]
        assert (owns_memory(foreign), owns_memory(own)) == (False, True)
        newest = Newest()
        newest.show(0, foreign, 10.0)
        memory[0] = 7
        newest.show(1, foreign, 10.01)
        assert (newest.frame.number, newest.frame.pixels[0, 0]) == (0, 0)
        newest.show(2, foreign, 10.1)
        assert (newest.frame.number, newest.frame.pixels[0, 0]) == (2, 7)
        newest.show(3, own, 10.11)
        assert newest.frame.pixels is own

    def test_held_frames(self, mock, start, mocker):
        """Frames that are held before a signal keep their pixels when the core uses one memory for all of them."""
        camera = mock()
        memory, pop = np.zeros((64, 96), np.uint16), camera.core.pop
        shared = np.frombuffer(memory.data, np.uint16).reshape(memory.shape)

        def reused():
            frame = pop()
            if frame is None:
                return None
            memory[:] = frame.pixels
            return frame._replace(pixels=shared)

        mocker.patch.object(camera.core, "pop", reused)
        known = {}
        recording = start(camera, pre_trigger_frames=10, frames=20, until=lambda: TestPreTrigger.save_at(known, 50))
        known |= {"recording": recording, "camera": camera}
        indices, _ = table(recording.wait().path)
        assert indices == list(range(indices[0], indices[0] + 20))


class TestOnFrame:
    """A function of the script that is called with frames."""

    def test_gets_the_newest_frames_in_order(self, mock, record):
        """It sees frames with rising numbers, the last one included, each with its own pixels."""
        seen, last = [], threading.Event()

        def look(frame):
            seen.append((frame.number, frame_index(frame.pixels)))
            if frame.number == 199:
                last.set()

        result = record(mock(), frames=200, on_frame=look)
        assert result.complete
        assert last.wait(20)
        assert seen == sorted(set(seen))
        assert all(index == pixels for index, pixels in seen)

    def test_slow_function_does_not_slow_saving(self, mock, record):
        """While it is held up all frames are stored; it gets one of them."""
        go = threading.Event()
        result = record(mock(), frames=300, on_frame=lambda _frame: go.wait(20))
        go.set()
        assert (result.complete, result.frames_written) == (True, 300)

    def test_function_that_fails(self, mock, record, caplog):
        """It is logged and not called again, and the recording goes on."""
        calls, failed = [], threading.Event()

        def fail(frame):
            calls.append(frame)
            failed.set()
            raise RuntimeError("no window")

        assert record(mock(), frames=50, on_frame=fail).complete
        assert failed.wait(20)
        assert len(calls) == 1


class TestAsyncFrames:
    """``async for frame in recording.frames()``."""

    def test_until_the_end(self, mock, start):
        """It gives newer and newer frames, the last one too, and ends with the recording."""

        async def collect():
            recording = start(mock(), frames=200)
            return recording, [frame.number async for frame in recording.frames()]

        recording, indices = asyncio.run(collect())
        assert recording.wait().complete
        assert indices == sorted(set(indices))
        assert indices[-1] == 199


class TestPreTrigger:
    """Frames are held in memory until the script says that they matter."""

    def test_held_frames_and_all_that_follow(self, mock, start, wait_until, backend):
        """On `save` the newest held frames and the following ones are stored, without a loss in between."""
        camera = mock(backend=backend)
        known = {}
        recording = start(camera, pre_trigger_frames=10, frames=50, until=lambda: self.save_at(known, 100))
        known |= {"recording": recording, "camera": camera}
        result = recording.wait()
        indices, numbers = table(result.path)
        assert (result.end_reason, result.frames_lost, len(indices)) == (EndReason.COMPLETED, 0, 50)
        assert indices == list(range(indices[0], indices[0] + 50))
        assert indices[0] > 0
        assert numbers == indices

    @staticmethod
    def save_at(known, exposures):
        """Ask for saving once the camera has made so many exposures."""
        if known and known["camera"].core._core.sequence._exposure >= exposures:
            known["recording"].save()
        return False

    def test_stopped_before(self, mock, start, wait_until):
        """Stopped without `save`, nothing is stored and nothing was lost."""
        camera = mock()
        recording = start(camera, pre_trigger_frames=5)
        wait_until(lambda: camera.core._core.sequence._exposure > 50)
        recording.stop()
        result = recording.wait()
        assert (result.frames_written, result.frames_lost, result.end_reason) == (0, 0, EndReason.STOPPED)

    def test_loss_among_the_held_ones(self, mock, start):
        """A frame that was lost in the camera among those that are stored is counted and located."""
        camera = mock(camera_counter=True, faults=Faults(dropped_in_camera=frozenset(range(5, 400, 10))))
        known = {}
        recording = start(camera, pre_trigger_frames=20, frames=40, until=lambda: self.save_at(known, 100))
        known |= {"recording": recording, "camera": camera}
        result = recording.wait()
        indices, _ = table(result.path)
        jumps = np.flatnonzero(np.diff(indices) > 1) + 1
        assert [loss.before_frame for loss in result.losses if loss.before_frame < len(indices)] == list(jumps)

    @pytest.mark.parametrize("wrong", [0, -1, 2.5])
    def test_wrong_number(self, mock, record, wrong):
        """A number of frames that makes no sense is refused before anything is made."""
        with pytest.raises(ValueError, match="pre_trigger_frames"):
            record(mock(), pre_trigger_frames=wrong)


class SteppedTime:
    """A time that goes on when somebody sleeps."""

    def __init__(self):
        self.now = 0.0

    def monotonic(self):
        """Return the time, s."""
        return self.now

    def time_ns(self):
        """Return the time by the wall clock, ns."""
        return 10**18 + round(self.now * 1e9)

    def sleep(self, seconds):
        """Let so much time pass."""
        self.now += seconds


@pytest.mark.usefixtures("processes")
class TestTimeLapse:
    """Single exposures at exact intervals."""

    def test_places_and_jitter(self, mock, tmp_path, backend):
        """Each frame has its planned place, and the jitter is reported."""
        camera = mock(backend=backend)
        result = camera.record_time_lapse(tmp_path / "run.h5", frames=5, interval_s=0.02, buffer_bytes=16 * 10**6)
        indices, numbers = table(result.spooled.path)
        stored = len(indices)
        assert stored + result.spooled.frames_lost == 5
        assert indices == list(range(stored))
        assert set(numbers) <= set(range(5))
        assert 0 <= result.jitter_rms_s <= result.jitter_s < 0.02

    def test_missed_places(self, mock, tmp_path, mocker):
        """Places that pass while an exposure takes too long are losses where they belong; nothing is made up for."""
        camera = mock()
        clock = mocker.patch("mmspool.driver.time_lapse.time", SteppedTime())
        snap, exposures = camera.core.snap, []

        def slow():
            exposures.append(clock.now)
            clock.now += 3.5 if len(exposures) == 3 else 0.1
            return snap()

        mocker.patch.object(camera.core, "snap", slow)
        result = camera.record_time_lapse(tmp_path / "run.h5", frames=8, interval_s=1.0, buffer_bytes=16 * 10**6)
        assert exposures == pytest.approx([0, 1, 2, 5.5, 6, 7])
        _, numbers = table(result.spooled.path)
        assert numbers == [0, 1, 2, 5, 6, 7]
        with mmspool.open(result.spooled.path) as recording:
            started_s = (np.asarray(recording.frame_table()["host_timestamp"]) - 10**18) / 1e9
        assert started_s == pytest.approx(exposures)
        assert [(loss.before_frame, loss.count) for loss in result.spooled.losses] == [(3, 2)]
        assert (result.complete, result.jitter_s) == (False, pytest.approx(0.5))

    def test_bursts(self, mock, tmp_path, backend, mocker):
        """At each time the camera makes a burst; of one that it ends early the last places are losses."""
        mocker.patch("mmspool.driver.time_lapse.time", SteppedTime())
        camera = mock(backend=backend)
        options = {"interval_s": 0.5, "burst_frames": 4, "buffer_bytes": 16 * 10**6}
        result = camera.record_time_lapse(tmp_path / "run.h5", frames=8, **options)
        indices, numbers = table(result.spooled.path)
        assert (result.complete, numbers, indices) == (True, list(range(8)), [0, 1, 2, 3] * 2)
        short = mock(backend=backend, faults=Faults(end_after=3))
        result = short.record_time_lapse(tmp_path / "short.h5", frames=8, **options)
        assert table(result.spooled.path)[1] == [0, 1, 2, 4, 5, 6]
        assert [(loss.before_frame, loss.count) for loss in result.spooled.losses] == [(3, 1), (6, 1)]

    @pytest.mark.parametrize(
        "wrong", [{"frames": 0}, {"interval_s": 0}, {"interval_s": float("inf")}, {"frames": 7, "burst_frames": 2}]
    )
    def test_plan_that_makes_no_sense(self, mock, tmp_path, wrong):
        """It is refused before anything is made."""
        with pytest.raises(ValueError, match=next(iter(wrong))):
            mock().record_time_lapse(tmp_path / "run.h5", **({"frames": 3, "interval_s": 1.0} | wrong))
        assert list(tmp_path.iterdir()) == []

    def test_refused_cameras(self, mock, tmp_path):
        """Settings with which frames would be recorded wrong are refused as for a recording."""
        camera = mock(family="pvcam")
        camera.properties["DiskStreamingEnabled"] = "Yes"
        with pytest.raises(SettingError, match="DiskStreamingEnabled"):
            camera.record(tmp_path / "run.h5", frames=3)
