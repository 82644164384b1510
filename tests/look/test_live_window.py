"""The live window, with real clicks, on Qt's platform without a screen."""

import functools
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner
from support.processes import Python, children, command_line, limit_files
from support.waiting import wait_until

import mmspool
from mmspool import Camera, Faults
from mmspool.cli import main
from mmspool.live_window import LiveWindow, live

from .conftest import HEIGHT, WIDTH, recorded

QtCore = pytest.importorskip("qtpy.QtCore", reason="the environment look has it")
QtTest = pytest.importorskip("qtpy.QtTest", reason="the environment look has it")
QtWidgets = pytest.importorskip("qtpy.QtWidgets", reason="the environment look has it")

pytestmark = [
    pytest.mark.filterwarnings("ignore:::(?!mmspool)"),
    pytest.mark.usefixtures("screenless"),
]

RING = {"buffer_bytes": 16_000_000}
SCRIPT = f"""
from unittest.mock import Mock
import mmspool
import superqt.iconify
from qtpy.QtCore import QTimer
from qtpy.QtWidgets import QApplication, QPushButton

superqt.iconify.svg_path = Mock(side_effect=OSError("no server in the tests"))

def press():
    buttons = [button for window in app.topLevelWidgets() for button in window.findChildren(QPushButton)]
    record = [button for button in buttons if button.isVisible() and button.text() == "Record"]
    if record:
        record[0].click()
    else:
        QTimer.singleShot(1, press)

app = QApplication([])
QTimer.singleShot(0, press)
with mmspool.Camera.mock(width={WIDTH}, height={HEIGHT}) as camera:
    for result in mmspool.live(camera, "run.h5", buffer_bytes=16_000_000):
        print(result.state, result.frames_written, camera.core.is_sequence_running(), flush=True)
"""


@pytest.fixture(params=["mock", "demo"])
def camera(request: pytest.FixtureRequest) -> Iterator[Camera]:
    """Yield a simulated camera, and one of Micro-Manager's real core."""
    make = Camera.mock if request.param == "mock" else functools.partial(Camera.demo, buffer_mb=16)
    with make(width=WIDTH, height=HEIGHT) as camera:
        yield camera


@pytest.fixture
def snapped(monkeypatch: pytest.MonkeyPatch) -> list[np.ndarray[Any, Any]]:
    """Return the list that the pictures are added to which cameras return from a snap."""
    pictures: list[np.ndarray[Any, Any]] = []
    snap = Camera.snap

    def note(camera: Camera) -> np.ndarray[Any, Any]:
        pictures.append(snap(camera))
        return pictures[-1]

    monkeypatch.setattr(Camera, "snap", note)
    return pictures


@pytest.fixture
def opened(tmp_path: Path) -> Iterator[Callable[..., LiveWindow]]:
    """Yield a function that opens the window of a camera, which it closes too; its recordings are in ``tmp_path``."""
    cameras: list[Camera] = []
    windows: list[LiveWindow] = []

    def open_window(camera: Camera, **options: Any) -> LiveWindow:
        cameras.append(camera)
        windows.append(LiveWindow(camera, tmp_path / "run.h5", **RING | options))
        windows[-1].show()
        return windows[-1]

    yield open_window
    for each in (*windows, *cameras):
        each.close()


def until(condition: Callable[[], bool], what: str) -> None:
    """Let the window go on until a condition holds."""

    def holds() -> bool:
        QtWidgets.QApplication.processEvents()
        return condition()

    wait_until(holds, what)


def press(button: Any) -> None:
    """Click a button as soon as it can be clicked."""
    until(button.isEnabled, f"{button.text()} can be clicked")
    QtTest.QTest.mouseClick(button, QtCore.Qt.MouseButton.LeftButton)


def drawn(window: LiveWindow) -> np.ndarray[Any, Any]:
    """Return the pixels that the window's viewer draws."""
    handles = [handle for channel in window.viewer._lut_controllers.values() for handle in channel.handles]
    return np.asarray(handles[0].data()) if handles else np.empty(0)


def record_frames(window: LiveWindow, count: int) -> None:
    """Record until so many frames were seen, and stop."""
    done = len(window.results)
    press(window.record)
    until(lambda: window.status.text().startswith("frames"), "the figures of the recording")
    until(lambda: frames_shown(window) >= count, f"{count} frames")
    press(window.record)
    until(lambda: len(window.results) > done, "the end of the recording")


def frames_shown(window: LiveWindow) -> int:
    """Return how many frames the status line says were recorded."""
    words = window.status.text().split()
    return int(words[1].replace(",", "")) if words[0] == "frames" else 0


