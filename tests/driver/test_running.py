"""Recordings from a simulated camera to a file, proven by reading the file back."""

import errno
import itertools
import json
import math
import threading

import h5py
import numpy as np
import pytest
from support.processes import limit_files

import mmspool
from mmspool import (
    Camera,
    CameraBusyError,
    CoreError,
    EndReason,
    Faults,
    FrameError,
    Loss,
    MockCore,
    RingFullError,
    Roi,
    StorageError,
    WriterError,
)
from mmspool.driver import launch
from mmspool.persistence import Spool
from mmspool.persistence.system import new_file


@pytest.fixture
def failing_put(mocker):
    """Return a function that lets `Spool.put` fail at the frame given."""

    def patch(frame, error):
        put, calls = Spool.put, []

        def fail(self, *args):
            calls.append(1)
            if len(calls) == frame + 1:
                raise error
            return put(self, *args)

        mocker.patch.object(Spool, "put", autospec=True, side_effect=fail)

    return patch


class TestEnds:
    """What the result and the file say of each end."""

    def test_number_of_frames(self, mock, backend, record, read):
        """All frames in order, with the columns that the counters make."""
        camera = mock(backend=backend, camera_counter=True)
        result = record(camera, frames=250)
        file = read(result.path)
        assert result.end_reason is EndReason.COMPLETED
        assert result.complete
        assert (result.state, file.state, file.end_reason) == ("complete", "complete", "completed")
        assert result.frames_written == result.frames_requested == len(file.indices) == 250
        assert result.frames_lost == file.lost == 0
        assert result.losses == file.losses == ()
        assert file.holds_first(250)
        assert np.array_equal(file.frames["image_number"], np.arange(250))
        assert np.array_equal(file.frames["camera_frame_number"], np.arange(1, 251))
        assert np.array_equal(file.frames["sequence_number"], np.arange(250))
        period_ns = np.diff(file.frames["camera_timestamp"]) / 1e6
        assert np.allclose(period_ns, camera.exposure_ms, atol=0.02)
        assert np.all(np.diff(file.frames["host_timestamp"]) >= 0)
        assert result.stats.frames_received == result.stats.spool.frames_written == 250
        assert result.file_bytes == result.path.stat().st_size
        assert result.duration_s > 0
        assert result.mb_per_s > 0

    def test_frames_without_a_camera_counter(self, mock, record, read):
        """Counters that the camera does not have are -1 in the file."""
        result = record(mock(), frames=3)
        assert list(read(result.path).frames["camera_frame_number"]) == [-1, -1, -1]

    def test_time(self, mock, record, read):
        """A recording with `seconds` ends as planned with all frames until then."""
        result = record(mock(), seconds=0.05)
        assert (result.end_reason, result.state, result.frames_requested) == (EndReason.COMPLETED, "complete", None)
        assert result.frames_written > 0
        assert read(result.path).holds_first(result.frames_written)

    def test_until(self, mock, raw, record, read):
        """A script's own condition is an end as planned."""
        camera = mock()
        result = record(camera, until=lambda: raw(camera).calls["pop_next_tagged_image"] >= 30)
        assert (result.end_reason, result.state) == (EndReason.COMPLETED, "complete")
        assert result.frames_written >= 30
        assert read(result.path).holds_first(result.frames_written)

    def test_first_end_counts(self, mock, record):
        """Frames, seconds and a condition together: whatever comes first."""
        result = record(mock(), frames=5, seconds=1e6, until=lambda: False)
        assert (result.end_reason, result.frames_written) == (EndReason.COMPLETED, 5)
        result = record(mock(), frames=10**6, until=lambda: True, overwrite=True)
        assert (result.end_reason, result.state) == (EndReason.COMPLETED, "complete")
        assert result.frames_written < 10**6

    def test_stop_without_a_plan_is_complete(self, mock, start, read, wait_until):
        """A recording without a planned end is complete when it is stopped."""
        recording = start(mock())
        wait_until(lambda: recording.stats.frames_received >= 20)
        recording.stop()
        result = recording.wait()
        assert (result.end_reason, result.state) == (EndReason.STOPPED, "complete")
        assert result.frames_written >= 20
        assert read(result.path).holds_first(result.frames_written)

    @pytest.mark.parametrize("plan", [{"frames": 10**6}, {"seconds": 1e6}, {"until": lambda: False}])
    def test_stop_before_the_end_that_was_asked_for_is_not(self, mock, start, read, wait_until, plan):
        """The file does not pass for a whole one, but nothing is lost."""
        recording = start(mock(), **plan)
        wait_until(lambda: recording.stats.frames_received >= 20)
        recording.stop()
        result = recording.wait()
        file = read(result.path)
        assert (result.end_reason, result.state, result.frames_lost) == (EndReason.STOPPED, "interrupted", 0)
        assert (file.state, file.end_reason) == ("interrupted", "stopped by the user")
        assert file.holds_first(result.frames_written)

    def test_stop_before_the_first_frame(self, mock, start, read):
        """The file is there, without a frame."""
        recording = start(mock(tick_s=0.0))
        recording.stop()
        result = recording.wait()
        assert (result.end_reason, result.state, result.frames_written) == (EndReason.STOPPED, "complete", 0)
        assert read(result.path).stack.shape == (0, 64, 96)

    @pytest.mark.parametrize(
        ("faults", "options", "end", "gap"),
        [
            (Faults(end_after=5), {}, EndReason.CAMERA_STOPPED, Loss(5, 495, "camera")),
            (Faults(stall_after=5), {"frame_timeout_s": 0.05}, EndReason.TIMEOUT, Loss(5, 495, "camera")),
        ],
    )
    def test_too_few_frames(self, mock, record, read, faults, options, end, gap):
        """What is short of the number is missing in the camera, and the recording was interrupted."""
        result = record(mock(faults=faults), frames=500, **options)
        file = read(result.path)
        assert (result.end_reason, result.state, result.complete) == (end, "interrupted", False)
        assert (file.state, file.end_reason) == ("interrupted", str(end))
        assert result.losses == file.losses == (gap,)
        assert result.frames_lost == file.lost == gap.count
        assert file.holds_first(5)

    def test_overflow(self, mock, record, read):
        """The frames that the core still had are in the file; the rest is missing in the core."""
        camera = mock(tick_s=1000.0)
        result = record(camera, frames=500, core_buffer_mb=1)
        file = read(result.path)
        capacity = 2**20 // (96 * 64 * 2)
        assert (result.end_reason, result.state, file.state) == (EndReason.OVERFLOW, "interrupted", "interrupted")
        assert result.stats.core_peak == result.stats.core_capacity == capacity
        assert file.losses == (Loss(capacity, 500 - capacity, "core"),)
        assert file.holds_first(capacity)
        assert file.end_reason == "the core's buffer overflowed"

    def test_overflow_by_a_slow_spool(self, mock, raw, record, read, mocker):
        """Time that passes in `put` fills the core's buffer."""
        camera, put = mock(), Spool.put

        def slow(self, *args):
            raw(camera)._clock.advance(0.05)
            return put(self, *args)

        mocker.patch.object(Spool, "put", autospec=True, side_effect=slow)
        result = record(camera, frames=500, core_buffer_mb=1)
        file = read(result.path)
        assert (result.end_reason, result.state) == (EndReason.OVERFLOW, "interrupted")
        assert file.losses == (Loss(result.frames_written, 500 - result.frames_written, "core"),)
        assert file.holds_first(result.frames_written)

    def test_next_recording_after_an_overflow(self, mock, record, read):
        """A camera that says it runs on after an overflow can be recorded again."""
        camera = mock(tick_s=1000.0, faults=Faults(runs_on_after_overflow=True))
        assert record(camera, frames=500, core_buffer_mb=1).end_reason is EndReason.OVERFLOW
        result = record(camera, frames=1, overwrite=True)
        assert result.complete
        assert read(result.path).holds_first(1)


