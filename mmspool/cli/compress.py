"""The command ``compress``."""

from dataclasses import asdict
from pathlib import Path
from typing import get_args

import click

from ..persistence import Compression
from ..persistence import compress as compress_file
from .output import bar, errors_as_messages, out, print_json


@click.command()
@click.argument("file", type=click.Path(path_type=Path))
@click.argument("target", type=click.Path(path_type=Path), required=False)
@click.option(
    "--compression", type=click.Choice(get_args(Compression)), default="fast", help="How; see 'mmspool record'. [fast]"
)
@click.option("--replace", is_flag=True, help="Put the copy in FILE's place, once every frame of it was verified.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def compress(file: Path, target: Path | None, *, compression: Compression, replace: bool, as_json: bool) -> None:
    """Compress FILE without loss, to TARGET or in place.

    FILE was recorded raw. The copy is written completely, synced, read back and verified against FILE, frame by frame.
    With --replace it then takes FILE's place; until that moment FILE is not touched, and an interruption leaves it as
    it was.

    \b
    Examples:
      mmspool compress run.h5 small.h5 --compression small
      mmspool compress run.h5 --replace

    Exit codes: 0 compressed, 1 error (FILE is unchanged), 2 wrong usage, 130 stopped by Ctrl-C (FILE is unchanged).
    """  # noqa: D301 - click reads the control character
    if (target is None) is not replace:
        raise click.UsageError("name TARGET, or give --replace to compress FILE in place")
    with errors_as_messages(), bar("compressing and comparing") as progress:
        report = compress_file(file, target, compression=compression, progress=progress)
    if as_json:
        print_json(asdict(report) | {"path": str(report.path.absolute())})
        return
    share = report.bytes_after / report.bytes_before
    out.print(f"{report.path}: {report.frames:,} frames, {report.bytes_after / 1e6:,.1f} MB, {share:.0%} of before")
