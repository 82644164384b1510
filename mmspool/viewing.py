"""A window with a recording in it, by ndv; it can follow a recording that is still written."""

import os
import subprocess
import sys
import time
from collections.abc import Hashable, Mapping, Sequence
from pathlib import Path
from typing import Any

from .errors import RecordingError
from .packages import require
from .persistence import Recording

_PURPOSE = "a viewer"
_INSTALL = "ndv[pyqt,vispy]"
_REFRESH_MS = 200
_WAIT_S = 60.0  # for a recording to begin: a camera may take its time
_DIMS = ("t", "y", "x", "rgb")


class RecordingViewer:
    """An ndv window that shows a recording.

    Parameters
    ----------
    recording
        Stays open as long as the viewer is used, and is refreshed by it when it follows.
    follow
        Show the newest frame as the recording grows, until it ends.

    Attributes
    ----------
    viewer
        The `ndv.ArrayViewer`.

    Raises
    ------
    MissingPackageError
        ndv is not installed.
    """

    def __init__(self, recording: Recording, *, follow: bool = False) -> None:
        self._ndv: Any = require("ndv", _PURPOSE, install=_INSTALL)
        self._recording = recording
        self._wrapper = _wrapper_class(self._ndv)(recording)
        self.viewer: Any = self._ndv.ArrayViewer(self._wrapper)
        self._show_newest = follow
        if follow:
            self.update()

    def update(self) -> bool:
        """Show the newest frame, if there is a newer one; return whether the recording is still written."""
        before = len(self._recording)
        self._recording.refresh()
        if len(self._recording) > before:
            self._wrapper.dims_changed.emit()
        if len(self._recording):
            self.viewer.display_model.current_index.update({0: len(self._recording) - 1})
        return self._recording.state == "recording"

    def run(self) -> None:
        """Show the window until it is closed."""
        self.viewer.show()
        if self._show_newest:
            self._schedule()
        self._ndv.run_app()

    def _schedule(self) -> None:
        if self.update():
            self._ndv.call_later(_REFRESH_MS, self._schedule)


def view(path: str | os.PathLike[str], *, follow: bool = False, wait_s: float = 0.0) -> None:
    """Show a recording in a window and return when it is closed.

    Parameters
    ----------
    path
        The recording.
    follow
        Show the newest frame while it is recorded.
    wait_s
        How long to wait for the recording to begin, if it is not there yet.

    Raises
    ------
    MissingPackageError
        ndv is not installed.
    RecordingError
        The recording cannot be read.
    """
    with _open(path, time.monotonic() + wait_s) as recording:
        RecordingViewer(recording, follow=follow).run()


def start_viewer(path: str | os.PathLike[str]) -> None:
    """Start a process that follows a recording, also one that has not begun, and shows it until its window is closed.

    Raises
    ------
    MissingPackageError
        ndv is not installed.
    """
    require("ndv", _PURPOSE, install=_INSTALL)
    command = [
        sys.executable,
        "-m",
        "mmspool",
        "view",
        str(Path(path).absolute()),
        "--follow",
        "--wait",
        f"{_WAIT_S:g}",
    ]
    # In a session of its own: Ctrl-C ends the recording, and the window stays.
    subprocess.Popen(command, stdin=subprocess.DEVNULL, start_new_session=True)  # noqa: S603 - our own command


def _open(path: str | os.PathLike[str], limit_s: float) -> Recording:
    """Open a recording that has at least one frame, or what is there when the time is up."""
    while True:
        try:
            recording = Recording(path)
            if len(recording) or recording.state != "recording" or time.monotonic() >= limit_s:
                return recording
            recording.close()
        except RecordingError:
            if time.monotonic() >= limit_s:
                raise
        time.sleep(_REFRESH_MS / 1000)


def _wrapper_class(ndv: Any) -> Any:
    """Return a subclass of ndv's wrapper; ndv finds it by itself from then on, as `ndv.imshow(recording)` needs."""
    global _Wrapper
    if _Wrapper is not None:
        return _Wrapper

    class RecordingWrapper(ndv.DataWrapper):  # type: ignore[misc]
        """A recording with named axes, none of which are channels, however short it is."""

        @classmethod
        def supports(cls, obj: Any) -> bool:
            return isinstance(obj, Recording)

        @property
        def dims(self) -> tuple[Hashable, ...]:
            return _DIMS[: self._data.ndim]

        @property
        def coords(self) -> Mapping[Hashable, Sequence[int]]:
            return {name: range(size) for name, size in zip(self.dims, self._data.shape, strict=True)}

        @property
        def significant_bits(self) -> int | None:
            return self._data.metadata["detector"].get("bit_depth") or None

        def guess_channel_axis(self) -> None:
            return None

    _Wrapper = RecordingWrapper
    return _Wrapper


_Wrapper: Any = None
