"""The command ``join``."""

from pathlib import Path

import click

from ..persistence import Recording
from ..persistence import join as join_files
from .output import errors_as_messages, out, print_json


@click.command()
@click.argument("target", type=click.Path(path_type=Path))
@click.argument("files", metavar="FILE...", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--interleave", is_flag=True, help="The frames alternate: they were striped over the files.")
@click.option("--overwrite", is_flag=True, help="Replace TARGET if it exists.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def join(target: Path, files: tuple[Path, ...], *, interleave: bool, overwrite: bool, as_json: bool) -> None:
    """Make TARGET, in which several recordings read as one.

    No pixel is copied: TARGET names the files, which must stay where they are. Those in its folder or below may move
    with it. It is a recording for every other command, and for every program that reads HDF5.

    \b
    Examples:
      mmspool join all.h5 run_1.h5 run_2.h5
      mmspool join all.h5 disk_1/run.h5 disk_2/run.h5 --interleave

    Exit codes: 0 done, 1 error, 2 wrong usage.
    """  # noqa: D301 - click reads the control character
    with errors_as_messages():
        join_files(target, files, interleave=interleave, overwrite=overwrite)
        with Recording(target) as recording:
            frames, lost, state = len(recording), recording.frames_lost, recording.state
    if as_json:
        facts = {
            "path": str(target.absolute()),
            "files": [str(file.absolute()) for file in files],
            "interleaved": interleave,
            "frames_written": frames,
            "frames_lost": lost,
            "state": state,
        }
        print_json(facts)
        return
    out.print(f"{target}: {frames:,} frames of {len(files):,} files, {lost:,} lost, {state}")