class TestLosses:
    """Frames that are missing in the middle."""

    @pytest.mark.parametrize(
        ("faults", "gaps", "lost"),
        [
            (Faults(image_number_jumps={10: 4}), (Loss(10, 4, "core"),), ()),
            (Faults(image_number_reset_at=10), (Loss(10, 1, "core"),), ()),
            (
                Faults(dropped_in_camera=frozenset({10, 11, 30})),
                (Loss(10, 2, "camera"), Loss(28, 1, "camera")),
                (10, 11, 30),
            ),
        ],
    )
    def test_are_located(self, mock, record, read, faults, gaps, lost):
        """Where, how many and at which stage; ``sequence_number`` leaves them out."""
        result = record(mock(faults=faults, camera_counter=True), frames=50)
        file = read(result.path)
        assert (result.end_reason, result.state, file.state) == (EndReason.COMPLETED, "incomplete", "incomplete")
        assert result.losses == file.losses == gaps
        assert result.frames_lost == file.lost == sum(gap.count for gap in gaps)
        assert file.indices == [index for index in range(50) if index not in lost]
        jumps = {
            int(at) + 1: int(by) - 1
            for at in range(len(file.indices) - 1)
            if (by := np.diff(file.frames["sequence_number"])[at]) > 1
        }
        assert jumps == {gap.before_frame: gap.count for gap in gaps}

    def test_dropped_by_choice(self, mock, record, read):
        """With ``on_full="drop"`` a ring that is too small drops and counts; every frame is accounted for."""
        camera = mock(width=512, height=512, tick_s=0.2)
        result = record(camera, frames=100, on_full="drop", buffer_bytes=2 * 10**6)
        file = read(result.path)
        assert result.frames_written + result.frames_lost == 100
        assert all(gap.stage == "ring" for gap in file.losses)
        assert (result.state == "complete") == (not result.frames_lost)
        assert np.array_equal(file.frames["sequence_number"], file.indices)


