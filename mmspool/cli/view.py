"""The command ``view``."""

from pathlib import Path

import click

from ..viewing import view as view_file
from .output import errors_as_messages


@click.command()
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--follow", is_flag=True, help="Show the newest frame while FILE is recorded.")
@click.option(
    "--wait", type=click.FloatRange(min=0), default=0, metavar="S", help="Wait this long for the recording to begin."
)
def view(file: Path, *, follow: bool, wait: float) -> None:
    """Show the recording FILE in a window.

    A recording that is running is not slowed down.

    \b
    Examples:
      mmspool view run.h5
      mmspool view run.h5 --follow

    Needs the package ndv with its window and drawing parts: pip install "ndv[pyqt,vispy]". Other viewers open FILE by
    themselves: silx view, jupyterlab-h5web, napari (with mmspool in its environment).

    Exit codes: 0 the window was closed, 1 error, 2 wrong usage, 130 stopped by Ctrl-C.
    """  # noqa: D301 - click reads the control character
    with errors_as_messages():
        view_file(file, follow=follow, wait_s=wait)
