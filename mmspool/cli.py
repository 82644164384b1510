"""The command ``mmspool``."""

import contextlib
import json
import math
import shlex
import signal
import sys
from collections.abc import Callable, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.progress import Progress
from rich.text import Text

from ._version import __version__
from .adapters import Roi
from .driver import Camera, EndReason, RecordResult
from .errors import MmspoolError
from .persistence import Loss, Recording, VerifyReport
from .persistence import repair as repair_file
from .persistence import verify as verify_file

EXIT_INCOMPLETE = 3
"""Frames are missing, or the recording ended before it should have."""

EXIT_CTRL_C = 130
"""Ended by Ctrl-C before the number of frames or seconds that was asked for."""

_SHOWN_LOSSES = 10
# A file may be called [old]: no names are read as rich's markup.
_out = Console(highlight=False, soft_wrap=True, markup=False, emoji=False)
_err = Console(stderr=True, highlight=False, soft_wrap=True, markup=False, emoji=False)


def _roi(text: str) -> Roi:
    try:
        x, y, width, height = (int(part) for part in text.split(","))
    except ValueError:
        raise click.BadParameter(f"{text!r} is not four whole numbers: give it as 0,0,2048,512") from None
    return Roi(x, y, width, height)


def _port(text: str) -> int:
    try:
        return int(text)
    except ValueError:
        message = f"{text!r} is not a port number; put FILE before --connect, or give the port"
        raise click.BadParameter(message) from None


def _assignment(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not name or not equals:
        raise click.BadParameter(f"{text!r} is not NAME=VALUE, such as Gain=2")
    return name, value


@contextlib.contextmanager
def _errors_as_messages() -> Iterator[None]:
    """Tell what went wrong in a line or two, without a traceback."""
    try:
        yield
    except KeyboardInterrupt:
        raise click.exceptions.Exit(EXIT_CTRL_C) from None
    except (MmspoolError, KeyError, ValueError) as exc:
        text = str(exc.args[0]) if isinstance(exc, KeyError) else str(exc)
        raise click.ClickException("\n".join([text, *getattr(exc, "__notes__", ())])) from exc


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 120})
@click.version_option(__version__)
def main() -> None:
    """Record a microscope's camera to one HDF5 file, for as long as the disk has room."""


@main.command()
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path))
@click.option(
    "--demo", is_flag=True, help="A real Micro-Manager core with DemoCamera (needs the extra: mmspool[demo])."
)
@click.option("--mock", is_flag=True, help="A simulated core; needs no Micro-Manager.")
@click.option(
    "--connect",
    type=_port,
    is_flag=False,
    flag_value="4827",
    metavar="[PORT]",
    help="A running Micro-Manager [port 4827].",
)
@click.option(
    "--headless",
    nargs=2,
    type=click.Path(path_type=Path),
    metavar="DIR CONFIG",
    help="Micro-Manager's core in this process: its folder and a hardware configuration.",
)
@click.option("-n", "--frames", type=click.IntRange(min=1), help="End after so many frames.")
@click.option("-t", "--seconds", type=click.FloatRange(min=0, min_open=True), help="End after so many seconds.")
@click.option("--exposure", type=float, metavar="MS", help="Exposure, ms.")
@click.option("--roi", type=_roi, metavar="X,Y,WIDTH,HEIGHT", help="Region to read out, pixels.")
@click.option("--binning", type=int, help="Binning, such as 2.")
@click.option("--pixel-type", help="Micro-Manager's PixelType, such as 16bit.")
@click.option(
    "-p",
    "--property",
    "properties",
    type=_assignment,
    metavar="NAME=VALUE",
    multiple=True,
    help="Any camera property; may be repeated.",
)
@click.option("--overwrite", is_flag=True, help="Replace FILE if it exists.")
@click.option("--buffer-mb", type=click.IntRange(min=1), help="Size of the ring in shared memory, MB of 10^6 bytes.")
@click.option("--core-buffer-mb", type=click.IntRange(min=1), help="Size of the core's own buffer, MB of 2^20 bytes.")
@click.option(
    "--frame-timeout",
    type=click.FloatRange(min=0, min_open=True),
    metavar="S",
    help="End when no frame came for so long; inf waits for ever for a trigger. [10 s and ten exposures]",
)
@click.option("-q", "--quiet", is_flag=True, help="No progress, no summary; the exit code tells.")
def record(
    file: Path,
    *,
    demo: bool,
    mock: bool,
    connect: int | None,
    headless: tuple[Path, Path] | None,
    frames: int | None,
    seconds: float | None,
    exposure: float | None,
    roi: Roi | None,
    binning: int | None,
    pixel_type: str | None,
    properties: tuple[tuple[str, str], ...],
    overwrite: bool,
    buffer_mb: int | None,
    core_buffer_mb: int | None,
    frame_timeout: float | None,
    quiet: bool,
) -> None:
    """Record the camera to FILE (HDF5); without --frames or --seconds until Ctrl-C.

    Exit codes: 0 complete, 1 error, 2 wrong usage, 3 frames are missing or it ended early, 130 stopped by Ctrl-C
    before the end that was asked for.
    """
    choices: list[Callable[[], Camera] | None] = [
        Camera.demo if demo else None,
        Camera.mock if mock else None,
        (lambda: Camera.connect(connect)) if connect is not None else None,
        (lambda: Camera.headless(*headless)) if headless is not None else None,
    ]
    chosen = [choice for choice in choices if choice is not None]
    if len(chosen) != 1:
        raise click.UsageError("say which camera: one of --demo, --mock, --connect [PORT], --headless DIR CONFIG")
    with _errors_as_messages():
        signal.signal(signal.SIGTERM, signal.default_int_handler)  # both end a recording cleanly
        with chosen[0]() as camera:
            _configure(camera, binning, pixel_type, properties, roi, exposure)
            if not quiet:
                _announce(camera, frames, seconds)
            result = camera.record(
                file,
                progress=False if quiet else _err,
                frames=frames,
                seconds=seconds,
                overwrite=overwrite,
                buffer_bytes=None if buffer_mb is None else buffer_mb * 10**6,
                core_buffer_mb=core_buffer_mb,
                frame_timeout_s=frame_timeout,
            )
    if not quiet:
        _summarise(result, file)
    sys.exit(_exit_code(result))


