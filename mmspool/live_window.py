"""A window for a person at a microscope: the live picture of a camera, and the buttons that record it."""

import functools
import logging
import os
import re
import time
from pathlib import Path
from typing import Any, Unpack

import numpy as np

from .adapters import Image
from .background_calls import BackgroundCalls
from .driver import Camera, RecordingKeywords, RecordResult, RunningRecording, StopOnInterrupt
from .errors import MmspoolError, SettingError, SpoolError
from .packages import require

_log = logging.getLogger("mmspool")

_INSTALL = "ndv[pyqt,vispy]"
_TICK_MS = 20  # the picture changes 50 times a second at most, and Ctrl-C waits no longer
_LOOK_S = 0.1  # between two looks at a recording, which needs the processors itself
_WAIT_S = 0.2  # on Windows, Ctrl-C waits for the end of a wait
_LONGEST_MS = 1e7
_DARKEST, _BRIGHTEST = 0.1, 99.9  # percent of the pixels: a hot one must not make the rest black
_HIDDEN = ("show_3d_button", "show_channel_mode_selector", "show_data_info", "show_play_button")  # of ndv's controls
_ALARM = "color: #c62828"


def require_toolkit() -> tuple[Any, Any, Any]:
    """Import ndv, QtCore and QtWidgets, or raise `MissingPackageError`."""
    ndv, core, widgets = (
        require(name, "a live view", install=_INSTALL) for name in ("ndv", "qtpy.QtCore", "qtpy.QtWidgets")
    )
    return ndv, core, widgets


@functools.cache  # it lives as long as the process: what Qt and ndv keep of it does too
def _application(widgets: Any) -> Any:
    return widgets.QApplication.instance() or widgets.QApplication(["mmspool"])


