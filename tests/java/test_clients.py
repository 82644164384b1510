"""Several clients of one Java process, and clients, servers and calls that die or hang."""

import gc
import os
import select
import signal
import textwrap
import threading
import time
from contextlib import closing

import psutil
import pytest
from support.processes import ended
from support.waiting import wait_until

import mmspool
from mmspool import Camera, EndReason, frame_index
from mmspool.adapters import JavaBridgeAdapter, connect, java_bridge_adapter, java_bridge_guard
from mmspool.adapters.java_pump import pump
from mmspool.errors import CameraBusyError, CoreError

# pyjavaz leaves its socket to the garbage collector.
pytestmark = pytest.mark.filterwarnings(r"ignore:Unclosed socket <zmq.Socket\(zmq.REQ\):ResourceWarning")

LIMIT_S = 60.0
GONE = r"Micro-Manager on port \d+ is gone"
HANGS = r"is gone: it has not answered for \d+ s, so it hangs"
WAYS = pytest.mark.parametrize("frame_pump", [True, False], ids=["pump", "bridge"])


@pytest.fixture(autouse=True)
def no_helper_left(wait_until):
    """Fail when a thread of the bridge or of the pump goes on after its test."""
    yield
    gc.collect()
    wait_until(lambda: not [thread for thread in threading.enumerate() if thread.name.startswith("mmspool")])


def small(port, *, frame_pump=True, exposure_ms=1.0):
    """Connect, and let the stub camera give small frames."""
    adapter = connect(port, frame_pump=frame_pump)
    assert isinstance(adapter, JavaBridgeAdapter)
    adapter._core.set_sensor(96, 64)
    adapter.set_exposure_ms(exposure_ms)
    return adapter


def indices(path):
    """Return the indices of the frames in a file."""
    with mmspool.open(path) as recording:
        return [frame_index(frame) for frame in recording[:]]


class TestSeveralClients:
    """Clients that share a server."""

    @WAYS
    def test_the_loser_of_a_start_leaves_the_winner_s_camera_alone(
        self, serve, tmp_path, monkeypatch, wait_until, frame_pump
    ):
        """Of two that start at once, one gets an error, and the other one all its frames."""
        port = serve().port
        with Camera(small(port)) as winner, Camera(connect(port, frame_pump=frame_pump)) as loser:
            recording = winner.start_recording(tmp_path / "a.h5")
            monkeypatch.setattr(loser, "_require_idle", lambda _what: None)  # both have looked before either started
            with pytest.raises(CoreError, match="sequence"):
                loser.record(tmp_path / "b.h5", frames=10)
            seen = recording.stats.frames_received
            wait_until(lambda: recording.stats.frames_received > seen)
            recording.stop()
            result = recording.wait(LIMIT_S)
        assert (result.end_reason, result.frames_lost) == (EndReason.STOPPED, 0)
        assert indices(tmp_path / "a.h5") == list(range(result.frames_written))
        assert not (tmp_path / "b.h5").exists()

    def test_a_start_waits_for_nobody_who_still_takes_frames(self, serve):
        """While a client has not taken all frames of its sequence, another one's start is refused."""
        port = serve().port
        with closing(small(port)) as first, closing(connect(port)) as second:
            first._core.set_circular_buffer_memory_footprint(64)
            first.start_sequence(2000)
            while first._core.is_sequence_running():
                pass
            with pytest.raises(CoreError, match="another client of this Micro-Manager still takes its frames"):
                second.start_sequence(5)
            numbers = []
            while len(numbers) < 2000:
                if (frame := first.pop()) is not None:
                    numbers.append(frame.image_number)
            assert numbers == list(range(2000))
            second.start_sequence(5)

    def test_a_slow_pump_takes_no_frame_of_the_next_sequence(self, serve, monkeypatch):
        """Once a sequence has ended, its pump leaves alone what another client starts before the pump has ended."""
        edit = "put(WAITING, --waiting);"
        script = pump.FramePump._script
        monkeypatch.setattr(
            pump.FramePump,
            "_script",
            lambda self: script(self).replace(edit, edit + "if (waiting == 0 && !running) { Thread.sleep(500L); }"),
        )
        port = serve().port
        with closing(small(port)) as first, closing(connect(port, frame_pump=False)) as second:
            for adapter in (first, second):
                adapter.start_sequence(20)
                numbers = []
                while adapter.is_sequence_running() or adapter.remaining():
                    if (frame := adapter.pop()) is not None:
                        numbers.append(frame.image_number)
                assert numbers == list(range(20))

    def test_a_sequence_that_another_client_stops_is_told(self, serve, tmp_path, wait_until):
        """A public call ends whatever runs; the recording that it ended has all frames until then."""
        port = serve().port
        with Camera(small(port)) as victim, Camera(connect(port)) as other:
            recording = victim.start_recording(tmp_path / "a.h5", frames=1_000_000)
            wait_until(lambda: recording.stats.frames_received > 20)
            other.stop_sequence()
            result = recording.wait(LIMIT_S)
        assert result.end_reason is EndReason.CAMERA_STOPPED
        assert indices(tmp_path / "a.h5") == list(range(result.frames_written))

    def test_a_recording_of_its_own_is_stopped_as_by_its_stop(self, serve, tmp_path, wait_until):
        """It ends as stopped, and everything that was made is in the file."""
        with Camera(small(serve().port)) as camera:
            recording = camera.start_recording(tmp_path / "a.h5")
            wait_until(lambda: recording.stats.frames_received > 20)
            camera.stop_sequence()
            assert not recording.taking
            assert recording.wait(LIMIT_S).end_reason is EndReason.STOPPED
            camera.stop_sequence()  # nothing runs