def verified(path: Path) -> int:
    """Return how many frames a recording has that is complete and intact."""
    report = mmspool.verify(path)
    with mmspool.open(path) as run:
        assert (report.intact, run.state, run.frames_lost) == (True, "complete", 0)
        return len(run)


class TestPicture:
    """Snap and Live."""

    def test_snap(self, camera: Camera, snapped: list[Any], opened: Callable[..., LiveWindow]) -> None:
        """A click on Snap shows the pixels that the camera gave, once."""
        window = opened(camera)
        press(window.snap)
        until(lambda: len(snapped) == 1 and np.array_equal(drawn(window), snapped[0]), "the picture is drawn")
        press(window.snap)
        until(lambda: len(snapped) == 2 and np.array_equal(drawn(window), snapped[1]), "the next picture is drawn")

    def test_live(self, camera: Camera, snapped: list[Any], opened: Callable[..., LiveWindow]) -> None:
        """Live shows one picture after the other, each as the camera gave it, until it is clicked again."""
        window = opened(camera)
        press(window.live)
        until(lambda: len(snapped) >= 3, "three pictures")
        until(lambda: not window.snap.isEnabled(), "Snap is not offered while the picture is live")
        press(window.live)
        until(window.snap.isEnabled, "Live has ended")
        until(lambda: np.array_equal(drawn(window), snapped[-1]), "the last picture is drawn")
        assert not np.array_equal(snapped[-1], snapped[-2])

    def test_another_pixel_type(self, snapped: list[Any], opened: Callable[..., LiveWindow]) -> None:
        """A camera whose frames have become others, by its Micro-Manager, is shown all the same."""
        camera = Camera.mock(width=WIDTH, height=HEIGHT)
        window = opened(camera)
        press(window.snap)
        until(lambda: len(snapped) == 1 and np.array_equal(drawn(window), snapped[0]), "16 bits")
        camera.pixel_type = "8bit"
        press(window.snap)
        until(lambda: len(snapped) == 2 and np.array_equal(drawn(window), snapped[1]), "8 bits")
        assert [picture.dtype for picture in snapped] == [np.uint16, np.uint8]

    def test_the_window_waits_for_no_exposure(
        self, monkeypatch: pytest.MonkeyPatch, opened: Callable[..., LiveWindow]
    ) -> None:
        """While the camera exposes, clicks and typing do what they do, and Live ends with the exposure."""
        exposed, taken, snap = threading.Event(), [], Camera.snap

        def slow(camera: Camera) -> np.ndarray[Any, Any]:
            taken.append(exposed.wait(120))
            return snap(camera)

        monkeypatch.setattr(Camera, "snap", slow)
        camera = Camera.mock(width=WIDTH, height=HEIGHT)
        window = opened(camera)
        press(window.live)
        until(lambda: not window.snap.isEnabled(), "Live is on")
        press(window.live)
        until(window.snap.isEnabled, "Live is off, though the camera still exposes")
        window.file.clear()
        QtTest.QTest.keyClicks(window.file, "other.h5")
        assert window.file.text() == "other.h5"
        assert not taken
        exposed.set()
        until(lambda: bool(window.viewer.data.any()), "the picture of the exposure")


class TestExposure:
    """The field for the exposure."""

    def test_is_set_and_read_back(self, opened: Callable[..., LiveWindow]) -> None:
        """The field has the camera's exposure; a typed one is set, also while Live is on, and shown as it became."""
        camera = Camera.mock(width=WIDTH, height=HEIGHT)
        window = opened(camera)
        assert window.exposure.value() == pytest.approx(camera.exposure_ms, abs=0.001)
        press(window.live)
        window.exposure.selectAll()
        QtTest.QTest.keyClicks(window.exposure, "12.345")
        QtTest.QTest.keyClick(window.exposure, QtCore.Qt.Key.Key_Return)
        until(lambda: abs(camera.exposure_ms - 12.345) < 0.01, "the exposure is set")
        until(lambda: abs(window.exposure.value() - camera.exposure_ms) < 0.001, "the exposure is shown")

    def test_a_refused_one_is_reported(self, opened: Callable[..., LiveWindow]) -> None:
        """An exposure that the camera does not take is reported, and the field has the one in force again."""
        camera = Camera.mock(width=WIDTH, height=HEIGHT)
        before = camera.exposure_ms
        window = opened(camera)
        window.exposure.setValue(5e6)
        until(lambda: "out of range" in window.status.text(), "the message")
        until(lambda: abs(window.exposure.value() - before) < 0.001, "the exposure in force")
        assert camera.exposure_ms == before