class TestFile:
    """What else is in the file."""

    def test_metadata_and_detector(self, mock, backend, record, read):
        """The user's metadata, and the camera's settings as they were."""
        camera = mock(backend=backend, label="Zyla", pixel_size_um=0.325)
        camera.exposure_ms = 20
        camera.roi = Roi(8, 16, 64, 32)
        camera.properties["TriggerMode"] = "External"
        file = read(record(camera, frames=2, metadata={"sample": "café", "power": np.float32(0.5)}).path)
        assert file.metadata["metadata"] == {"sample": "café", "power": 0.5}
        detector = file.metadata["detector"]
        assert detector["description"] == "Simulated sCMOS camera (MockCamera/MockSCMOS)"
        assert detector["count_time_s"] == pytest.approx(0.02, rel=1e-3)
        assert detector["roi_origin"] == [16, 8]
        assert detector["sample_pixel_um"] == [0.325, 0.325]
        assert detector["acquisition_mode"] == "External"
        assert detector["camera"]["label"] == "Zyla"
        assert detector["camera"]["backend"] == backend
        assert detector["camera"]["properties"] == dict(camera.properties)
        assert file.stack.shape == (2, 32, 64)

    @pytest.mark.parametrize(("pixel_type", "dtype"), [("8bit", np.uint8), ("16bit", np.uint16)])
    def test_dtype_is_the_pixel_types(self, mock, record, read, pixel_type, dtype):
        """The dtype of the file is that of the camera's pixel type."""
        camera = mock()
        camera.pixel_type = pixel_type
        file = read(record(camera, frames=3).path)
        assert file.stack.dtype == dtype
        assert file.holds_first(3)

    def test_opens_with_plain_h5py(self, mock, record):
        """Plain h5py reads a recording."""
        result = record(mock(), frames=3)
        with h5py.File(result.path) as file:
            assert file["data"].shape == (3, 64, 96)
            assert json.loads(file["entry/metadata/json"][()]) == {}

    @pytest.mark.usefixtures("processes")
    def test_recordings_one_after_another(self, mock, tmp_path, read):
        """One camera makes several recordings, and each one's image numbers start at 0."""
        camera = mock()
        for name in ("a.h5", "b.h5"):
            result = camera.record(tmp_path / name, frames=7, buffer_bytes=16 * 10**6)
            assert result.complete
            assert list(read(result.path).frames["image_number"]) == list(range(7))


