"""Frames of a core in a real Java process, which a real BeanShell copies into memory that both map."""

import gc
import logging
import os
import re
import stat
import threading
from contextlib import closing
from itertools import count

import numpy as np
import psutil
import pytest

import mmspool
from mmspool import Camera, EndReason, frame_index
from mmspool.adapters import FramePath, connect
from mmspool.adapters.java_pump import mapped_file, pump
from mmspool.errors import CoreError

# pyjavaz leaves its socket to the garbage collector.
pytestmark = pytest.mark.filterwarnings(r"ignore:Unclosed socket <zmq.Socket\(zmq.REQ\):ResourceWarning")

LIMIT_S = 60.0
GONE = r"Micro-Manager on port \d+ is gone"
PIXEL_TYPES = {"8bit": np.uint8, "16bit": np.uint16, "32bit": np.float32, "32bitRGB": np.uint8, "64bitRGB": np.uint16}
"""The dtype of a frame for each pixel type."""


@pytest.fixture(autouse=True)
def no_helper_left(wait_until):
    """Fail when a thread of the bridge or of the pump goes on after its test."""
    yield
    gc.collect()
    wait_until(lambda: not [thread for thread in threading.enumerate() if thread.name.startswith("mmspool")])


def picture(number, components, width, component):
    """Return what the stub camera's frame of this number shows, flat: in its first 8 components the number's bytes."""
    index = np.arange(components)
    values = index * 31 + index // width * 7 & 0xFFFF
    frame = (values + 0.5).astype(component) if component is np.float32 else values.astype(component)
    frame[:8] = [number >> 8 * place & 0xFF for place in range(8)]
    return frame


def taken(adapter):
    """Take frames until the sequence is over; each is copied, since the next pop may reuse its memory."""
    frames = []
    while True:
        running = adapter.is_sequence_running()
        waiting = adapter.remaining()
        if (frame := adapter.pop()) is not None:
            frames.append(frame._replace(pixels=frame.pixels.copy()))
        elif not running and not waiting:
            return frames


def files_of_pumps():
    """Return the files of pumps that have a name."""
    return [path for folder in mapped_file._folders() for path in folder.glob(f"mmspool-{os.getpid()}-pump-*")]