class TestRecord:
    """Record and Stop."""

    def test_records(self, camera: Camera, opened: Callable[..., LiveWindow], tmp_path: Path) -> None:
        """A recording is complete, shows its figures and its own frames meanwhile, and leaves the next file's name."""
        window = opened(camera)
        record_frames(window, 5)
        assert f"{tmp_path / 'run.h5'}: complete" in window.status.text()
        assert verified(tmp_path / "run.h5") == window.results[0].frames_written >= 5
        with mmspool.open(tmp_path / "run.h5") as run:
            assert any(np.array_equal(window.viewer.data, frame) for frame in run)
        until(lambda: window.file.text() == str(tmp_path / "run_2.h5"), "the next name")
        record_frames(window, 1)
        until(lambda: window.file.text() == str(tmp_path / "run_3.h5"), "the one after it")
        verified(tmp_path / "run_2.h5")

    def test_live_goes_on_afterwards(
        self, camera: Camera, snapped: list[Any], opened: Callable[..., LiveWindow], tmp_path: Path
    ) -> None:
        """Live pauses while it records, and goes on when the recording has ended."""
        window = opened(camera)
        press(window.live)
        until(lambda: len(snapped) >= 1, "the picture is live")
        press(window.record)
        until(lambda: window.record.text() == "Stop", "it records")
        before = len(snapped)
        until(lambda: frames_shown(window) >= 5, "frames are recorded")
        assert len(snapped) == before
        press(window.record)
        until(lambda: len(snapped) > before, "the picture is live again")
        verified(tmp_path / "run.h5")

    def test_ends_by_itself(self, opened: Callable[..., LiveWindow], tmp_path: Path) -> None:
        """With a number of frames, a recording ends without a click, and the window is ready for the next."""
        camera = Camera.mock(width=WIDTH, height=HEIGHT)
        window = opened(camera, frames=7)
        press(window.record)
        until(lambda: len(window.results) == 1 and window.record.text() == "Record", "it ends")
        assert verified(tmp_path / "run.h5") == 7

    def test_a_file_that_exists(self, opened: Callable[..., LiveWindow], tmp_path: Path) -> None:
        """A file that exists is left as it is, with a message; under another name the recording works."""
        (tmp_path / "run.h5").write_text("precious")
        camera = Camera.mock(width=WIDTH, height=HEIGHT)
        window = opened(camera)
        press(window.record)
        until(lambda: "the file exists" in window.status.text(), "the message")
        window.file.setText(str(tmp_path / "other.h5"))
        record_frames(window, 1)
        verified(tmp_path / "other.h5")
        assert (tmp_path / "run.h5").read_text() == "precious"

    def test_a_full_disk(self, snapped: list[Any], opened: Callable[..., LiveWindow], tmp_path: Path) -> None:
        """When the disk takes no more, the message says why and what is safe, and the camera can be used."""
        camera = Camera.mock(width=WIDTH, height=HEIGHT)
        window = opened(camera)
        press(window.record)
        until(lambda: frames_shown(window) >= 1, "frames are recorded")
        for writer in [pid for pid in children() if "mmspool" in command_line(pid)]:
            limit_files(writer, 1 << 16)
        until(lambda: "safe in" in window.status.text(), "the message")
        assert str(tmp_path / "run.h5") in window.status.text()
        press(window.snap)
        until(lambda: len(snapped) == 1, "the camera can be used")


class TestFailures:
    """Errors of the camera."""

    def test_a_camera_that_fails_live(self, opened: Callable[..., LiveWindow]) -> None:
        """A failure while Live is on is shown and ends it; the next click tries again."""
        faults = Faults(errors={"snap_image": {3: "cable pulled"}})
        camera = Camera.mock(width=WIDTH, height=HEIGHT, faults=faults)
        window = opened(camera)
        press(window.live)
        until(lambda: "cable pulled" in window.status.text(), "the message")
        until(lambda: window.snap.isEnabled() and not window.live.isChecked(), "Live has ended")
        press(window.live)
        until(lambda: not window.snap.isEnabled(), "the picture is live again")

    def test_a_camera_that_fails_while_it_records(self, opened: Callable[..., LiveWindow], tmp_path: Path) -> None:
        """A failure while it records is shown with what is safe in the file, and the window records again."""
        faults = Faults(errors={"pop_next_tagged_image": {6: "cable pulled"}})
        camera = Camera.mock(width=WIDTH, height=HEIGHT, faults=faults)
        window = opened(camera)
        press(window.record)
        until(lambda: "cable pulled" in window.status.text(), "the message")
        assert f"5 frames are safe in {tmp_path / 'run.h5'}" in window.status.text()
        window.file.setText(str(tmp_path / "other.h5"))
        record_frames(window, 1)
        verified(tmp_path / "other.h5")