class TestRunning:
    """The handle of a recording in the background."""

    def test_tells_how_it_stands(self, mock, start, wait_until):
        """Measurements while it runs; none of them goes back, and the last ones are those of the result."""
        recording = start(mock(), frames=300)
        seen = [recording.stats]
        wait_until(lambda: seen.append(recording.stats) or not recording.running)
        result = recording.wait()
        for before, after in itertools.pairwise(seen):
            assert before.frames_received <= after.frames_received
            assert before.spool.frames_written <= after.spool.frames_written <= after.spool.frames_put
            assert before.core_peak <= after.core_peak <= after.core_capacity
        assert seen[-1].frames_requested == 300
        assert recording.stats.spool.frames_written == result.stats.spool.frames_written == 300
        assert recording.stats.core_waiting == 0

    def test_wait_with_a_limit(self, mock, start):
        """`wait` with a limit returns None while the recording runs, then the same result at every call."""
        recording = start(mock())
        assert recording.wait(0) is None
        assert recording.wait(0.01) is None
        assert not recording.join(0.01)
        assert recording.running
        recording.stop()
        recording.stop()
        result = recording.wait()
        assert recording.join(0)
        assert not recording.running
        assert recording.wait(0) is result is recording.wait()

    def test_context_manager_stops_it(self, mock, start, read, wait_until):
        """At the end of the block the file is closed."""
        with start(mock()) as recording:
            wait_until(lambda: recording.stats.frames_received >= 5)
        assert not recording.running
        result = recording.wait()
        assert result.end_reason is EndReason.STOPPED
        assert read(result.path).holds_first(result.frames_written)

    def test_error_in_the_block_stops_it_too(self, mock, start):
        """The error is raised, and the recording has ended."""
        with pytest.raises(ZeroDivisionError), start(mock()) as recording:
            _ = 1 / 0
        assert recording.wait().end_reason is EndReason.STOPPED

    def test_context_manager_raises_what_the_recording_failed_with(self, mock, start):
        """Leaving the `with` block raises the error that the recording failed with."""
        faults = Faults(errors={"pop_next_tagged_image": {5: "cable pulled"}})
        with pytest.raises(CoreError, match="cable pulled"), start(mock(faults=faults), frames=10) as recording:
            recording.join()

    def test_context_manager_notes_it_beside_an_error_of_the_script(self, mock, start):
        """An error of the script gets a note about the recording's own failure."""
        faults = Faults(errors={"pop_next_tagged_image": {5: "cable pulled"}})
        recording = start(mock(faults=faults), frames=10)
        recording.join()
        with pytest.raises(ZeroDivisionError) as caught, recording:
            _ = 1 / 0
        assert caught.value.__notes__ == ["the recording failed too: core.pop_next_tagged_image() failed: cable pulled"]

    def test_camera_is_busy_until_the_last_frame_is_taken(self, mock, start, mocker, tmp_path):
        """A camera that has ended is left alone while its frames are in the core's buffer: changes empty it."""
        camera = mock(tick_s=1000.0)
        drained, put, other = [], Spool.put, tmp_path / "other.h5"

        def refused(self, *args):
            for change in (lambda: camera.record(other, frames=1), camera.clear_roi, camera.sensor_size):
                with pytest.raises(CameraBusyError, match="while a recording takes its frames from the core"):
                    change()
            drained.append(camera.core.is_sequence_running())
            return put(self, *args)

        mocker.patch.object(Spool, "put", autospec=True, side_effect=refused)
        result = start(camera, frames=20).wait()
        assert result.complete
        assert drained == [False] * 20
        assert not other.exists()

    def test_closing_the_camera_ends_it(self, mock, start, read, wait_until):
        """The core does not go away under a recording."""
        camera = mock()
        recording = start(camera)
        wait_until(lambda: recording.stats.frames_received >= 5)
        camera.close()
        result = recording.wait(0)
        assert result.end_reason is EndReason.STOPPED
        assert read(result.path).holds_first(result.frames_written)