class TestFrames:
    """What arrives is what the camera made."""

    @pytest.mark.parametrize("pixel_type", PIXEL_TYPES)
    def test_every_pixel_type_arrives_whole(self, each_server, pixel_type):
        """Pixels, shape, dtype, counters and times are the camera's, with every Java and every BeanShell."""
        dtype, components = PIXEL_TYPES[pixel_type], (4,) if "RGB" in pixel_type else ()
        with closing(connect(each_server.port)) as adapter:
            adapter._core.set_sensor(48, 33)
            adapter.set_property("Camera", "PixelType", pixel_type)
            adapter.set_exposure_ms(0.5)
            adapter.start_sequence(300)
            frames = taken(adapter)
            assert adapter.frame_path == FramePath("java-pump")
        assert len(frames) == 300
        for number, frame in enumerate(frames):
            expected = picture(number, 33 * 48 * (4 if components else 1), 48, dtype).reshape(33, 48, *components)
            if components:
                expected = expected[..., 2::-1]
            assert frame.pixels.dtype == dtype
            np.testing.assert_array_equal(frame.pixels, expected)
            assert (frame.image_number, frame.camera_frame_number) == (number, number + 1)
            assert frame.camera_timestamp_ns == round(number * 0.5e6)

    def test_the_bridge_gives_the_same_frames(self, adapter, serve):
        """Pumped or not, a frame is the same; over the bridge some tags are numbers, and one loses its Chinese."""

        def words(tags):
            return {name: str(value) for name, value in tags.items() if name != "Camera-Comment"}

        with closing(connect(adapter._core._bridge.port, frame_pump=False)) as slow:
            runs = []
            for each in (adapter, slow):
                each.start_sequence(20)
                runs.append(taken(each))
            assert slow.frame_path == FramePath("java-bridge", "frame_pump is False")
        for fast, slow in zip(*runs, strict=True):
            np.testing.assert_array_equal(fast.pixels, slow.pixels)
            assert fast[1:4] == slow[1:4]
            assert words(fast.tags) == words(slow.tags)
            assert fast.tags["Camera-Comment"] == "µm, 温度, a=1"

    def test_a_frame_costs_no_call_over_the_bridge(self, adapter, monkeypatch):
        """Between start and end, frames and their state are read from shared memory."""
        adapter.start_sequence(200)
        guard, calls = adapter._guard, []
        ask = guard._ask
        monkeypatch.setattr(
            guard, "_ask", lambda bridge, message, limit_s: calls.append(message) or ask(bridge, message, limit_s)
        )
        got = 0
        while got < 200:
            assert adapter.is_sequence_running() or adapter.remaining()
            got += adapter.pop() is not None
        assert calls == []

    def test_a_promised_frame_that_is_not_there_does_no_harm(self, adapter, tmp_path):
        """The core may say that one more waits than it has."""
        adapter._core.script("empty", 7)
        with Camera(adapter) as camera:
            assert camera.record(tmp_path / "a.h5", frames=50).complete

    def test_tags_that_are_too_long_leave_the_counters(self, adapter):
        """A frame with 200 kB of text in one tag arrives, with its numbers."""
        adapter._core.script("text", 3)
        adapter.start_sequence(6)
        assert [frame.image_number for frame in taken(adapter)] == list(range(6))

    def test_a_frame_that_is_too_large_is_refused_alone(self, adapter):
        """It is lost, with an error that says so, and the next ones arrive."""
        adapter._core.script("large", 2)
        adapter.start_sequence(6)
        numbers, errors = [], []
        while len(numbers) + len(errors) < 6:
            try:
                if (frame := adapter.pop()) is not None:
                    numbers.append(frame.image_number)
            except CoreError as exc:
                errors.append(str(exc))
        assert numbers == [0, 1, 3, 4, 5]
        assert "settings were changed during the sequence, and the frame is lost" in errors[0]


