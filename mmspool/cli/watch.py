"""The command ``watch``."""

import contextlib
import json
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click
from rich.live import Live
from rich.table import Table
from rich.text import Text

from ..watching import Snapshot
from ..watching import watch as watch_file
from .output import EXIT_INCOMPLETE, err, errors_as_messages, losses_text, out

_IDLE_S = 10.0
_HOUR_S = 3600.0


@click.command()
@click.argument("file", type=click.Path(path_type=Path))
@click.option(
    "--interval", type=click.FloatRange(min=0.05), default=0.5, metavar="S", help="Seconds between two looks. [0.5]"
)
@click.option("--once", is_flag=True, help="Print once and exit.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON line per update.")
def watch(file: Path, *, interval: float, once: bool, as_json: bool) -> None:
    """Show how the recording FILE stands, from any process.

    Shows rate, frames, losses, and what is safe on the disk. It only reads: a recording is neither slowed nor stopped
    by it, and Ctrl-C ends the watching alone. Off a terminal it prints a line a look.

    \b
    Examples:
      mmspool watch run.h5
      mmspool watch run.h5 --once --json

    Exit codes: 0 the recording is complete (with --once: or still recorded), 1 error, 2 wrong usage, 3 it ended with
    frames missing or early, 130 stopped by Ctrl-C.
    """  # noqa: D301 - click reads the control character
    snapshot = None
    with errors_as_messages():
        live = err.is_terminal and not (once or as_json)
        display = Live(console=err, auto_refresh=False, transient=True)
        with display if live else contextlib.nullcontext():
            for snapshot in watch_file(file, interval_s=interval):
                if as_json:
                    click.echo(json.dumps(facts(snapshot)))
                elif live:
                    display.update(_table(snapshot), refresh=True)
                else:
                    out.print("  ".join(f"{name} {value}" for name, value in _fields(snapshot).items()))
                if once:
                    break
    if live and snapshot is not None:
        out.print("  ".join(f"{name} {value}" for name, value in _fields(snapshot).items()))
    ended_well = snapshot is not None and (snapshot.state == "complete" or (once and snapshot.running))
    sys.exit(0 if ended_well else EXIT_INCOMPLETE)


def facts(snapshot: Snapshot) -> dict[str, Any]:
    """Return what ``--json`` prints."""
    return asdict(snapshot) | {"path": str(snapshot.path.absolute())}


def _fields(snapshot: Snapshot) -> dict[str, str]:
    fields = {
        "state": snapshot.state if not snapshot.end_reason else f"{snapshot.state} ({snapshot.end_reason})",
        "frames": f"{snapshot.frames_written:,}",
        "safe on disk": f"{snapshot.frames_durable:,}",
        "lost": f"{snapshot.frames_lost:,}",
        "rate": f"{snapshot.frames_per_s:,.0f} fps {snapshot.mb_per_s:,.0f} MB/s",
        "disk free": f"{snapshot.disk_free_bytes / 1e9:,.0f} GB",
    }
    if snapshot.disk_full_s is not None:
        fields["disk full in"] = _duration(snapshot.disk_full_s)
    if snapshot.losses:
        fields["missing"] = losses_text(snapshot.losses)
    if snapshot.writer_restarts:
        fields["writer restarts"] = f"{snapshot.writer_restarts:,}"
    if snapshot.running and snapshot.idle_s > _IDLE_S:
        fields["note"] = f"no frame for {snapshot.idle_s:.0f} s: if nothing records it any more, mmspool repair"
    return fields


def _table(snapshot: Snapshot) -> Table:
    table = Table.grid(padding=(0, 2))
    for name, value in _fields(snapshot).items():
        alarming = name in ("missing", "note") or (name == "lost" and snapshot.frames_lost > 0)
        table.add_row(Text(name, "dim"), Text(value, "yellow" if alarming else ""))
    return table


def _duration(seconds: float) -> str:
    if seconds >= _HOUR_S:
        return f"{seconds / _HOUR_S:,.1f} h"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes}:{rest:02} min"
