"""The whole way to a core in Java: the real pyjavaz, and a server whose core is simulated and that can be killed."""

import gc
import json
import os
import signal
import socket
import subprocess
import sys
import textwrap
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from pathlib import Path
from types import FunctionType
from typing import ClassVar

import numpy as np
import psutil
import pytest
from support.processes import interrupt_this_process

import mmspool
from mmspool import Camera, EndReason, MockCore, frame_index
from mmspool.adapters import JavaBridgeAdapter, Roi, connect, demo, wrap
from mmspool.errors import ConnectError, CoreError

# pyjavaz leaves its socket to the garbage collector.
pytestmark = pytest.mark.filterwarnings(r"ignore:Unclosed socket <zmq.Socket\(zmq.REQ\):ResourceWarning")

SIZE = {"width": 96, "height": 64}
FAKE_SERVER = Path(__file__).with_name("fake_server.py")
LIMIT_S = 30.0
GONE = r"Micro-Manager on port \d+ is gone"

java_bridge_guard = sys.modules[connect.__module__.replace("connect", "java_bridge_guard")]


class FakeServer:
    """A server's process; see fake_server.py for the options."""

    def __init__(self, **options):
        # The package that is tested, wherever it is, for the server's process too.
        environment = os.environ | {"PYTHONPATH": str(Path(mmspool.__file__).parents[1])}
        self.process = subprocess.Popen(
            [sys.executable, FAKE_SERVER, json.dumps({"core": SIZE} | options)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=environment,
        )
        self.port = int(self.process.stdout.readline())

    def kill(self):
        """Kill it, and wait until it is dead."""
        self.process.kill()
        self.process.wait(LIMIT_S)

    def close(self):
        """End it in any state."""
        self.process.stdin.close()
        if self.process.poll() is None:
            psutil.Process(self.process.pid).resume()
        self.process.wait(LIMIT_S)
        self.process.stdout.close()


@pytest.fixture
def serve(processes: None) -> Iterator[Callable[..., FakeServer]]:
    """Return a function that starts a server."""
    with ExitStack() as stack:
        yield lambda **options: stack.enter_context(closing(FakeServer(**options)))


@pytest.fixture
def no_core_here(monkeypatch):
    """Hide the cores that other tests keep in this process: ``pycromanager.Core`` prefers them."""
    from mmpycorex import core as cores

    monkeypatch.setattr(cores, "_PYMMCORES", [])


@pytest.fixture(autouse=True)
def no_helper_left(wait_until):
    """Fail when a watch or a call goes on after its test."""
    yield
    gc.collect()
    stays = "mmspool-session-end"  # on Windows, for the next recording too
    helpers = lambda: {each.name for each in threading.enumerate() if each.name.startswith("mmspool")}  # noqa: E731
    wait_until(lambda: helpers() <= {stays})


def in_flight(adapter: JavaBridgeAdapter) -> bool:
    """Return whether a call is under way."""
    return adapter._core._bridge._communication_lock.locked()


class TestRoundTrip:
    """A server that lives."""

    def test_settings_are_the_simulated_camera_s(self, serve):
        """Numbers, texts, vectors and regions come through in one type each."""
        local = wrap(MockCore("java", **SIZE))
        with closing(connect(serve().port)) as adapter:
            assert isinstance(adapter, JavaBridgeAdapter)
            label = adapter.camera_label()
            assert adapter.version() == local.version()
            assert adapter.device_info(label) == local.device_info(label)
            assert adapter.image_format() == local.image_format()
            assert adapter.pixel_size_um() == local.pixel_size_um()
            names = adapter.property_names(label)
            assert names == local.property_names(label)
            for name in names:
                assert adapter.get_property(label, name) == local.get_property(label, name)
                assert adapter.allowed_values(label, name) == local.allowed_values(label, name)
                assert adapter.limits(label, name) == local.limits(label, name)
                assert adapter.is_read_only(label, name) == local.is_read_only(label, name)

    def test_settings_are_set_and_refused(self, serve):
        """What is set is read back, and Java's exception becomes ours, without its stack."""
        with closing(connect(serve().port)) as adapter:
            adapter.set_exposure_ms(5.0)
            adapter.set_property("Camera", "Binning", "2")
            adapter.set_roi(Roi(8, 4, 16, 8))
            assert isinstance(adapter.get_exposure_ms(), float)
            assert adapter.get_exposure_ms() == pytest.approx(5, rel=0.01)
            assert adapter.get_roi() == Roi(8, 4, 16, 8)
            adapter.clear_roi()
            assert adapter.get_roi() == Roi(0, 0, 48, 32)
            adapter.set_buffer_mb(3)
            assert adapter.buffer_capacity() == 3 * 2**20 // (48 * 32 * 2)
            with pytest.raises(CoreError, match="No device with label") as refused:
                adapter.get_property("Nobody", "Binning")
            assert "\n" not in str(refused.value)

    @pytest.mark.parametrize("pixel_type", ["8bit", "16bit"])
    def test_a_snap_is_the_simulated_camera_s(self, serve, pixel_type):
        """A snap over the bridge has every pixel of the simulated camera."""
        local = wrap(MockCore("java", **SIZE))
        with closing(connect(serve().port)) as adapter:
            for each in (adapter, local):
                each.set_property("Camera", "PixelType", pixel_type)
            np.testing.assert_array_equal(adapter.snap(), local.snap())

    def test_a_recording_is_whole(self, serve, tmp_path):
        """Fifty frames arrive in order, and none remains."""
        with Camera(connect(serve().port)) as camera:
            camera.exposure_ms = 1.0
            result = camera.record(tmp_path / "a.h5", frames=50)
            assert camera.core.pop() is None
        assert (result.complete, result.frames_written) == (True, 50)
        with mmspool.open(result.path) as recording:
            assert [frame_index(frame) for frame in recording[:]] == list(range(50))
            assert list(recording.frame_table()["image_number"]) == list(range(50))

    @pytest.mark.usefixtures("no_core_here")
    def test_connections_share_a_server(self, serve):
        """Closing one of several leaves the others, and a core that a script made itself stays."""
        import pycromanager

        port = serve().port
        core = pycromanager.Core(port=port)
        with closing(connect(port)) as first, closing(wrap(core)) as second:
            first.set_exposure_ms(7.0)
            first.close()
            assert second.get_exposure_ms() == pytest.approx(7, rel=0.01)
        assert core.get_exposure() == pytest.approx(7, rel=0.01)

    def test_a_core_of_this_process_is_not_taken_for_it(self, serve):
        """The core at the port is the one that is meant, though pycromanager prefers one in this process."""
        with closing(demo(width=64, height=64)), closing(connect(serve().port)) as adapter:
            assert isinstance(adapter, JavaBridgeAdapter)
            assert adapter.get_roi() == Roi(0, 0, 96, 64)

    def test_frames_leave_nothing_for_the_exit(self, serve, monkeypatch):
        """The exit callback of each frame's object is taken away again."""
        monkeypatch.setattr(java_bridge_guard, "_TIDY_EVERY", 10)
        with closing(connect(serve().port)) as adapter:
            before = self.exit_callbacks()
            adapter.set_exposure_ms(1.0)
            adapter.start_sequence(60)
            popped = 0
            while popped < 60:
                popped += adapter.pop() is not None
            assert self.exit_callbacks() <= before + 10

    def exit_callbacks(self):
        """Count them: atexit itself counts those that were taken away too."""
        gc.collect()
        name = "_JavaObjectShadow.__init__.<locals>.cleanup"
        return sum(isinstance(each, FunctionType) and each.__qualname__ == name for each in gc.get_objects())

    def test_an_object_collected_during_a_call_does_not_stop_it(self, serve):
        """A destructor that the garbage collector runs amid a call, in the same thread, is put off."""
        with closing(connect(serve().port)) as adapter:
            bridge = adapter._core._bridge
            garbage = [adapter._core.get_roi()]
            answers = []

            def call():
                queue, bridge._response_queue = bridge._response_queue, Collecting(bridge._response_queue, garbage)
                try:
                    answers.append(adapter.get_exposure_ms())
                finally:
                    bridge._response_queue = queue

            thread = threading.Thread(target=call, daemon=True)
            thread.start()
            thread.join(LIMIT_S)
            assert len(answers) == 1
            assert garbage == []
            assert adapter.get_roi() == Roi(0, 0, 96, 64)


class Collecting:
    """A queue of answers in which the last reference to a Java object vanishes while a call looks for stale ones."""

    def __init__(self, queue, garbage):
        self._queue = queue
        self._garbage = garbage
        self.put = queue.put
        self.get = queue.get

    def get_nowait(self):
        """Lose the object."""
        self._garbage.clear()
        return self._queue.get_nowait()


class TestNoServer:
    """A port where nobody answers."""

    def test_nobody_listens(self):
        """Connecting to a port on which nothing listens fails at once."""
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        with pytest.raises(ConnectError, match=f"no Micro-Manager answers on port {port}"):
            connect(port)

    def test_something_else_listens(self):
        """A silent listener is given up after the limit, and no thread of the bridge dies of it."""
        with (
            socket.create_server(("127.0.0.1", 0)) as server,
            pytest.raises(ConnectError, match="what listens there is not Micro-Manager"),
        ):
            connect(server.getsockname()[1], timeout_s=0.2)

    def test_the_server_has_no_core(self, serve):
        """Connecting to a server without a core raises an error and leaves no bridge behind."""
        port = serve(core=None).port
        for _ in range(2):
            with pytest.raises(ConnectError, match="no Micro-Manager core answers there"):
                connect(port)

    @pytest.mark.parametrize("command", ["connect", "get-constructors", "constructor"])
    @pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
    def test_the_server_dies_while_connecting(self, serve, command, wait_until):
        """A server that dies while a client connects makes the connection fail instead of hang."""
        port = serve(hang_up_at={command: 1}).port
        with pytest.raises(ConnectError):
            connect(port, timeout_s=1.0)
        thread = f"BridgeSocketThread_port{port}"  # with "connect" it gives up, with an exception that is this test's
        wait_until(lambda: command != "connect" or thread not in {other.name for other in threading.enumerate()})

    @pytest.mark.usefixtures("no_core_here")
    def test_a_core_whose_server_died_is_not_wrapped(self, serve):
        """A core of the script's own is known to be dead."""
        import pycromanager

        server = serve()
        core = pycromanager.Core(port=server.port)
        server.kill()
        with pytest.raises(ConnectError, match="is gone"):
            wrap(core)
        with pytest.raises(ConnectionError, match=GONE):
            core.get_exposure()


class TestDeath:
    """The server is killed."""

    # Answers to look for frames, which is seldom done, to take one, and to let go of it.
    @pytest.mark.parametrize(
        ("where", "count"),
        [
            ("isSequenceRunning", 10),
            ("getRemainingImageCount", 10),
            ("popNextTaggedImage", 60),
            ("pix", 60),
            ("tags", 60),
            ("destructor", 60),
        ],
    )
    def test_in_a_call_of_a_recording(self, serve, tmp_path, where, count):
        """Whatever call it is, the recording ends with all that was received."""
        with Camera(connect(serve(hang_up_at={where: count}).port)) as camera:
            camera.exposure_ms = 1.0
            with pytest.raises(CoreError, match=GONE):
                camera.record(tmp_path / "a.h5")
        with mmspool.open(tmp_path / "a.h5") as recording:
            assert recording.state == "interrupted"
            assert recording.end_reason.startswith(f"{EndReason.FAILED}: core.")
            assert [frame_index(frame) for frame in recording[:]] == list(range(len(recording)))
            if where in ("popNextTaggedImage", "pix", "tags"):
                assert len(recording) == 59

    def test_while_the_camera_waits_for_a_trigger(self, serve, tmp_path, wait_until):
        """A recording without a limit ends, and later calls fail at once."""
        server = serve()
        with Camera(connect(server.port)) as camera:
            recording = camera.start_recording(tmp_path / "a.h5", frame_timeout_s=float("inf"))
            wait_until(lambda: recording.stats.frames_received >= 5)
            server.kill()
            with pytest.raises(CoreError, match=GONE):
                recording.wait(LIMIT_S)
            for call in (camera.core.version, camera.core.pop, camera.core.snap, camera.core.get_roi):
                with pytest.raises(CoreError, match=GONE):
                    call()
        with mmspool.open(tmp_path / "a.h5") as file:
            assert file.state == "interrupted"
            assert len(file) >= 5

    def test_while_nobody_calls(self, serve):
        """When the server dies between two calls, the next call raises, and closing stays silent."""
        server = serve()
        adapter = connect(server.port)
        server.kill()
        with pytest.raises(CoreError, match=GONE):
            adapter.get_exposure_ms()
        adapter.close()
        adapter.close()
        with pytest.raises(CoreError, match="closed before"):
            adapter.get_exposure_ms()

    def test_a_new_server_on_the_port_is_connected_to(self, serve, tmp_path):
        """The dead server's bridge is not taken for the new one's, whose objects are let go of properly."""
        first = serve()
        old = connect(first.port)
        first.kill()
        with pytest.raises(CoreError, match=GONE):
            old.version()
        second = serve(port=first.port)
        with Camera(connect(second.port)) as camera:
            assert camera.record(tmp_path / "a.h5", frames=20).complete
            with pytest.raises(CoreError, match=GONE):
                old.version()
            old.close()
            assert camera.record(tmp_path / "b.h5", frames=20).complete

    def test_others_may_say_so_too(self, serve):
        """A port that pyjavaz has marked as terminated can be connected to again."""
        import pyjavaz

        port = serve().port
        pyjavaz.server_terminated(port)
        with closing(connect(port)) as adapter:
            assert adapter.get_roi() == Roi(0, 0, 96, 64)

    def test_a_stopped_server_is_only_slow(self, serve, tmp_path, wait_until):
        """A server that does not answer for a while loses no frame and is not given up."""
        server = serve()
        process = psutil.Process(server.process.pid)
        with Camera(connect(server.port)) as camera:
            camera.exposure_ms = 1.0
            recording = camera.start_recording(tmp_path / "a.h5", frames=300)
            wait_until(lambda: recording.stats.frames_received >= 5)
            process.suspend()
            if os.name == "posix":  # on Windows `suspend` has stopped it when it returns, and Wine does not report that
                wait_until(lambda: process.status() == psutil.STATUS_STOPPED)
            wait_until(lambda: in_flight(camera.core))
            assert recording.wait(1.5) is None
            assert in_flight(camera.core)
            process.resume()
            result = recording.wait(LIMIT_S)
        assert result.complete
        assert result.frames_written == 300


class TestInterrupt:
    """Ctrl-C and signal handlers amid a call."""

    def send_when_busy(self, adapter, wait_until):
        """Send the signal once a call is under way."""

        def send():
            wait_until(lambda: in_flight(adapter))
            interrupt_this_process()

        thread = threading.Thread(target=send)
        thread.start()
        return thread

    def test_answers_are_not_mixed_up(self, serve, wait_until):
        """A call that Ctrl-C broke off keeps its answer, and the next calls get theirs."""
        with closing(connect(serve(delays_s={"snapImage": 0.5}).port)) as adapter:
            sender = self.send_when_busy(adapter, wait_until)
            with pytest.raises(KeyboardInterrupt):
                adapter.snap()
            sender.join()
            assert adapter.get_exposure_ms() > 0
            assert adapter.get_roi() == Roi(0, 0, 96, 64)
            assert adapter.camera_label() == "Camera"

    def test_a_handler_may_call_the_core(self, serve, wait_until):
        """A signal handler may call the core: its call waits for the interrupted one, which then continues."""
        labels = []
        with closing(connect(serve(delays_s={"snapImage": 0.5}).port)) as adapter:
            before = signal.signal(signal.SIGINT, lambda *_: labels.append(adapter.camera_label()))
            try:
                sender = self.send_when_busy(adapter, wait_until)
                assert adapter.snap().shape == (64, 96)
                sender.join()
            finally:
                signal.signal(signal.SIGINT, before)
        assert labels == ["Camera"]


class TestExit:
    """The interpreter's end, after the server's."""

    SETUP = """
        import sys, threading
        import pycromanager
        from mmspool import Camera
        from mmspool.adapters import connect, wrap
        from mmspool.errors import CoreError

        port, path = int(sys.argv[1]), sys.argv[2]
        adapter = {adapter}

        def ready():
            print("ready", flush=True)
            sys.stdin.readline()
        """
    SCRIPTS: ClassVar = {
        "in a recording": """
            camera = Camera(adapter)
            recording = camera.start_recording(path)
            while recording.stats.frames_received < 5:
                recording.join(0.01)
            print("ready", flush=True)
            try:
                recording.wait()
            except CoreError as exc:
                print(exc)
            """,
        "in a recording that nobody waits for": """
            recording = Camera(adapter).start_recording(path)
            while recording.stats.frames_received < 5:
                recording.join(0.01)
            ready()
            """,
        "while idle": """
            region = adapter._core.get_roi()
            ready()
            """,
        "in a call of the main thread": """
            print("ready", flush=True)
            try:
                while True:
                    adapter.get_roi()
            except CoreError as exc:
                print(exc)
            """,
    }

    @pytest.mark.parametrize("adapter", ["connect(port)", "wrap(pycromanager.Core(port=port))"])
    @pytest.mark.parametrize("where", SCRIPTS)
    def test_the_interpreter_exits(self, serve, tmp_path, where, adapter):
        """The interpreter exits promptly and silently after the server died, though nothing was closed."""
        server = serve()
        code = textwrap.dedent(self.SETUP).format(adapter=adapter) + textwrap.dedent(self.SCRIPTS[where])
        with subprocess.Popen(
            [sys.executable, "-c", code, str(server.port), tmp_path / "a.h5"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=os.environ | {"PYTHONPATH": str(Path(mmspool.__file__).parents[1])},
        ) as script:
            try:
                assert script.stdout.readline() == "ready\n"
                server.kill()
                out, err = script.communicate("\n", timeout=LIMIT_S)
            finally:
                script.kill()
        # Other tests on this machine may leave blocks of shared memory, and who clears one away says so. The imitated
        # server has no BeanShell, which is said too.
        expected = "left behind by process", "frames come over Micro-Manager's ZMQ bridge"
        said = [line for line in err.splitlines() if not any(text in line for text in expected)]
        assert (script.returncode, said) == (0, [])
        if where in ("in a recording", "in a call of the main thread"):
            assert "is gone" in out
        if "recording" in where:
            with mmspool.open(tmp_path / "a.h5") as recording:
                assert recording.state == "interrupted"
                assert [frame_index(frame) for frame in recording[:]] == list(range(len(recording)))
                assert len(recording) >= 5
