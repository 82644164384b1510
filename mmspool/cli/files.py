"""The commands that look at files: ``info``, ``verify`` and ``repair``."""

import math
import sys
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

import click
from rich.text import Text

from ..parallel import map_in_order
from ..persistence import CameraSet, Loss, Recording, VerifyReport
from ..persistence import open as open_recording
from ..persistence import repair as repair_file
from ..persistence import verify as verify_file
from .output import EXIT_INCOMPLETE, bar, errors_as_messages, losses_text, out, print_json, print_rows

_SHORT = 16  # entries of a table that is shown without being asked for


@click.command()
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--all", "show_all", is_flag=True, help="Show every property of the camera too.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def info(file: Path, *, show_all: bool, as_json: bool) -> None:
    """Show what FILE holds and how its recording ended.

    Shows frames, what is missing, and what the camera was set to; for the master file of several cameras, of each.

    \b
    Examples:
      mmspool info run.h5
      mmspool info run.h5 --all

    Exit codes: 0 shown, 1 FILE cannot be read, 2 wrong usage.
    """  # noqa: D301 - click reads the control character
    with errors_as_messages(), open_recording(file) as opened:
        if isinstance(opened, CameraSet):
            facts: dict[str, Any] = {"file": str(opened.path.absolute()), "leader": opened.leader}
            facts["cameras"] = {name: _facts(each) for name, each in opened.items()}
        else:
            facts = _facts(opened)
    if as_json:
        print_json(facts)
        return
    cameras: dict[str, dict[str, Any]] = facts.pop("cameras", {})
    print_rows(_rows(facts, show_all=show_all))
    for name, of_camera in cameras.items():
        out.print(f"\n{name}")
        print_rows(_rows(of_camera, show_all=show_all))


@click.command()
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--scheduler", metavar="ADDRESS", help="Compute the checksums on a dask cluster: tcp://HOST:8786.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def verify(file: Path, *, scheduler: str | None, as_json: bool) -> None:
    """Check FILE's structure and every frame's checksum.

    Checks counts, counters, losses and time stamps too. It reads the whole file and changes nothing.

    \b
    Example:
      mmspool verify run.h5

    Exit codes: 0 intact and complete, 1 damaged or unreadable, 2 wrong usage, 3 intact, but frames are missing.
    """  # noqa: D301 - click reads the control character
    with errors_as_messages(), bar("verifying") as progress:
        report = verify_file(file, progress=progress, map_in_order=partial(map_in_order, scheduler=scheduler))
    if as_json:
        print_json(asdict(report) | {"path": str(report.path), "intact": report.intact})
    else:
        for kind in ("damage", "missing", "notes"):
            for text in getattr(report, kind):
                out.print(f"{kind}: {text}")
        out.print(
            f"{report.path}: {report.frames_checked:,} of {report.frames_written:,} frames checked, {_verdict(report)}"
        )
    sys.exit(0 if report.complete else EXIT_INCOMPLETE if report.intact else 1)


@click.command()
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--dry-run", is_flag=True, help="Only say what would be done.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def repair(file: Path, *, dry_run: bool, as_json: bool) -> None:
    """Trim FILE to its intact frames, after a crash.

    Sets counts and state as well. Pixels are never changed.

    \b
    Examples:
      mmspool repair run.h5 --dry-run
      mmspool repair run.h5

    Exit codes: 0 repaired, or nothing to do; 1 it cannot be repaired, or is still recorded; 2 wrong usage.
    """  # noqa: D301 - click reads the control character
    with errors_as_messages():
        report = repair_file(file, dry_run=dry_run)
    if as_json:
        print_json(asdict(report) | {"path": str(report.path), "dry_run": dry_run})
        return
    if not report.needed:
        out.print(f"{report.path}: nothing to repair, it was closed ({report.state}), {report.frames_written:,} frames")
        return
    does = "would keep" if dry_run else "kept"
    text = f"{report.path}: {does} {report.frames_written:,} whole frames (it counted {report.frames_counted:,})"
    if report.frames_unwritten:
        text += f"; at least {report.frames_unwritten:,} more had been put and are lost"
    if report.journal_entries:
        text += f"; changes of structure applied again: {report.journal_entries}"
    if report.changed_since:
        text += "; another program changed the file after the crash, and its changes are kept"
    out.print(text)


def _rows(facts: dict[str, Any], *, show_all: bool) -> list[tuple[str, str | Text]]:
    """Return what `info` knows of a recording as names and values."""
    rows: list[tuple[str, str | Text]] = []
    for name, value in facts.items():
        if not show_all:
            value = _short(name, value)
        if isinstance(value, dict) and value:
            rows.append((name.replace("_", " "), ""))
            rows += [(f"  {key}", _in_a_line(inner)) for key, inner in value.items()]
            continue
        if name == "shape":
            value = " x ".join(map(str, value)) + " (T, Y, X)"
        elif name == "losses":
            value = losses_text([Loss(**loss) for loss in value])
        rows.append((name.replace("_", " "), _in_a_line(value)))
    return rows


def _short(name: str, value: Any) -> Any:
    """Return a count in place of the camera's properties, wherever they are."""
    if not isinstance(value, dict):
        return value
    if name == "properties" or len(value) > _SHORT:
        return f"{len(value):,}: shown by --all" if value else value
    return {key: _short(key, inner) for key, inner in value.items()}


def _in_a_line(value: Any) -> str:
    if isinstance(value, dict):
        value = ", ".join(f"{key} {_in_a_line(inner)}" for key, inner in value.items())
    return f"{value:.6g}" if isinstance(value, float) else "-" if value in ("", None) else str(value)


def _verdict(report: VerifyReport) -> str:
    if not report.intact:
        return "damaged"
    return "intact and complete" if report.complete else "intact, but not complete"


def _plan_facts(recording: Recording) -> dict[str, Any]:
    if recording.plan is None:
        return {}
    aligned = recording.aligned()
    return {
        **dict(zip(aligned.axes, aligned.frames.shape, strict=True)),
        "frames_missing": int(aligned.missing.sum()),
        "frames_unplanned": len(aligned.unplanned),
    }


def _facts(recording: Recording) -> dict[str, Any]:
    """Return what `info` prints; JSON can hold it."""
    meta, shape = recording.metadata, recording.shape
    times = recording.frame_table()["time"]
    span = float(times[-1] - times[0]) if len(times) > 1 else math.nan
    return {
        "file": str(recording.path.absolute()),
        "state": recording.state,
        "end_reason": recording.end_reason,
        "frames_written": shape[0],
        "shape": shape,
        "dtype": recording.dtype.str,
        "compression": recording.compression,
        "columns": {name: f"{column.dtype} {column.units}".rstrip() for name, column in recording.columns.items()},
        "plan": _plan_facts(recording),
        "frames_lost": recording.frames_lost,
        "losses": [asdict(loss) for loss in recording.losses],
        "mean_rate_fps": round((shape[0] - 1) / span, 3) if span > 0 else None,
        "start_time": meta["start_time"],
        "end_time": meta["end_time"],
        "file_bytes": recording.path.stat().st_size,
        "detector": {key: value for key, value in meta["detector"].items() if key != "camera"},
        "camera": {key: value for key, value in meta["detector"].get("camera", {}).items() if key != "properties"},
        "properties": meta["detector"].get("camera", {}).get("properties", {}),
        "metadata": meta["metadata"],
    }
