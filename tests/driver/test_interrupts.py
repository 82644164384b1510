"""Ctrl-C: what was received is in the file, whenever it comes."""

import json
import os
import signal
import subprocess
import sys
import textwrap
import threading
from pathlib import Path

import pytest

import mmspool
from mmspool import CoreError, EndReason, RunningRecording
from mmspool.driver.interrupts import StopOnInterrupt

LIMIT_S = 60.0
ROOT = Path(mmspool.__file__).parents[1]


@pytest.fixture
def handler():
    """Put the handler of Ctrl-C back that a test replaces."""
    before = signal.getsignal(signal.SIGINT)
    yield
    signal.signal(signal.SIGINT, before)


class TestStopOnInterrupt:
    """The handler itself."""

    def test_notes_it_and_calls_stop(self):
        """No exception is raised; each Ctrl-C asks again."""
        calls = []
        with StopOnInterrupt() as interrupt:
            signal.raise_signal(signal.SIGINT)
            assert interrupt.asked
            interrupt.watch(calls.append)
            assert calls == [""]
            signal.raise_signal(signal.SIGINT)
        assert calls == ["", ""]
        assert signal.getsignal(signal.SIGINT) is signal.default_int_handler

    def test_leaves_a_scripts_own_handler_alone(self, handler):
        """A program that does something else on Ctrl-C goes on doing it."""
        seen = []
        signal.signal(signal.SIGINT, lambda *_: seen.append(1))
        with StopOnInterrupt() as interrupt:
            signal.raise_signal(signal.SIGINT)
        assert seen == [1]
        assert not interrupt.asked

    def test_takes_sigterm_only_where_it_raises_keyboard_interrupt(self):
        """SIGTERM is handled only where it raises KeyboardInterrupt, as on the command line."""
        before = signal.signal(signal.SIGTERM, signal.default_int_handler)
        try:
            with StopOnInterrupt() as interrupt:
                signal.raise_signal(signal.SIGTERM)
            assert interrupt.asked
            assert signal.getsignal(signal.SIGTERM) is signal.default_int_handler
        finally:
            signal.signal(signal.SIGTERM, before)
        with StopOnInterrupt():
            assert signal.getsignal(signal.SIGTERM) is before

    def test_does_nothing_in_other_threads(self):
        """Outside the main thread, where no signal arrives, the interrupt handling does nothing."""
        handlers = []

        def enter():
            with StopOnInterrupt():
                handlers.append(signal.getsignal(signal.SIGINT))

        thread = threading.Thread(target=enter)
        thread.start()
        thread.join()
        assert handlers == [signal.default_int_handler]


@pytest.fixture
def press_once_it_waits(mocker):
    """Return an ``until`` that never ends a recording, but presses Ctrl-C once when the script waits for it."""
    waiting, wait = threading.Event(), RunningRecording.wait

    def said(self, timeout_s=None):
        waiting.set()
        return wait(self, timeout_s)

    def until():
        if waiting.is_set():
            waiting.clear()
            if hasattr(signal, "pthread_kill"):
                signal.pthread_kill(threading.main_thread().ident, signal.SIGINT)
            else:
                signal.raise_signal(signal.SIGINT)  # on Windows the main thread handles it wherever it was raised
        return False

    mocker.patch.object(RunningRecording, "wait", said)
    return until


