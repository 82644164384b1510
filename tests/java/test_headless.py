"""A Java process that `headless` starts: it comes up, listens to nobody else's port, and ends with its parent."""

import gc
import os
import socket
import textwrap
import threading
from contextlib import closing

import psutil
import pytest
from support.processes import ended

from mmspool import Camera
from mmspool.adapters import headless
from mmspool.errors import ConnectError

# pyjavaz leaves its socket to the garbage collector.
pytestmark = pytest.mark.filterwarnings(r"ignore:Unclosed socket <zmq.Socket\(zmq.REQ\):ResourceWarning")

LIMIT_S = 60.0


@pytest.fixture(autouse=True)
def no_helper_left(wait_until):
    """Fail when a thread of the bridge or of the process goes on after its test."""
    yield
    gc.collect()
    wait_until(lambda: not [thread for thread in threading.enumerate() if thread.name.startswith("mmspool")])


@pytest.fixture
def folder(tmp_path, jars):
    """Make a folder like Micro-Manager's, with a configuration."""
    plugins = tmp_path / "plugins" / "Micro-Manager"
    plugins.mkdir(parents=True)
    for jar in jars:
        (plugins / jar.name).symlink_to(jar)
    (tmp_path / "x.cfg").touch()
    return tmp_path


@pytest.fixture
def options(monkeypatch):
    """Return a function that sets system properties of the Java processes to come."""

    def choose(**properties):
        text = " ".join(f"-Dstub.{name}={value}" for name, value in properties.items())
        monkeypatch.setenv("JAVA_TOOL_OPTIONS", f"-XX:+UseSerialGC -XX:TieredStopAtLevel=1 {text}")

    choose()
    return choose


def javas():
    """Return the Java processes that this process has started."""
    return [each for each in psutil.Process().children() if "java" in each.name()]


class TestStart:
    """The start of the process."""

    def test_it_comes_up_though_it_listens_late(self, folder, free_port, options):
        """The launcher says that it has started a second before its server listens; frames then come fast."""
        options(delay_ms=1000)
        with Camera.headless(folder, "x.cfg", backend="java", port=free_port) as camera:
            camera.exposure_ms = 1.0
            result = camera.record(folder / "a.h5", frames=50)
            assert result.complete
            assert result.stats.frame_path.way == "java-pump"
            (java,) = javas()
        assert not java.is_running()

    def test_it_starts_again_on_the_same_port(self, folder, free_port, options):
        """Closing frees the port."""
        for _ in range(2):
            with closing(headless(folder, "x.cfg", backend="java", port=free_port)) as adapter:
                assert "stub" in adapter.version()

    def test_a_port_that_is_taken_is_refused(self, folder, free_port, options):
        """It never talks to another program's Micro-Manager, and starts no Java at all."""
        with socket.create_server(("127.0.0.1", free_port)):
            with pytest.raises(ConnectError, match=f"port {free_port} is taken"):
                headless(folder, "x.cfg", backend="java", port=free_port)
            assert not javas()

    def test_a_port_that_another_takes_meanwhile_is_noticed(self, folder, free_port, options, monkeypatch):
        """Whoever listens there is not taken for the process that was started."""
        options(delay_ms=500)
        monkeypatch.setattr("mmspool.adapters.java_process._is_taken", lambda _port: False)
        silent = pytest.raises(ConnectError, match=f"does not listen on port {free_port}")
        with socket.create_server(("127.0.0.1", free_port)), silent:
            headless(folder, "x.cfg", backend="java", port=free_port, timeout_s=2.0)
        assert not javas()

    def test_a_process_that_ends_says_why(self, tmp_path, free_port, options):
        """Without Micro-Manager's classes Java ends, and its words are in the error."""
        (tmp_path / "x.cfg").touch()
        with pytest.raises(ConnectError, match=r"ended while it started: .* It said: .*HeadlessLauncher"):
            headless(tmp_path, "x.cfg", backend="java", port=free_port)

    def test_without_java_it_is_told(self, folder, free_port, monkeypatch):
        """The message names what is needed."""
        monkeypatch.setenv("PATH", str(folder))
        with pytest.raises(ConnectError, match="a Java 11 is needed"):
            headless(folder, "x.cfg", backend="java", port=free_port)

    def test_what_it_says_does_not_stop_it(self, folder, free_port, options):
        """A megabyte of words is more than a pipe holds."""
        options(words=40_000)
        with closing(headless(folder, "x.cfg", backend="java", port=free_port)) as adapter:
            for _ in range(100):
                assert adapter.get_exposure_ms() == 10.0


class TestEnd:
    """The end of the process."""

    SCRIPT = textwrap.dedent(
        """
        import sys
        from mmspool import Camera

        camera = Camera.headless(sys.argv[1], "x.cfg", backend="java", port=int(sys.argv[2]))
        print("ready", flush=True)
        sys.stdin.readline()
        """
    )

    @pytest.mark.parametrize("how", ["kill", "terminate", "exit"])
    def test_it_ends_with_its_parent(self, folder, free_port, options, start_script, wait_until, how):
        """Whether the script is killed or forgets to close, neither Java nor a helper outlives it."""
        script = start_script(self.SCRIPT, folder, free_port)
        assert script.stdout.readline() == "ready\n"
        family = psutil.Process(script.pid).children(recursive=True)
        assert any("java" in each.name() for each in family)
        script.stdin.close() if how == "exit" else getattr(script, how)()
        script.wait(LIMIT_S)
        wait_until(lambda: all(ended(each.pid) for each in family), "nothing of it is left")

    def test_ctrl_c_in_the_terminal_does_not_reach_it(self, folder, free_port, options):
        """A terminal interrupts its whole foreground group, which Java is not in: a recording ends as it should."""
        with closing(headless(folder, "x.cfg", backend="java", port=free_port)):
            (java,) = javas()
            assert os.getpgid(java.pid) != os.getpgid(0)
