"""The command ``live``."""

import sys
from pathlib import Path
from typing import Any

import click

from ..driver import end_recordings_on_signals
from ..live_window import live as show_live
from ..live_window import require_toolkit
from .camera_options import CAMERA_SECTIONS, CameraRequest, camera_options
from .output import EXIT_INCOMPLETE, errors_as_messages, out
from .sections import SectionedCommand


@click.command(cls=SectionedCommand, sections=CAMERA_SECTIONS | {"Storage": ("overwrite",)})
@click.argument("file", default="run.h5", type=click.Path(dir_okay=False, path_type=Path))
@camera_options
@click.option("--overwrite", is_flag=True, help="Let Record replace a file that exists.")
def live(file: Path, *, overwrite: bool, **camera_asked: Any) -> None:
    """Show the camera live in a window that records it.

    Choose one camera: --demo, --mock, --connect or --headless. The window has the buttons Snap, Live and Record, the
    exposure, and the name of the file: at first FILE [run.h5]. Closing the window or Ctrl-C ends a running recording
    cleanly, with everything received in its file.

    \b
    Examples:
      mmspool live --demo
      mmspool live D:/data/run.h5 --headless "C:/Program Files/Micro-Manager-2.0" my.cfg --exposure 10

    Needs the package ndv with its window and drawing parts: pip install "ndv[pyqt,vispy]".

    Exit codes: 0 the window was closed, 1 error, 2 wrong usage, 3 a recording has frames missing or ended early, 130
    stopped by Ctrl-C before the window was open.
    """  # noqa: D301 - click reads the control character
    request = CameraRequest(**camera_asked)
    open_camera = request.way
    with errors_as_messages():
        end_recordings_on_signals()
        require_toolkit()  # before the camera is touched
        with open_camera() as camera:
            request.configure(camera, repeat_image=False)
            results = show_live(camera, file, overwrite=overwrite, core_buffer_mb=request.core_buffer_mb)
    for result in results:
        out.print(str(result))
    sys.exit(0 if all(result.complete for result in results) else EXIT_INCOMPLETE)