@main.command()
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def info(file: Path, *, as_json: bool) -> None:
    """Tell what FILE holds: frames, how the recording ended, what is missing, what the camera was set to."""
    with _errors_as_messages(), Recording(file) as recording:
        facts = _facts(recording)
    if as_json:
        click.echo(json.dumps(facts, indent=2))
        return
    rows: list[tuple[str, str | Text]] = []
    for name, value in facts.items():
        if isinstance(value, dict):
            value = "  ".join(f"{key}={inner}" for key, inner in value.items()) or "-"
        elif name == "missing":
            value = _losses_text([Loss(**loss) for loss in value]) or "-"
        rows.append((name.replace("_", " "), str(value)))
    _print_rows(rows)


@main.command()
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def verify(file: Path, *, as_json: bool) -> None:
    """Check FILE: structure, counts, counters, losses, time stamps, and every frame's checksum.

    Exit codes: 0 intact and complete, 1 damaged or unreadable, 2 wrong usage, 3 intact, but frames are missing.
    """
    with _errors_as_messages(), Progress(console=_err, transient=True) as bar:
        task = bar.add_task("verifying", total=None)
        report = verify_file(file, progress=lambda done, total: bar.update(task, completed=done, total=total))
    if as_json:
        click.echo(json.dumps(asdict(report) | {"path": str(report.path), "intact": report.intact}, indent=2))
    else:
        for kind in ("damage", "missing", "notes"):
            for text in getattr(report, kind):
                _say(f"{kind}: {text}")
        _say(f"{report.path}: {report.frames_checked:,} of {report.frames:,} frames checked, {_verdict(report)}")
    sys.exit(0 if report.complete else EXIT_INCOMPLETE if report.intact else 1)


@main.command()
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--dry-run", is_flag=True, help="Only tell what would be done.")
def repair(file: Path, *, dry_run: bool) -> None:
    """Make FILE exact after a crash: trim it to its whole frames, set counts and state. Pixels are never changed."""
    with _errors_as_messages():
        report = repair_file(file, dry_run=dry_run)
    if not report.needed:
        _say(f"{report.path}: nothing to repair, it was closed ({report.state}), {report.frames:,} frames")
        return
    does = "would keep" if dry_run else "kept"
    text = f"{report.path}: {does} {report.frames:,} whole frames (it counted {report.frames_counted:,})"
    if report.frames_unwritten:
        text += f"; at least {report.frames_unwritten:,} more had been handed over and are lost"
    if report.journal_records:
        text += f"; {report.journal_records} changes of structure written again"
    _say(text)


def _say(text: str) -> None:
    _out.print(text)


def _verdict(report: VerifyReport) -> str:
    if not report.intact:
        return "damaged"
    return "intact and complete" if report.complete else "intact, but not complete"