class TestRecording:
    """Recordings through the pump."""

    def test_a_recording_is_whole_and_says_which_way(self, adapter, tmp_path):
        """All frames are in the file in order, and the next recording works as well."""
        with Camera(adapter) as camera:
            for name in ("a.h5", "b.h5"):
                result = camera.record(tmp_path / name, frames=500)
                assert (result.complete, result.frames_written) == (True, 500)
                assert result.stats.frame_path == FramePath("java-pump")
                with mmspool.open(result.path) as recording:
                    assert [frame_index(frame) for frame in recording[:]] == list(range(500))

    def test_an_overflow_is_told_and_located(self, adapter, tmp_path, monkeypatch):
        """The camera is faster than the file: it is stopped by the core, and what it made until then is recorded."""
        adapter._core.set_sensor(512, 512)
        adapter.set_exposure_ms(0.01)
        adapter.set_buffer_mb(2)
        with Camera(adapter) as camera:
            start = adapter.start_sequence

            def start_and_wait(frames):
                start(frames)
                while not adapter.is_overflowed():
                    pass

            monkeypatch.setattr(adapter, "start_sequence", start_and_wait)
            result = camera.record(tmp_path / "a.h5", frames=100_000)
            assert result.end_reason is EndReason.OVERFLOW
            assert 4 <= result.frames_written < 100_000
            assert result.frames_written + result.frames_lost == 100_000
            with mmspool.open(result.path) as recording:
                assert [frame_index(frame) for frame in recording[:]] == list(range(result.frames_written))
            monkeypatch.undo()
            adapter.set_buffer_mb(64)
            adapter.set_exposure_ms(2.0)
            assert camera.record(tmp_path / "b.h5", frames=50).complete

    def test_a_camera_that_fails_ends_the_recording(self, adapter, tmp_path):
        """The sequence ends with too few frames, all of which are in the file."""
        adapter._core.script("camera", 20)
        with Camera(adapter) as camera:
            result = camera.record(tmp_path / "a.h5", frames=50)
        assert (result.end_reason, result.frames_written, result.frames_lost) == (EndReason.CAMERA_STOPPED, 20, 30)

    def test_a_frame_that_the_core_lost_is_counted(self, adapter, tmp_path):
        """A jump of the core's counter is a loss, as over the bridge."""
        adapter._core.script("skip", 20)
        with Camera(adapter) as camera:
            result = camera.record(tmp_path / "a.h5", frames=50)
        assert (result.frames_written, result.frames_lost) == (49, 1)

    @pytest.mark.parametrize(("fault", "reason"), [("pop", "the frame cannot be read"), ("heap", "Java heap space")])
    def test_a_pop_that_fails_in_java_is_an_error(self, adapter, tmp_path, fault, reason):
        """The error says why, the file has the frames until then, the camera is stopped and can be started again."""
        adapter._core.script(fault, 10)
        with Camera(adapter) as camera:
            with pytest.raises(CoreError, match=reason):
                camera.record(tmp_path / "a.h5", frames=10_000)
            assert not adapter._core.is_sequence_running()
            with mmspool.open(tmp_path / "a.h5") as recording:
                assert [frame_index(frame) for frame in recording[:]] == list(range(10))
            adapter._core.script(fault, -1)
            assert camera.record(tmp_path / "b.h5", frames=50).complete

    def test_a_camera_that_does_not_start_is_an_error(self, adapter, tmp_path):
        """The core's reason is in the error, and neither file nor pump is left."""
        adapter._core.script("start", 0)
        with Camera(adapter) as camera, pytest.raises(CoreError, match="the camera does not start"):
            camera.record(tmp_path / "a.h5", frames=10)
        assert not (tmp_path / "a.h5").exists()

    def test_stopping_records_what_was_made(self, adapter, tmp_path, wait_until):
        """A recording without an end that is stopped holds every frame that the camera made."""
        with Camera(adapter) as camera:
            recording = camera.start_recording(tmp_path / "a.h5")
            wait_until(lambda: recording.stats.frames_received > 50)
            recording.stop()
            result = recording.wait()
            assert result.end_reason is EndReason.STOPPED
            assert result.frames_lost == 0
            assert not camera.core.remaining()