RECORDER = """
    import sys
    from mmspool import Camera
    from mmspool.adapters import connect, java_bridge_guard
    from mmspool.adapters.java_pump import pump

    port, path, limit_s = int(sys.argv[1]), sys.argv[2], float(sys.argv[3])
    pump._CLIENT_LIMIT_S = limit_s
    java_bridge_guard._STUCK_S = 0.5
    adapter = connect(port, frame_pump=sys.argv[4] == "True")
    adapter._core.set_sensor(96, 64)
    adapter.set_exposure_ms(1.0)
    """
RECORD_AND_SAY_SO = """
    camera = Camera(adapter)
    recording = camera.start_recording(path, frame_timeout_s=float("inf"))
    while recording.stats.frames_received < 20:
        recording.join(0.01)
    print("recording", flush=True)
    recording.wait()
    """
RECORD_UNTIL_CTRL_C = """
    import threading

    def say():
        while camera._last_recording() is None or camera._last_recording().stats.frames_received < 20:
            pass
        print("recording", flush=True)

    camera = Camera(adapter)
    threading.Thread(target=say, daemon=True).start()
    try:
        print(camera.record(path, frame_timeout_s=float("inf")).end_reason)
    except Exception as exc:
        print(exc)
    """


def script(*parts):
    """Join parts of a script."""
    return "\n".join(textwrap.dedent(part) for part in parts)


class TestKilledClient:
    """A client that is killed while it records."""

    def kill(self, start_script, server, path, *, limit_s):
        """Start a recording in a process of its own, and kill it."""
        client = start_script(script(RECORDER, RECORD_AND_SAY_SO), server.port, path, limit_s, True)
        assert client.stdout.readline() == "recording\n"
        children = psutil.Process(client.pid).children(recursive=True)
        client.kill()
        client.wait()
        wait_until(lambda: all(ended(child.pid) for child in children), "its writer process has ended")
        assert indices(path) == list(range(len(indices(path))))

    def test_its_pump_ends_and_stops_the_camera(self, serve, start_script, tmp_path, wait_until):
        """Without a sign of life from the client nothing of it is left in Java, and its camera is free."""
        server = serve()
        self.kill(start_script, server, tmp_path / "a.h5", limit_s=1.0)
        with Camera(connect(server.port)) as camera:
            wait_until(lambda: not camera.core._core.is_sequence_running())
            wait_until(lambda: not server.maps())
            assert camera.record(tmp_path / "b.h5", frames=50).complete

    def test_the_next_client_need_not_wait_for_that(self, serve, start_script, tmp_path):
        """It may stop what runs, and gets its own frames only."""
        server = serve()
        self.kill(start_script, server, tmp_path / "a.h5", limit_s=300.0)
        with Camera(connect(server.port)) as camera:
            with pytest.raises(CameraBusyError, match=r"stop the sequence first, with stop_sequence\(\)"):
                camera.record(tmp_path / "b.h5", frames=50)
            camera.stop_sequence()
            assert camera.record(tmp_path / "b.h5", frames=50).complete
            assert len(server.maps()) <= 1
        assert indices(tmp_path / "b.h5") == list(range(50))


class TestKilledServer:
    """A Java process that is killed."""

    def test_a_recording_ends_with_what_was_received(self, serve, tmp_path, wait_until):
        """It ends at once with an error, and its file has every frame that was received."""
        server = serve()
        with Camera(small(server.port)) as camera:
            recording = camera.start_recording(tmp_path / "a.h5", frame_timeout_s=float("inf"))
            wait_until(lambda: recording.stats.frames_received > 20)
            assert recording.stats.frame_path.way == "java-pump"
            server.kill()
            with pytest.raises(CoreError, match=GONE):
                recording.wait(LIMIT_S)
            with pytest.raises(CoreError, match=GONE):
                camera.core.version()
        found = indices(tmp_path / "a.h5")
        assert found == list(range(len(found)))
        assert len(found) > 20