class LiveWindow:
    """A camera's picture, its exposure, and the buttons Snap, Live and Record.

    Once it is open, one thread of its own makes all calls to the camera, one after the other, so that the window never
    waits for the camera or the disk. While it records, the picture is the recording's newest frame.

    Parameters
    ----------
    camera, path, options
        As for `live`.

    Attributes
    ----------
    window, snap, live, exposure, file, record, status
        The Qt widgets.
    viewer
        The `ndv.ArrayViewer` with the picture.
    results
        How its recordings ended.
    """

    def __init__(self, camera: Camera, path: str | os.PathLike[str], **options: Unpack[RecordingKeywords]) -> None:
        self._ndv, self._core, widgets = require_toolkit()
        _application(widgets)  # before ndv looks for one: in a notebook it would not take Qt
        self._camera, self._options = camera, options
        self.viewer: Any = None
        self.results: list[RecordResult] = []
        self._recording: RunningRecording | None = None
        self._progress: Any = None
        self._next_look = 0.0
        self._failure: Exception | None = None
        self._signal: str | None = None
        image = camera.image_format
        self._build(widgets, str(path))
        self._show(np.zeros(image.shape, image.dtype))
        self._show_exposure(camera.exposure_ms)
        self._calls = BackgroundCalls("mmspool-live")

    def _build(self, widgets: Any, path: str) -> None:
        qt = self._core.Qt
        self.window = widgets.QWidget(windowTitle=f"{self._camera.label} - mmspool")
        self.snap, self.live, self.record = (widgets.QPushButton(text) for text in ("Snap", "Live", "Record"))
        self.live.setCheckable(True)
        self.exposure = widgets.QDoubleSpinBox(decimals=3, maximum=_LONGEST_MS, suffix=" ms", keyboardTracking=False)
        self.file, browse = widgets.QLineEdit(path), widgets.QPushButton("...")
        self.status = widgets.QLabel(wordWrap=True, textFormat=qt.TextFormat.PlainText)
        self.status.setTextInteractionFlags(qt.TextInteractionFlag.TextSelectableByMouse)
        self._settings = (self.live, self.exposure, self.file, browse)
        strip, layout = widgets.QHBoxLayout(), widgets.QVBoxLayout(self.window)
        for item in (self.snap, self.live, "Exposure", self.exposure, "File", self.file, browse, self.record):
            strip.addWidget(widgets.QLabel(item) if isinstance(item, str) else item)
        self._picture = widgets.QVBoxLayout()
        layout.addLayout(strip)
        layout.addLayout(self._picture, 1)
        layout.addWidget(self.status)
        self.window.resize(900, 800)
        self.snap.clicked.connect(lambda: self._calls.ask(self._camera.snap, self._show))
        self.exposure.valueChanged.connect(self._set_exposure)
        browse.clicked.connect(lambda: self._choose_file(widgets.QFileDialog))
        self.record.clicked.connect(self._record_or_stop)
        self._timer = self._core.QTimer(interval=_TICK_MS)
        self._timer.timeout.connect(self._tick)

    def show(self) -> None:
        """Show the window, in an application that runs."""
        self.window.show()
        self._timer.start()

    def run(self) -> None:
        """Show the window until it is closed, then `close`."""
        loop = self._core.QEventLoop()  # one of its own: an application that runs already goes on
        self._timer.timeout.connect(lambda: self.window.isVisible() or loop.quit())
        self.show()
        loop.exec()
        self.close()

    def close(self) -> None:
        """Close the window, end what it records, and wait until the file is closed.

        Raises
        ------
        MmspoolError
            The recording or the camera failed meanwhile; the frames until then are in the file.
        """
        self.window.close()
        self._timer.stop()
        self._failure = None
        while self._calls and not (self._signal is not None and self._idle()):  # Ctrl-C waits for no exposure
            self._take_result(_WAIT_S)
        if self._recording is not None:
            self._recording.stop_on_signal(self._signal or "")
        while self._recording is not None:
            self._recording.join(_WAIT_S)
            self._look_at(self._recording)
        self._calls.end()
        if self._failure is not None:
            raise self._failure

    def stop_on_signal(self, name: str) -> None:
        """Close the window, from a signal handler; ``name`` is empty for Ctrl-C."""
        self._signal = name
        if self._recording is not None:
            self._recording.stop_on_signal(name)
        else:
            self._camera.core.abandon_stuck_call()

    def _take_result(self, wait_s: float = 0.0) -> bool:
        try:
            return self._calls.take(wait_s)
        except Exception as exc:  # noqa: BLE001 - whatever it was, the window stays usable
            self._fail(exc)
            return True

    def _tick(self) -> None:
        if self._signal is not None:
            self.window.close()
        while self._take_result():
            pass
        if self._recording is not None:
            self._look_at(self._recording)
        elif self.live.isChecked() and not self._calls:
            self._calls.ask(self._camera.snap, self._show)
        self._enable()

    def _idle(self) -> bool:
        """Return whether nothing is recorded or about to be."""
        return self._recording is None and not self._calls.awaits(self._look_at_new)

    def _enable(self) -> None:
        idle = self._idle()
        for setting in self._settings:
            setting.setEnabled(idle)
        self.snap.setEnabled(idle and not self.live.isChecked())
        self.record.setEnabled(idle or self._recording is not None)
        self.record.setText("Record" if self._recording is None else "Stop")

    def _fail(self, exc: Exception) -> None:
        self._failure = exc
        if not isinstance(exc, SettingError | SpoolError):  # a camera that fails is not asked again and again
            self.live.setChecked(False)
        self._say("\n".join([str(exc), *getattr(exc, "__notes__", ())]), alarm=True)
        if not isinstance(exc, MmspoolError):
            _log.error("an unexpected error in the live window", exc_info=exc)

    def _say(self, text: str, *, alarm: bool = False) -> None:
        self.status.setText(text)
        self.status.setStyleSheet(_ALARM if alarm else "")

    def _show(self, pixels: Image) -> None:
        """Show a picture, in a viewer of its own where it is not of the same kind as the last one."""
        if self.viewer is not None:
            shown = self.viewer.data
            if (shown.shape, shown.dtype) == (pixels.shape, pixels.dtype):
                np.copyto(shown, pixels)
                self.viewer.data_wrapper.data_changed.emit()
                return
            self.viewer.widget().deleteLater()
        models = self._ndv.models
        contrast = models.ClimsPercentile(min_percentile=_DARKEST, max_percentile=_BRIGHTEST)
        controls = models.ArrayViewerModel()
        self.viewer = self._ndv.ArrayViewer(pixels.copy(), viewer_options=controls, default_lut={"clims": contrast})
        for name in _HIDDEN:  # ndv looks at most of them when they change
            setattr(controls, name, False)
        self._picture.addWidget(self.viewer.widget())

    def _set_exposure(self, asked_ms: float) -> None:
        self._calls.ask(lambda: setattr(self._camera, "exposure_ms", asked_ms), lambda _none: None)
        self._calls.ask(lambda: self._camera.exposure_ms, self._show_exposure)

    def _show_exposure(self, exposure_ms: float) -> None:
        self.exposure.blockSignals(True)  # what the camera made of the value is not to be set again
        self.exposure.setValue(exposure_ms)
        self.exposure.blockSignals(False)

    def _choose_file(self, dialog: Any) -> None:
        # Whether an existing file may be replaced is up to the options: the dialog must not ask.
        no_question = dialog.Option.DontConfirmOverwrite
        path, _ = dialog.getSaveFileName(self.window, "Record to", self.file.text(), "*.h5", options=no_question)
        if path:
            self.file.setText(path)

    def _record_or_stop(self) -> None:
        if self._recording is not None:
            self._recording.stop()
            return
        self.exposure.interpretText()  # a number that was typed, and not confirmed
        path = Path(self.file.text()).absolute()
        self._say(f"starting {path}")
        self._calls.ask(lambda: self._start(path), self._look_at_new)
        self._enable()

    def _start(self, path: Path) -> RunningRecording:
        from .driver.progress import ProgressLine  # rich takes long to import

        self._progress = ProgressLine(path, self._options.get("seconds"))
        return self._camera.start_recording(path, **self._options)

    def _look_at_new(self, recording: RunningRecording) -> None:
        self._recording, self._next_look = recording, 0.0
        self._look_at(recording)

    def _look_at(self, recording: RunningRecording) -> None:
        """Show a recording's newest frame and how it stands, or how it ended."""
        now, running = time.monotonic(), recording.running
        if running and now < self._next_look:
            return
        self._next_look = now + _LOOK_S
        if (frame := recording.latest()) is not None:
            self._show(frame.pixels)
        try:
            result = recording.wait(0)
        except Exception as exc:  # noqa: BLE001 - shown, and the window stays usable
            self._recording = None
            self._fail(exc)
            return
        if result is not None:
            self._recording = None
            self.results.append(result)
            self._say(str(result), alarm=not result.complete)
            self._calls.ask(lambda: str(_next_name(result.path)), self.file.setText)
        elif not self._calls:
            self._calls.ask(lambda: self._progress.fields(recording.stats, time.monotonic()), self._show_progress)

    def _show_progress(self, fields: dict[str, str]) -> None:
        if self._recording is not None:
            alarm = "forecast" in fields or fields["lost"] != "0"
            self._say("  ".join(f"{name} {value}" for name, value in fields.items()), alarm=alarm)