class TestInProcess:
    """Ctrl-C at a chosen moment."""

    @pytest.mark.parametrize(
        "moment", ["get_roi", "start_sequence_acquisition", "get_circular_buffer_memory_footprint"]
    )
    def test_while_it_starts(self, mock, raw, record, mocker, read, moment):
        """No call to the core is torn, no camera is left running: the recording ends at once and is whole."""
        camera = mock()
        call = getattr(raw(camera), moment)

        def interrupted(*args):
            signal.raise_signal(signal.SIGINT)
            return call(*args)

        mocker.patch.object(raw(camera), moment, side_effect=interrupted)
        result = record(camera, frames=10**6)
        assert (result.end_reason, result.state) == (EndReason.STOPPED, "interrupted")
        assert read(result.path).holds_first(result.frames_written)
        assert not camera.core.is_sequence_running()

    def test_while_start_recording_starts(self, mock, raw, start, tmp_path, mocker, read):
        """A script that gets no handle gets the KeyboardInterrupt, after the file was closed."""
        camera = mock()
        begin = raw(camera).start_sequence_acquisition

        def interrupted(*args):
            begin(*args)
            signal.raise_signal(signal.SIGINT)

        mocker.patch.object(raw(camera), "start_sequence_acquisition", side_effect=interrupted)
        with pytest.raises(KeyboardInterrupt):
            start(camera)
        assert not camera.core.is_sequence_running()
        file = read(tmp_path / "run.h5")
        assert file.holds_first(len(file.indices))
        assert signal.getsignal(signal.SIGINT) is signal.default_int_handler

    def test_start_that_fails_is_told_though_it_was_interrupted(self, mock, record, mocker, tmp_path):
        """The error says more than the interruption."""
        camera = mock()

        def fail(_):
            signal.raise_signal(signal.SIGINT)
            raise CoreError("no light")

        mocker.patch.object(camera.core, "start_sequence", side_effect=fail)
        with pytest.raises(CoreError, match="no light"):
            record(camera)
        assert list(tmp_path.iterdir()) == []

    def test_while_a_script_waits(self, mock, start, read, press_once_it_waits):
        """Ctrl-C while a script waits raises KeyboardInterrupt there; the recording continues and can be stopped."""
        recording = start(mock(), until=press_once_it_waits)
        with pytest.raises(KeyboardInterrupt):
            recording.wait()
        assert recording.running
        assert not recording.join(0)
        recording.stop()
        assert recording.join()
        result = recording.wait()
        assert result.end_reason is EndReason.STOPPED
        assert read(result.path).holds_first(result.frames_written)

    def test_handler_of_the_script_that_raises_keyboard_interrupt(
        self, mock, record, read, handler, press_once_it_waits
    ):
        """A KeyboardInterrupt raised by the script's own handler ends the recording and does not leave `record`."""

        def own(*_):
            raise KeyboardInterrupt

        signal.signal(signal.SIGINT, own)
        result = record(mock(), until=press_once_it_waits)
        assert result.end_reason is EndReason.STOPPED
        assert read(result.path).holds_first(result.frames_written)

    def test_other_exceptions_end_the_recording_before_they_get_out(
        self, mock, record, tmp_path, read, handler, press_once_it_waits
    ):
        """Any other exception from a signal handler ends the recording before it leaves `record`."""

        def own(*_):
            raise TimeoutError

        signal.signal(signal.SIGINT, own)
        camera = mock()
        with pytest.raises(TimeoutError):
            record(camera, until=press_once_it_waits)
        assert not camera.core.is_sequence_running()
        file = read(tmp_path / "run.h5")
        assert file.state == "interrupted"
        assert file.holds_first(len(file.indices))

    def test_sequence_that_cannot_be_started_twice_is_not_stopped(self, mock, record, tmp_path):
        """A recording that is refused does not stop a sequence that another program runs."""
        camera = mock()
        camera.core.start_sequence(1000)
        with pytest.raises(mmspool.CameraBusyError):
            record(camera)
        assert camera.core.is_sequence_running()


SCRIPT = """
    import json, sys, threading, time
    from mmspool import Camera, MockCore

    class Core(MockCore):
        # Says aloud when the recording is well under way.
        def pop_next_tagged_image(self):
            image = super().pop_next_tagged_image()
            if self.calls["pop_next_tagged_image"] == 20:
                print("under way", flush=True)
            return image

    core = Core(width=96, height=64)
    core.set_exposure(1.0)
    camera = Camera(core)
    options = json.loads(sys.argv[2])
    try:
        {body}
    finally:
        print("running", camera.core.is_sequence_running(), flush=True)
"""
RECORD = """
        result = camera.record(sys.argv[1], buffer_bytes=16 * 10**6, **options)
        print(json.dumps([str(result.end_reason), result.state, result.frames_written]), flush=True)
"""
START = """
        recording = camera.start_recording(sys.argv[1], buffer_bytes=16 * 10**6, **options)
        time.sleep(60)
"""
ASYNCIO = """
        import asyncio

        async def main():
            result = camera.record(sys.argv[1], buffer_bytes=16 * 10**6, **options)
            print(json.dumps([str(result.end_reason), result.state, result.frames_written]), flush=True)

        asyncio.run(main())
"""
END = """
        recording = camera.start_recording(sys.argv[1], buffer_bytes=16 * 10**6, **options)
        while recording.stats.frames_received < 20:
            time.sleep(0.001)
"""