class TestFailures:
    """The exception, and the file that is left."""

    @pytest.mark.parametrize(
        ("method", "call"),
        [("pop_next_tagged_image", 12), ("get_remaining_image_count", 8), ("stop_sequence_acquisition", 1)],
    )
    @pytest.mark.parametrize("frames", [100, None])
    def test_core_fails_in_the_middle(self, mock, raw, record, tmp_path, read, method, call, frames):
        """What was received is in the file, exactly; the file says why it ended."""
        camera = mock(faults=Faults(errors={method: {call: "cable pulled"}}))
        until = (lambda: raw(camera).calls["pop_next_tagged_image"] > 10) if "stop" in method else None
        with pytest.raises(CoreError, match=rf"core.{method}\(\) failed: cable pulled") as caught:
            record(camera, frames=frames, until=until)
        file = read(tmp_path / "run.h5")
        count = len(file.indices)
        assert caught.value.__notes__ == [f"{count} frames are safe in {tmp_path / 'run.h5'}"]
        assert file.state == "interrupted"
        assert file.end_reason == f"an error: {caught.value}"
        assert file.holds_first(count)
        assert count > 0
        if frames:
            assert file.losses == (Loss(count, frames - count, "core"),)
        assert not camera.core.is_sequence_running()

    def test_core_fails_when_asked_whether_it_runs(self, mock, raw, record, tmp_path, read):
        """A core that fails in `is_sequence_running` ends the recording with its error and its frames."""
        probe = mock()
        record(probe, frames=1)
        calls = raw(probe).calls["is_sequence_running"] + 3
        camera = mock(faults=Faults(errors={"is_sequence_running": {calls: "cable pulled"}}))
        with pytest.raises(CoreError, match="cable pulled"):
            record(camera, frames=100, overwrite=True)
        file = read(tmp_path / "run.h5")
        assert file.state == "interrupted"
        assert file.holds_first(len(file.indices))
        assert file.losses == (Loss(len(file.indices), 100 - len(file.indices), "core"),)

    @pytest.mark.parametrize("kind", [WriterError, RingFullError, FrameError])
    def test_spool_fails_in_the_middle(self, mock, record, tmp_path, read, failing_put, kind):
        """The camera is stopped, the error raised, the frames until then are in the file."""
        failing_put(7, error := kind("disk gone"))
        camera = mock()
        with pytest.raises(kind) as caught:
            record(camera, frames=100)
        assert caught.value is error
        file = read(tmp_path / "run.h5")
        assert (file.state, file.end_reason) == ("interrupted", f"an error: {error}")
        assert file.holds_first(7)
        assert not camera.core.is_sequence_running()

    def test_disk_is_full(self, mock, raw, start, tmp_path, read):
        """With a full disk, each frame of the camera is in the file, in its ledger, or named in the error."""
        camera = mock(width=512, height=512)
        recording = start(camera, buffer_bytes=16 << 20)
        limit_files(recording._spool._client.writer.pid, 70 << 20)
        with pytest.raises(WriterError, match="the disk is full") as caught:
            recording.wait()
        file = read(tmp_path / "run.h5")
        count, stats = len(file.indices), recording.stats
        lost = stats.spool.frames_put - count
        assert (file.state, file.holds_first(count)) == ("interrupted", True)
        assert file.losses == ((Loss(count, lost, "ring"),) if lost else ())
        assert stats.spool.frames_lost == lost
        made, safe = caught.value.__notes__
        in_core = int(made.removeprefix("the camera had made ").split()[0].replace(",", ""))
        popped = raw(camera).calls["pop_next_tagged_image"]
        assert in_core == camera.core.remaining() + popped - stats.spool.frames_put
        assert safe == f"{count} frames are safe in {tmp_path / 'run.h5'}; {lost} that were still in the ring are lost"

    def test_error_is_raised_at_every_wait(self, mock, start, failing_put):
        """Whoever asks how it ended gets the error, the second time too."""
        failing_put(3, error := WriterError("disk gone"))
        recording = start(mock(), frames=10)
        for _ in range(2):
            with pytest.raises(WriterError) as caught:
                recording.wait()
            assert caught.value is error

    def test_file_cannot_be_closed(self, mock, start, mocker):
        """An error at the very end is raised too."""
        recording = start(mock())
        close = mocker.patch.object(Spool, "close", side_effect=WriterError("disk gone"))
        recording.stop()
        with pytest.raises(WriterError, match="disk gone"):
            recording.wait()
        mocker.stop(close)
        recording._spool.close()

    def test_script_fails(self, mock, raw, record, tmp_path, read):
        """An error in ``until`` loses no frame."""
        camera = mock()

        def until():
            if raw(camera).calls["pop_next_tagged_image"] > 10:
                raise ZeroDivisionError("mine")

        with pytest.raises(ZeroDivisionError, match="mine"):
            record(camera, until=until)
        file = read(tmp_path / "run.h5")
        assert (file.state, file.end_reason) == ("interrupted", "an error: mine")
        assert file.holds_first(raw(camera).calls["pop_next_tagged_image"])

    @pytest.mark.parametrize("method", ["start_sequence_acquisition", "get_circular_buffer_memory_footprint"])
    def test_start_fails(self, mock, record, tmp_path, read, method):
        """No file is left, and the next recording succeeds."""
        camera = mock(faults=Faults(errors={method: {1: "no light"}}))
        with pytest.raises(CoreError, match="no light"):
            record(camera, frames=3)
        assert list(tmp_path.iterdir()) == []
        assert record(camera, frames=3).complete

    def test_start_fails_after_the_camera_has_started(self, mock, record, tmp_path, mocker):
        """If starting fails after the camera has started, the camera is stopped."""
        camera = mock()
        begin = threading.Thread.start

        def fail(thread):
            if thread.name == "mmspool-acquisition":
                raise RuntimeError("can't start new thread")
            begin(thread)

        patch = mocker.patch.object(threading.Thread, "start", autospec=True, side_effect=fail)
        with pytest.raises(RuntimeError, match="can't start new thread"):
            record(camera, frames=10**6)
        assert not camera.core.is_sequence_running()
        assert list(tmp_path.iterdir()) == []
        mocker.stop(patch)
        assert record(camera, frames=3).complete

    def test_start_fails_and_so_does_cleaning_up(self, mock, record, tmp_path, mocker):
        """Why it did not start is what is raised; the rest are notes."""
        errors = {"start_sequence_acquisition": {1: "no light"}}
        camera, close = mock(faults=Faults(errors=errors)), Spool.close

        def fail(self, **options):
            close(self, **options)
            raise WriterError("disk gone")

        mocker.patch.object(Spool, "close", autospec=True, side_effect=fail)
        with pytest.raises(CoreError, match="no light") as caught:
            record(camera, frames=3)
        assert caught.value.__notes__ == ["closing the file failed too: disk gone"]
        assert list(tmp_path.iterdir()) == []

    def test_start_fails_and_another_program_holds_the_file(self, mock, record, tmp_path, mocker):
        """Why it did not start is what is raised; that the file could not be removed is a note."""
        camera = mock(faults=Faults(errors={"start_sequence_acquisition": {1: "no light"}}))
        held = OSError(errno.EBUSY, "Scanner (process 4711) has it open")
        mocker.patch.object(new_file, "remove_file", side_effect=held)
        with pytest.raises(CoreError, match="no light") as caught:
            record(camera, frames=3)
        note = f"{tmp_path / 'run.h5'} could not be removed: Scanner (process 4711) has it open"
        assert caught.value.__notes__ == [note]

    def test_file_exists(self, mock, raw, record, tmp_path):
        """An existing file is left alone, and the camera is not started."""
        (tmp_path / "run.h5").write_text("precious")
        camera = mock()
        with pytest.raises(StorageError, match="the file exists"):
            record(camera, frames=3)
        assert (tmp_path / "run.h5").read_text() == "precious"
        assert raw(camera).calls["start_sequence_acquisition"] == 0

    @pytest.mark.parametrize(
        ("options", "message"),
        [
            ({"frames": 0}, "frames is a whole number"),
            ({"seconds": -1}, "seconds is a positive number"),
            ({"frame_timeout_s": 0}, "frame_timeout_s is a positive number"),
            ({"on_full": "cry"}, "on_full is one of"),
        ],
    )
    def test_option_that_makes_no_sense(self, mock, record, tmp_path, options, message):
        """An option that makes no sense is refused before anything is created."""
        with pytest.raises(ValueError, match=message):
            record(mock(), **options)
        assert list(tmp_path.iterdir()) == []