def _next_name(path: Path) -> Path:
    """Return the first name after this one, by its number, that no file has."""
    stem, number = re.fullmatch(r"(.*?)(?:_(\d+))?", path.stem, re.DOTALL).groups()  # type: ignore[union-attr]
    count = int(number or 1)
    while (count := count + 1) and (name := path.with_stem(f"{stem}_{count}")).exists():
        pass
    return name


def live(
    camera: Camera, path: str | os.PathLike[str] = "run.h5", **options: Unpack[RecordingKeywords]
) -> list[RecordResult]:
    """Show a camera in a window with the buttons Snap, Live and Record, and return when it is closed.

    Closing the window, Ctrl-C or another signal ends a running recording and closes its file. If this process is
    killed, the writer process closes the file.

    Parameters
    ----------
    camera
        Stays open; nobody else calls it meanwhile.
    path
        What the field for the file has at first. A file that exists is refused; after a recording, the field has the
        next number.
    options
        Of the recordings, as for `Camera.start_recording`: ``frames``, ``seconds``, ``compression``, ...

    Returns
    -------
    list of RecordResult
        How the recordings ended, in order.

    Raises
    ------
    MissingPackageError
        ndv or Qt is not installed.
    MmspoolError
        The camera did not answer at the start, or something failed after the window was closed. What fails while it is
        open is shown there.
    """
    window = LiveWindow(camera, path, **options)
    with StopOnInterrupt() as interrupt:
        interrupt.watch(window.stop_on_signal)
        window.run()
    return window.results