class TestMemory:
    """The memory that both processes map."""

    def test_it_is_the_user_s_alone_and_has_no_name_in_use(self, adapter, monkeypatch):
        """Only the owner may open it, its name holds 128 random bits, and it has none once Java maps it."""
        seen = []
        run = pump.FramePump._run
        monkeypatch.setattr(
            pump.FramePump, "_run", lambda self, code: seen.extend(files_of_pumps_with_mode()) or run(self, code)
        )
        adapter.start_sequence(1000)
        assert files_of_pumps() == []
        name, mode = seen[0]
        assert mode == 0o600
        assert re.fullmatch(rf"mmspool-{os.getpid()}-pump-[0-9a-f]{{32}}", name)

    def test_java_gives_it_back(self, serve, wait_until):
        """It is mapped while frames come, and not after the last one, though nobody has closed anything."""
        server = serve()
        with closing(connect(server.port)) as adapter:
            adapter._core.set_sensor(96, 64)
            adapter.start_sequence(30)
            assert len(server.maps()) == 1
            taken(adapter)
            wait_until(lambda: not server.maps())

    def test_its_folder_may_have_any_name(self, adapter, tmp_path, monkeypatch):
        """Quotes, backslashes, blanks and what pyjavaz takes for a mark of binary data do no harm."""
        folder = tmp_path / """a "b" c'd \\ e@f"""
        folder.mkdir()
        monkeypatch.setattr(mapped_file, "_folders", lambda: (folder,))
        adapter.start_sequence(5)
        assert adapter.frame_path.way == "java-pump"
        assert len(taken(adapter)) == 5
        assert list(folder.iterdir()) == []

    def test_a_frame_in_use_stays_readable(self, adapter):
        """Pixels that somebody still holds are valid after the adapter has let go of the file."""
        adapter.start_sequence(5)
        while (frame := adapter.pop()) is None:
            assert adapter.is_sequence_running() or adapter.remaining()
        adapter.close()
        gc.collect()
        np.testing.assert_array_equal(frame.pixels.reshape(-1), picture(0, frame.pixels.size, 96, np.uint16))

    def test_another_file_in_its_place_is_not_used(self, adapter, monkeypatch):
        """Java looks for the key: a path may lead elsewhere in a container."""
        monkeypatch.setattr(mapped_file.MappedFile, "key_numbers", (1, 2))
        script = pump.FramePump._script
        monkeypatch.setattr(pump.FramePump, "_script", lambda self: script(self).replace('("1")', '("3")'))
        adapter.start_sequence(5)
        assert adapter.frame_path.way == "java-bridge"
        assert "another file is at" in adapter.frame_path.reason

    def test_leftovers_of_dead_processes_are_removed(self, tmp_path, monkeypatch):
        """What a process left that died before Java had mapped it goes when the next pump is made; others stay."""
        monkeypatch.setattr(mapped_file, "_folders", lambda: (tmp_path,))
        dead = next(pid for pid in count(2**22 - 1, -1) if not psutil.pid_exists(pid))
        for pid in (dead, os.getpid()):
            (tmp_path / f"mmspool-{pid}-pump-00").touch()
        (tmp_path / "mmspool-notes-pump-x").touch()
        mapped_file.remove_leftovers()
        assert {path.name for path in tmp_path.iterdir()} == {f"mmspool-{os.getpid()}-pump-00", "mmspool-notes-pump-x"}

    def test_a_folder_without_room_is_passed_over(self, tmp_path, monkeypatch):
        """The next folder is taken, and an error names them all."""
        missing = tmp_path / "missing"
        monkeypatch.setattr(mapped_file, "_folders", lambda: (missing, tmp_path))
        file = mapped_file.MappedFile(mapped_file.Layout.for_frames(10_000))
        assert file.path.parent == tmp_path
        assert stat.S_IMODE(file.path.stat().st_mode) == 0o600
        assert file.path.stat().st_size == file.layout.size
        file.close()
        monkeypatch.setattr(mapped_file, "_folders", lambda: (missing,))
        with pytest.raises(OSError, match=r"no room for .*missing"):
            mapped_file.MappedFile(mapped_file.Layout.for_frames(10_000))
        assert list(tmp_path.iterdir()) == []

    @pytest.mark.parametrize(("frame_bytes", "slots"), [(1, 256), (2 * 2048**2, 8), (2 * 4096**2, 3), (700_000_000, 3)])
    def test_slots_hold_a_frame_each(self, frame_bytes, slots):
        """There are 3 to 256, a frame fits in each, and no two overlap."""
        layout = mapped_file.Layout.for_frames(frame_bytes)
        assert layout.slots == slots
        assert layout.pixel_bytes >= frame_bytes
        offsets = [layout.record_offset(frame) for frame in range(slots)]
        steps = np.diff([*offsets, layout.size])
        assert set(steps) == {mapped_file.RECORD_BYTES + layout.pixel_bytes}
        assert layout.record_offset(slots) == offsets[0] == mapped_file.HEADER_BYTES

    def test_frames_that_java_cannot_map_are_refused(self):
        """Three slots of 2 GB are more than a mapping in Java holds."""
        with pytest.raises(ValueError, match="more than the 2 GB"):
            mapped_file.Layout.for_frames(2**30)


def files_of_pumps_with_mode():
    """Return names and permissions of the files of pumps."""
    return [(path.name, stat.S_IMODE(path.stat().st_mode)) for path in files_of_pumps()]


