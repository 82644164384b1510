"""The command ``report``."""

import webbrowser
from pathlib import Path

import click

from ..reporting import report as write_report
from .output import bar, errors_as_messages, out, print_json


@click.command()
@click.argument("file", type=click.Path(path_type=Path))
@click.argument("target", type=click.Path(path_type=Path), required=False)
@click.option(
    "--samples",
    type=click.IntRange(min=0),
    default=200,
    metavar="N",
    help="Frames whose pixels are used; 0: all. [200]",
)
@click.option("--no-checksums", is_flag=True, help="Do not verify the frames, which reads the whole file.")
@click.option("--overwrite", is_flag=True, help="Replace TARGET if it exists.")
@click.option("--scheduler", metavar="ADDRESS", help="Compute the figures on a dask cluster: tcp://HOST:8786.")
@click.option("--open", "open_it", is_flag=True, help="Show the page in the browser.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def report(
    file: Path,
    target: Path | None,
    *,
    samples: int,
    no_checksums: bool,
    overwrite: bool,
    scheduler: str | None,
    open_it: bool,
    as_json: bool,
) -> None:
    """Make a page about the recording FILE.

    It shows images over time, brightness, noise, timing, losses and settings. TARGET is a page (.html, self-contained,
    no scripts) or one image of the drawings (.png); by default FILE's name with .html. Needs matplotlib and jinja2.

    \b
    Examples:
      mmspool report run.h5 --open
      mmspool report run.h5 run.png --no-checksums

    Exit codes: 0 written, 1 error, 2 wrong usage, 130 stopped by Ctrl-C.
    """  # noqa: D301 - click reads the control character
    with errors_as_messages(), bar("reading") as progress:
        page = write_report(
            file,
            target,
            samples=samples or None,
            checksums=not no_checksums,
            overwrite=overwrite,
            scheduler=scheduler,
            progress=progress,
        )
    if open_it:
        webbrowser.open(page.absolute().as_uri())
    if as_json:
        print_json({"path": str(page), "size_bytes": page.stat().st_size})
    else:
        out.print(str(page.absolute()))