def _configure(
    camera: Camera,
    binning: int | None,
    pixel_type: str | None,
    properties: tuple[tuple[str, str], ...],
    roi: Roi | None,
    exposure: float | None,
) -> None:
    """Set what was asked for, in the order in which settings change each other."""
    for name, value in properties:
        camera.properties[name] = value
    if binning is not None:
        camera.binning = binning
    if roi is not None:
        camera.roi = roi
    if pixel_type is not None:
        camera.pixel_type = pixel_type
    if exposure is not None:
        camera.exposure_ms = exposure


def _announce(camera: Camera, frames: int | None, seconds: float | None) -> None:
    image = camera.image_format
    until = f"{frames:,} frames" if frames else f"{seconds:g} s" if seconds else "until Ctrl-C"
    _err.print(
        f"{camera.label} ({camera.core.version()}): {image.width}x{image.height} {image.dtype.name}, "
        f"{camera.exposure_ms:g} ms, {until}"
    )


def _summarise(result: RecordResult, file: Path) -> None:
    wanted = f" of {result.frames_requested:,}" if result.frames_requested else ""
    spool = result.stats.spool
    verdict = Text("complete", "green") if result.complete else Text(f"{result.state}: {result.end}", "red")
    rows: list[tuple[str, str | Text]] = [
        ("recording", verdict),
        ("frames", f"{result.frames:,}{wanted}"),
        ("lost frames", f"{result.frames_lost:,}"),
        *((("missing", text),) if (text := _losses_text(result.losses)) else ()),
        ("time", f"{result.duration_s:.2f} s"),
        ("rate", f"{result.mb_per_s:,.0f} MB/s"),
        (
            "buffers",
            f"ring at most {spool.ring_peak:,} of {spool.ring_frames:,} frames; "
            f"core at most {result.stats.core_peak:,} of {result.stats.core_capacity:,}",
        ),
        ("file", f"{result.path}  {result.file_bytes / 1e6:,.1f} MB"),
        ("look at it", f"mmspool info {shlex.quote(str(file))}"),
        ("", f'python -c "import mmspool; print(mmspool.open({str(result.path)!r})[0])"'),
        ("", "any HDF5 viewer: silx view, jupyterlab-h5web, napari, Fiji, MATLAB's h5read (dataset /data)"),
    ]
    _print_rows(rows)


def _print_rows(rows: list[tuple[str, str | Text]]) -> None:
    """Print names and values in two columns; the terminal wraps long values, so that paths can be copied."""
    width = max(len(name) for name, _ in rows) + 2
    for name, value in rows:
        _out.print(Text.assemble(name.ljust(width), value))


def _losses_text(losses: list[Loss] | tuple[Loss, ...]) -> str:
    """Say where frames are missing; the file has all of it."""
    shown = [f"{loss.count:,} before frame {loss.before_frame:,} ({loss.stage})" for loss in losses[:_SHOWN_LOSSES]]
    more = len(losses) - len(shown)
    return ", ".join(shown) + (f", and at {more:,} more places" if more else "")


def _exit_code(result: RecordResult) -> int:
    if result.complete:
        return 0
    stopped = result.end is EndReason.STOPPED and not result.frames_lost
    return EXIT_CTRL_C if stopped else EXIT_INCOMPLETE


def _facts(recording: Recording) -> dict[str, Any]:
    """Return what `info` prints; JSON can hold it."""
    meta, shape = recording.metadata, recording.shape
    frames = recording.frames
    span = float(frames["start_time"][-1] - frames["start_time"][0]) if len(frames) > 1 else math.nan
    return {
        "file": str(recording.path.absolute()),
        "state": recording.state,
        "ended": recording.end_reason,
        "frames": shape[0],
        "shape": f"{shape[0]} x {shape[1]} x {shape[2]} (T, Y, X)",
        "dtype": recording.dtype.str,
        "lost_frames": recording.frames_lost,
        "missing": [asdict(loss) for loss in recording.gaps],
        "mean_rate_fps": round((shape[0] - 1) / span, 3) if span > 0 else None,
        "started": meta["start_time"],
        "finished": meta["end_time"],
        "file_bytes": recording.path.stat().st_size,
        "detector": {key: value for key, value in meta["detector"].items() if key != "camera"},
        "camera": {key: value for key, value in meta["detector"].get("camera", {}).items() if key != "properties"},
        "properties": meta["detector"].get("camera", {}).get("properties", {}),
        "metadata": meta["metadata"],
    }
