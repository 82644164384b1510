"""The command ``mmspool``."""

from pathlib import Path
from typing import Any

import click

from .._version import __version__
from . import compress, defaults, doctor, export, files, join, live, preflight, record, report, view, watch
from .log_file import log_to
from .output import accept_any_text, output_works

_SECTIONS = {
    "Record": (preflight.preflight, record.record, live.live, doctor.doctor),
    "Look": (files.info, view.view, watch.watch, report.report),
    "Check and restore": (files.verify, files.repair),
    "Share and keep": (export.export, compress.compress, join.join),
}


class _Sections(click.Group):
    """Lists the commands by what they are for, in the order in which they are used."""

    def list_commands(self, _context: click.Context) -> list[str]:
        return list(self.commands)

    def invoke(self, context: click.Context) -> Any:
        try:
            return super().invoke(context)
        except BrokenPipeError:
            raise
        except OSError as exc:
            if output_works():
                raise
            raise click.ClickException(f"Cannot write the output: {exc.strerror}") from exc
        finally:
            output_works()

    def format_commands(self, _context: click.Context, formatter: click.HelpFormatter) -> None:
        width = formatter.width - 6 - max(map(len, self.commands))
        for title, commands in _SECTIONS.items():
            with formatter.section(title):
                formatter.write_dl([(str(each.name), each.get_short_help_str(width)) for each in commands])


@click.group(cls=_Sections, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 120})
@click.version_option(__version__)
@click.option("--log", type=click.Path(dir_okay=False, path_type=Path), metavar="FILE", help="Append a log to FILE.")
@click.pass_context
def main(context: click.Context, log: Path | None) -> None:
    """Record a microscope's camera to one HDF5 file, for as long as the disk has room.

    \b
    Without a microscope:
      mmspool record run.h5 --demo --frames 1000
      mmspool live --demo
    With a microscope (close Micro-Manager first); the camera runs at its full rate:
      mmspool preflight D:/data --headless "C:/Program Files/Micro-Manager-2.0" my.cfg
      mmspool record D:/data/run.h5 --headless "C:/Program Files/Micro-Manager-2.0" my.cfg --seconds 60
    With Micro-Manager running:
      mmspool record D:/data/run.h5 --connect
    Then:
      mmspool view D:/data/run.h5
      mmspool report D:/data/run.h5
      mmspool export D:/data/run.h5 D:/data/run.ome.tiff
    After a crash:
      mmspool repair D:/data/run.h5

    Results go to the standard output, progress and messages to the error output; most commands have --json. Exit codes
    of every command: 0 done, 1 error, 2 wrong usage, 3 frames are missing or a recording is not possible here, 130
    Ctrl-C.
    Defaults of options are read from mmspool.toml (or the file that MMSPOOL_CONFIG names): a table for each command.
    NO_COLOR switches colours off.
    """  # noqa: D301 - click reads the control character
    accept_any_text()
    if log is not None:
        context.with_resource(log_to(log))
    if (path := defaults.find()) is not None:
        context.default_map = defaults.read(path, main)


for _commands in _SECTIONS.values():
    for _command in _commands:
        main.add_command(_command)