class Script:
    """A script in a process group of its own, as a terminal starts it."""

    def __init__(self, body, path, **options):
        code = textwrap.dedent(SCRIPT).replace("    {body}", textwrap.indent(textwrap.dedent(body).strip(), "    "))
        self.path = path
        self._process = subprocess.Popen(
            [sys.executable, "-c", code, str(path), json.dumps(options)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
            env=os.environ | ({"PYTHONPATH": str(ROOT)} if (ROOT / "pyproject.toml").exists() else {}),
        )

    def wait_until_under_way(self):
        """Read until the script says so."""
        assert self._process.stdout.readline() == "under way\n"

    def interrupt(self):
        """Press Ctrl-C: the whole foreground group gets the signal, the writer process too."""
        os.killpg(self._process.pid, signal.SIGINT)

    def end(self):
        """Return the exit code and what it printed, on both outputs."""
        out, err = self._process.communicate(timeout=LIMIT_S)
        return self._process.returncode, out, err


@pytest.fixture
def script(processes, tmp_path):
    """Return a function that starts a script, and end it whatever happens."""
    scripts = []

    def run(body, **options):
        scripts.append(Script(body, tmp_path / "run.h5", **options))
        return scripts[-1]

    yield run
    for each in scripts:
        if each._process.poll() is None:
            os.killpg(each._process.pid, signal.SIGKILL)
        each._process.communicate()


class TestProcess:
    """Ctrl-C on a real process."""

    @pytest.mark.parametrize(
        ("options", "state"), [({}, "complete"), ({"frames": 10**6}, "interrupted"), ({"seconds": 600}, "interrupted")]
    )
    def test_ends_record(self, script, read, options, state):
        """Ctrl-C, once or twice, makes `record` return a result with everything received in the file."""
        process = script(RECORD, **options)
        process.wait_until_under_way()
        process.interrupt()
        process.interrupt()
        code, out, err = process.end()
        assert (code, err) == (0, "")
        *_, result, running = out.splitlines()
        end, said, frames = json.loads(result)
        file = read(process.path)
        assert (end, said, running) == ("stopped by the user", state, "running False")
        assert (file.state, file.end_reason) == (state, "stopped by the user")
        assert frames >= 20
        assert file.holds_first(frames)

    def test_under_asyncio(self, script, read):
        """The first Ctrl-C ends the recording, though asyncio has a handler of its own, which could not run."""
        process = script(ASYNCIO, frames=10**6)
        process.wait_until_under_way()
        process.interrupt()
        code, out, err = process.end()
        assert (code, err) == (0, "")
        *_, result, running = out.splitlines()
        end, _, frames = json.loads(result)
        assert (end, running) == ("stopped by the user", "running False")
        assert read(process.path).holds_first(frames)

    def test_in_a_script_with_a_recording_in_the_background(self, script, read):
        """The script ends with its KeyboardInterrupt; the recording is stopped and closed at its end."""
        process = script(START, frames=10**6)
        process.wait_until_under_way()
        process.interrupt()
        code, _, err = process.end()
        assert code in {1, -signal.SIGINT}
        assert err.rstrip().endswith("KeyboardInterrupt")
        file = read(process.path)
        assert (file.state, file.end_reason) == ("interrupted", "stopped by the user")
        assert file.holds_first(len(file.indices))
        assert len(file.indices) >= 20

    def test_script_that_ends_without_waiting(self, script, read):
        """The recording is stopped and closed when the script is over, with no message."""
        process = script(END)
        code, _, err = process.end()
        assert (code, err) == (0, "")
        file = read(process.path)
        assert (file.state, file.end_reason) == ("complete", "stopped by the user")
        assert file.holds_first(len(file.indices))
        assert len(file.indices) >= 20
