"""What `Camera` does over every core, the simulated ones of both backends and Micro-Manager's own."""

import asyncio
import json
import threading

import numpy as np
import pymmcore
import pytest
from support.cores import unload_cores, with_demo_camera

import mmspool
from mmspool import Camera, CameraBusyError, EndReason, MockCore, SettingError, SteppedClock
from mmspool.adapters import sequence_tester

SIDE = 64


def _camel_case(core):
    return Camera(with_demo_camera(core, SIDE))


def _core_plus():
    return _camel_case(pytest.importorskip("pymmcore_plus", reason="needs the extra plus").CMMCorePlus())


def _mock(backend):
    return Camera(MockCore(backend, width=SIDE, height=SIDE, clock=SteppedClock(tick_s=0.002)))


CAMERAS = {
    "mock-python": lambda: _mock("python"),
    "mock-java": lambda: _mock("java"),
    "demo": lambda: Camera.demo(width=SIDE, height=SIDE, buffer_mb=16),
    "pymmcore": lambda: _camel_case(pymmcore.CMMCore()),
    "pymmcore-plus": _core_plus,
    "sequence-tester": lambda: Camera(sequence_tester(width=SIDE, height=SIDE, buffer_mb=64)),
}


@pytest.fixture(params=CAMERAS)
def camera(request, processes):
    """Return a small camera of every kind of core, at a millisecond a frame where it keeps to its exposure."""
    with CAMERAS[request.param]() as camera:
        camera.exposure_ms = 1
        yield camera
    unload_cores()


@pytest.fixture
def record(camera, tmp_path):
    """Return a function that starts a recording through a small ring."""
    return lambda **options: camera.start_recording(tmp_path / "run.h5", **({"buffer_bytes": 16 * 10**6} | options))


def numbers_of(path):
    """Return the image numbers of a recording's frames."""
    with mmspool.open(path) as recording:
        return recording.frame_table()["image_number"].tolist()


class TestTriggers:
    """Triggers and bursts."""

    def test_bursts(self, record):
        """A number of triggers with a burst each is so many frames; with a generous limit none is missing."""
        result = record(triggers=5, frames_per_trigger=4, trigger_timeout_s=60).wait()
        assert (result.complete, result.frames_written) == (True, 20)
        assert numbers_of(result.path) == list(range(20))

    def test_vocabulary(self, camera):
        """Every camera answers every question of the vocabulary, and refuses what it lacks with an error."""
        assert camera.trigger.mode in (None, "internal")
        assert camera.outputs == {}
        lacks = (camera.light_sheet.mode, camera.light_sheet.exposed_lines, camera.trigger.burst_frames)
        assert lacks == (None, None, None)
        with pytest.raises(SettingError, match="has no light_sheet"):
            camera.light_sheet.mode = "on"
        with pytest.raises(SettingError, match=r"has no trigger\.burst_frames that can be set"):
            camera.trigger.burst_frames = 5


class TestLook:
    """Looking at a recording while it runs."""

    def test_latest_and_snap(self, camera, record, wait_until):
        """While it records, `latest` and `snap` give its newest frame; without a recording `snap` exposes."""
        with record() as recording:
            wait_until(lambda: recording.latest() is not None)
            newest, snapped = recording.latest(), camera.snap()
            assert newest.pixels.shape == snapped.shape == (SIDE, SIDE)
            assert snapped.flags.owndata
            with pytest.raises(CameraBusyError, match="while a recording takes its frames"):
                camera.exposure_ms = 2
        assert camera.snap().shape == (SIDE, SIDE)

    def test_on_frame(self, record):
        """A function gets frames with rising numbers, the last one too."""
        seen, last = [], threading.Event()

        def look(frame):
            seen.append(frame.number)
            if frame.number == 39:
                last.set()

        assert record(frames=40, on_frame=look).wait().complete
        assert last.wait(20)
        assert seen == sorted(set(seen))

    def test_async_frames(self, record):
        """An async loop gets frames with rising numbers, and ends with the recording."""

        async def collect():
            recording = record(frames=40)
            return recording, [frame.number async for frame in recording.frames()]

        recording, numbers = asyncio.run(collect())
        assert recording.wait().complete
        assert (numbers, numbers[-1]) == (sorted(set(numbers)), 39)

    def test_frames_before_a_signal(self, record):
        """Held frames and those that follow are stored without a gap; what came before them is no loss."""
        known = {}

        def save():
            if known:
                known["recording"].save()
            return False

        known["recording"] = record(pre_trigger_frames=5, frames=30, until=save)
        result = known["recording"].wait()
        assert (result.end_reason, result.frames_written) == (EndReason.COMPLETED, 30)
        numbers = numbers_of(result.path)
        assert numbers == list(range(numbers[0], numbers[0] + 30))


class TestTimeLapse:
    """Exposures that this computer starts."""

    def test_single_and_bursts(self, camera, tmp_path):
        """Each frame has its planned place, and its start is in the file."""
        options = {"interval_s": 0.3, "buffer_bytes": 16 * 10**6}
        single = camera.record_time_lapse(tmp_path / "single.h5", frames=3, **options).spooled
        assert len(numbers_of(single.path)) + single.frames_lost == 3
        bursts = camera.record_time_lapse(tmp_path / "bursts.h5", frames=6, burst_frames=3, **options).spooled
        with mmspool.open(bursts.path) as recording:
            table = recording.frame_table()
            assert len(np.unique(table["host_timestamp"])) == len(np.unique(table["image_number"] // 3))


class TestSettings:
    """Settings to JSON and back."""

    def test_there_and_back(self, camera, record):
        """Settings survive JSON, are in the recording, and can be set again."""
        settings = json.loads(json.dumps(camera.settings()))
        camera.exposure_ms = 3
        report = camera.apply_settings(settings)
        assert "exposure_ms" in report.changed
        assert "exposure_ms" not in report.refused
        result = record(frames=3).wait()
        with mmspool.open(result.path) as recording:
            assert recording.metadata["detector"]["camera"]["settings"]["exposure_ms"] == settings["exposure_ms"]


def test_camera_clock(record):
    """A recording of a few frames has its clock beside the host's, or none if the frames carry no time."""
    result = record(frames=40).wait()
    with mmspool.open(result.path) as recording:
        clock = recording.camera_clock
        stamped = np.count_nonzero(recording.frame_table()["camera_timestamp"] >= 0)
    assert clock is None or (clock.frames == stamped == 40 and clock.residual_max_s >= 0)