class TestClosing:
    """The window is closed while something goes on."""

    @pytest.fixture
    def steps(self, monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
        """Return a function that takes steps, which are done one after the other in a window while it is run.

        A step is done when it returns True.
        """
        left: list[Callable[[LiveWindow], bool]] = []
        tick = LiveWindow._tick

        def go_on(window: LiveWindow) -> None:
            tick(window)
            if left and left[0](window):
                left.pop(0)

        monkeypatch.setattr(LiveWindow, "_tick", go_on)
        return lambda *steps: left.extend(steps)

    @pytest.mark.parametrize("frames", [0, 5])
    def test_while_it_records(self, camera: Camera, steps: Callable[..., None], tmp_path: Path, frames: int) -> None:
        """Closing the window stops a recording, also one that only starts; its file is complete, the camera idle."""
        steps(
            lambda window: window.record.click() is None,
            lambda window: frames == 0 or frames_shown(window) >= frames,
            lambda window: window.window.close(),
        )
        (result,) = live(camera, tmp_path / "run.h5", **RING)
        assert verified(tmp_path / "run.h5") == result.frames_written >= frames
        assert camera.snap().shape == (HEIGHT, WIDTH)

    def test_while_it_is_live(
        self, camera: Camera, snapped: list[Any], steps: Callable[..., None], tmp_path: Path
    ) -> None:
        """Closing the window ends Live, and the camera is the caller's again."""
        steps(
            lambda window: window.live.click() is None,
            lambda _window: len(snapped) >= 2,
            lambda window: window.window.close(),
        )
        assert live(camera, tmp_path / "run.h5") == []
        taken = len(snapped)
        assert camera.snap().shape == (HEIGHT, WIDTH)
        assert len(snapped) == taken + 1

    def test_a_failure_afterwards_is_raised(self, steps: Callable[..., None], tmp_path: Path) -> None:
        """What fails when there is no window to show it any more is raised."""
        (tmp_path / "run.h5").touch()
        steps(lambda window: window.record.click() is None and window.window.close())
        with (
            Camera.mock(width=WIDTH, height=HEIGHT) as camera,
            pytest.raises(mmspool.StorageError, match="the file exists"),
        ):
            live(camera, tmp_path / "run.h5", **RING)

    def test_by_ctrl_c(self, tmp_path: Path) -> None:
        """Ctrl-C in the terminal closes the window: the recording is complete, the camera idle, the script goes on."""
        with Python("-c", SCRIPT, cwd=tmp_path) as script:

            def records() -> bool:
                assert script.process.poll() is None, script.end()
                return recorded(tmp_path / "run.h5") >= 5

            wait_until(records, "frames are recorded")
            script.interrupt()
            ended = script.end()
        state, frames, running = ended.out.split()
        assert (ended.code, state, running) == (0, "complete", "False")
        assert verified(tmp_path / "run.h5") == int(frames)

    def test_command(self, steps: Callable[..., None], tmp_path: Path) -> None:
        """The command shows the camera that was asked for, and prints how its recordings ended."""
        steps(
            lambda window: window.record.click() is None,
            lambda window: frames_shown(window) >= 5,
            lambda window: window.window.close(),
        )
        arguments = ["live", str(tmp_path / "run.h5"), "--mock", "--roi", "0,0,64,32", "--exposure", "5"]
        result = CliRunner().invoke(main, arguments)
        assert result.exit_code == 0, result.output
        assert f"{tmp_path / 'run.h5'}: complete" in result.output
        with mmspool.open(tmp_path / "run.h5") as run:
            assert run.shape[1:] == (32, 64)
        verified(tmp_path / "run.h5")

    def test_a_demo_that_moves(self, snapped: list[Any], steps: Callable[..., None], tmp_path: Path) -> None:
        """The command's demo camera draws each picture, so that Live is seen to be live."""
        steps(
            lambda window: window.live.click() is None,
            lambda _window: len(snapped) >= 2,
            lambda window: window.window.close(),
        )
        result = CliRunner().invoke(main, ["live", str(tmp_path / "run.h5"), "--demo", "--roi", "0,0,64,64"])
        assert result.exit_code == 0, result.output
        assert not np.array_equal(snapped[0], snapped[1])