class TestHangingServer:
    """A Java process that is suspended, or whose one thread for all clients has died."""

    @pytest.fixture
    def impatient(self, monkeypatch):
        """Give up soon."""
        monkeypatch.setattr(java_bridge_adapter, "CALL_LIMIT_S", 1.0)
        monkeypatch.setattr(java_bridge_guard, "CALL_LIMIT_S", 1.0)
        monkeypatch.setattr(pump, "_SERVER_LIMIT_S", 1.0)

    @WAYS
    def test_a_recording_ends(self, serve, tmp_path, wait_until, impatient, frame_pump):
        """After the limit it ends with an error, with every frame that was received in its file."""
        server = serve()
        with Camera(small(server.port, frame_pump=frame_pump)) as camera:
            recording = camera.start_recording(tmp_path / "a.h5", frame_timeout_s=float("inf"))
            wait_until(lambda: recording.stats.frames_received > 20)
            psutil.Process(server.process.pid).suspend()
            with pytest.raises(CoreError, match="no sign of life for 1 s" if frame_pump else HANGS):
                recording.wait(LIMIT_S)
            with pytest.raises(CoreError, match=HANGS):
                camera.core.version()
        found = indices(tmp_path / "a.h5")
        assert found == list(range(len(found)))

    def test_a_pause_within_the_limit_loses_nothing(self, serve, tmp_path, wait_until):
        """A server that goes on after a while is not given up."""
        server = serve()
        process = psutil.Process(server.process.pid)
        with Camera(small(server.port)) as camera:
            recording = camera.start_recording(tmp_path / "a.h5", frames=500)
            wait_until(lambda: recording.stats.frames_received > 20)
            process.suspend()
            wait_until(lambda: process.status() == psutil.STATUS_STOPPED)
            assert recording.wait(1.5) is None
            process.resume()
            assert recording.wait(LIMIT_S).complete

    @WAYS
    def test_a_heap_that_is_full_is_an_error(self, serve, tmp_path, impatient, frame_pump):
        """Java has no room for a frame: the pump says so; the bridge's server may die of it, without a word."""
        server = serve("java17 bsh-2.0b4", "-Xmx64m")
        with Camera(connect(server.port, frame_pump=frame_pump)) as camera:
            camera.core._core.set_sensor(2048, 2048)
            camera.exposure_ms = 1.0
            camera.core.set_buffer_mb(256)
            camera.core._core.fill_heap(12)
            with pytest.raises(CoreError, match=r"heap space|hangs"):
                camera.record(tmp_path / "a.h5", frames=100)
        with mmspool.open(tmp_path / "a.h5") as recording:
            assert recording.state == "interrupted"

    def test_a_second_ctrl_c_gives_up(self, serve, start_script, tmp_path, wait_until):
        """The first one asks for the end, which needs Micro-Manager; the second one does without it."""
        for frame_pump in (True, False):
            server, path = serve(), tmp_path / f"{frame_pump}.h5"
            client = start_script(script(RECORDER, RECORD_UNTIL_CTRL_C), server.port, path, 300.0, frame_pump)
            assert client.stdout.readline() == "recording\n"
            psutil.Process(server.process.pid).suspend()
            limit = time.monotonic() + LIMIT_S
            while not select.select([client.stdout], [], [], 1.0)[0]:  # a user's pace
                assert time.monotonic() < limit, "it goes on"
                client.send_signal(signal.SIGINT)
            client.wait(LIMIT_S)
            assert client.returncode == 0
            assert "so it hangs" in client.stdout.read()
            assert indices(path) == list(range(len(indices(path))))

    def test_ctrl_c_while_it_starts_gives_up(self, serve, tmp_path, monkeypatch, wait_until):
        """A start that waits for a server that hangs ends too."""
        monkeypatch.setattr(java_bridge_guard, "_STUCK_S", 0.2)
        server = serve()
        with Camera(small(server.port)) as camera:
            guard = camera.core._guard
            psutil.Process(server.process.pid).suspend()
            done = threading.Event()

            def press():
                while not done.wait(0.3):
                    if guard._asked_at is not None:
                        os.kill(os.getpid(), signal.SIGINT)

            presser = threading.Thread(target=press)
            presser.start()
            try:
                with pytest.raises((CoreError, KeyboardInterrupt)):
                    camera.start_recording(tmp_path / "a.h5")
            finally:
                done.set()
                presser.join()


class TestErrorsOfJava:
    """What Java throws."""

    def test_an_error_that_comes_back_as_an_object_is_raised(self, adapter):
        """The server raises exceptions, but returns errors, such as that of a full heap."""
        with pytest.raises(
            CoreError, match=r"core.throw_error\(\) failed: java.lang.OutOfMemoryError: Java heap space"
        ):
            adapter._call("throw_error")
        assert adapter.get_exposure_ms() == 1.0