class TestFallback:
    """Where the pump is unavailable, frames come over the bridge, and it is said why."""

    def record(self, adapter, tmp_path, caplog):
        """Record over the bridge; return the reason in the figures, which the log gives too."""
        with Camera(adapter) as camera, caplog.at_level(logging.WARNING, "mmspool"):
            camera.exposure_ms = 1.0
            result = camera.record(tmp_path / "a.h5", frames=50)
        assert result.complete
        way, reason = result.stats.frame_path
        assert way == "java-bridge"
        assert any("frames come over Micro-Manager's ZMQ bridge" in line and reason in line for line in caplog.messages)
        return reason

    def test_without_a_shell(self, serve, tmp_path, caplog):
        """A Micro-Manager without BeanShell is recorded from all the same."""
        adapter = connect(serve(shell=False).port)
        assert "bsh.Interpreter" in self.record(adapter, tmp_path, caplog)

    def test_without_room(self, adapter, tmp_path, caplog, monkeypatch):
        """Without a place for the memory nothing else changes."""
        monkeypatch.setattr(mapped_file, "_folders", lambda: (tmp_path / "missing",))
        assert "no memory can be shared with Java" in self.record(adapter, tmp_path, caplog)

    def test_a_file_that_java_cannot_open(self, adapter, tmp_path, caplog, monkeypatch):
        """A Micro-Manager in a container or of another user does not see the file."""
        script = pump.FramePump._script
        monkeypatch.setattr(pump.FramePump, "_script", lambda self: script(self) + '\nPATH = "/nowhere/x";')
        assert "NoSuchFile" in self.record(adapter, tmp_path, caplog)

    def test_a_script_with_an_error(self, adapter, tmp_path, caplog, monkeypatch):
        """An error of the script itself, before anything was started, is a reason as good as any."""
        script = pump.FramePump._script
        monkeypatch.setattr(
            pump.FramePump, "_script", lambda self: script(self).replace("head = AS_LONGS", "head = AS_LONG")
        )
        assert "AS_LONG" in self.record(adapter, tmp_path, caplog)

    def test_a_core_that_is_no_object_of_java(self):
        """The simulated core has no bridge, and so no pump."""
        with Camera.mock(backend="java", width=16, height=16) as camera:
            camera.core.start_sequence(2)
            assert camera.core.frame_path == FramePath("java-bridge", "the core is not an object of pyjavaz")


class TestScriptErrors:
    """Errors of the script while it pumps, which Java's try and catch do not see."""

    @pytest.mark.parametrize(
        ("right", "wrong"),
        [
            ("metadata.Serialize()", "metadta.Serialize()"),
            ("core.isBufferOverflowed();", "core.isBufferOverflown();"),
            ("put(PUBLISHED, ++published);", "put(PUBLISHT, ++published);"),
        ],
    )
    def test_they_end_the_recording(self, adapter, tmp_path, monkeypatch, right, wrong):
        """A misspelt name becomes an error that names it, and the camera is stopped."""
        script = pump.FramePump._script
        monkeypatch.setattr(pump.FramePump, "_script", lambda self: script(self).replace(right, wrong))
        with Camera(adapter) as camera:
            with pytest.raises(CoreError, match=re.split(r"\W", wrong.removeprefix("core.").removeprefix("put("))[0]):
                camera.record(tmp_path / "a.h5", frames=10_000)
            assert not adapter._core.is_sequence_running()

    def test_a_pump_that_dies_without_a_word_is_noticed(self, adapter, tmp_path, monkeypatch):
        """Its heartbeat stops, so the recording ends with an error instead of never."""
        monkeypatch.setattr(pump, "_SERVER_LIMIT_S", 1.0)
        script = pump.FramePump._script
        monkeypatch.setattr(
            pump.FramePump,
            "_script",
            lambda self: (
                script(self)
                .replace("void end(String failure) {", "void end(String failure) {\nnoSuchThing();")
                .replace("metadata.Serialize()", "metadta.Serialize()")
            ),
        )
        with Camera(adapter) as camera, pytest.raises(CoreError, match="gave no sign of life for 1 s"):
            camera.record(tmp_path / "a.h5", frames=10_000)
