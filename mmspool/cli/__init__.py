"""The command ``mmspool``."""

import click

from .._version import __version__
from . import compress, export, files, preflight, record, report, view, watch
from .output import accept_any_text


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 120})
@click.version_option(__version__)
def main() -> None:
    """Record a microscope's camera to one HDF5 file, for as long as the disk has room."""
    accept_any_text()


for _command in (
    record.record,
    preflight.preflight,
    files.info,
    files.verify,
    files.repair,
    export.export,
    report.report,
    watch.watch,
    compress.compress,
    view.view,
):
    main.add_command(_command)