class TestOrder:
    """What a start does, one after the other."""

    def test_buffers_then_ring_then_camera(self, mock, start, mocker):
        """The core has its buffer before the ring takes its share of the memory, and the camera starts last."""
        order, camera = [], mock()
        core, spool = camera.core, launch.Spool

        def note(name, call):
            return lambda *args, **options: (order.append(name), call(*args, **options))[1]

        mocker.patch.object(core, "set_buffer_mb", note("core buffer", core.set_buffer_mb))
        mocker.patch.object(core, "start_sequence", note("camera", core.start_sequence))
        mocker.patch.object(launch, "Spool", note("ring", spool))
        start(camera, frames=3, core_buffer_mb=8).wait()
        assert order == ["core buffer", "ring", "camera"]

    def test_frames_from_the_first_moment(self, mock, start):
        """A camera that makes frames as soon as it is started loses none of them to the opening of the ring."""
        camera = mock(tick_s=0.05)
        assert start(camera, frames=40, core_buffer_mb=1).wait().complete


class TestTimeLimit:
    """The limit for a frame."""

    @pytest.mark.parametrize(("exposure_ms", "limit_s"), [(10, 10.1), (5000, 60.0)])
    def test_is_ten_seconds_and_ten_exposures(self, mock, record, mocker, exposure_ms, limit_s):
        """The default frame timeout is ten seconds plus ten exposures."""
        plan = mocker.spy(mmspool.driver.options, "StopConditions")
        camera = mock(tick_s=100.0)
        camera.exposure_ms = exposure_ms
        record(camera, frames=1)
        assert plan.call_args.kwargs["frame_timeout_s"] == pytest.approx(limit_s, rel=1e-3)

    def test_can_be_infinite(self, mock, start, wait_until):
        """A trigger may take as long as it likes; stopping still works."""
        recording = start(mock(faults=Faults(stall_after=2)), frames=3, frame_timeout_s=math.inf)
        wait_until(lambda: recording.stats.frames_received == 2)
        recording.stop()
        assert recording.wait().end_reason is EndReason.STOPPED


class TestCamera:
    """`Camera` as a context manager, and what it takes."""

    def test_takes_a_core(self, backend, record, read):
        """A core that the script has already."""
        core = MockCore(backend, width=64, height=32)
        core.set_exposure(1.0)
        with Camera(core) as camera:
            assert read(record(camera, frames=5).path).holds_first(5)
        assert core.get_camera_device() == "Camera"
