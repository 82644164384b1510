"""The command ``record``."""

import contextlib
import json
import os
import sys
from collections.abc import Iterator
from dataclasses import asdict
from importlib.util import find_spec
from pathlib import Path
from typing import Any, get_args

import click
from rich.text import Text

from ..driver import Camera, EndReason, RecordResult, end_recordings_on_signals
from ..persistence import Compression, Plan, PlanLike, SpoolOptions, SpoolStats, check_output_path
from ..viewing import start_viewer
from .camera_options import CAMERA_SECTIONS, COUNT, POSITIVE, CameraRequest, camera_options
from .frame_options import Columns, read_columns, read_plan
from .output import (
    EXIT_CTRL_C,
    EXIT_INCOMPLETE,
    command_line,
    err,
    errors_as_messages,
    losses_text,
    print_json,
    print_rows,
    python_line,
)
from .sections import SectionedCommand

_HDF5_NAMES = (".h5", ".hdf5", ".hdf", ".he5", ".nxs", ".nx5")
_ADVICE = {
    EndReason.OVERFLOW: "a larger --core-buffer-mb, or fewer frames/s: 'mmspool preflight' says what limits them",
    EndReason.CAMERA_STOPPED: "see whether another program stopped it, such as live mode: the driver gives no reason",
    EndReason.TIMEOUT: "check the camera's trigger, or wait longer with --frame-timeout",
}
_SECTIONS = {
    **CAMERA_SECTIONS,
    "What to record (without an end, until Ctrl-C)": (
        "frames",
        "seconds",
        "triggers",
        "frames_per_trigger",
        "trigger_timeout",
        "frame_timeout",
    ),
    "Beside the frames": ("columns", "plan"),
    "Storage": ("overwrite", "compression", "buffer_mb", "grow_frames", "allow_sleep"),
    "Output": ("view", "progress", "quiet", "as_json", "help"),
}


@click.command(cls=SectionedCommand, sections=_SECTIONS)
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path))
@camera_options
@click.option("-n", "--frames", type=COUNT, metavar="N", help="End after this many frames.")
@click.option("-t", "--seconds", type=POSITIVE, metavar="S", help="End after this many seconds.")
@click.option("--overwrite", is_flag=True, help="Replace FILE if it exists.")
@click.option(
    "--compression",
    type=click.Choice(get_args(Compression)),
    help="Compress without loss: fast, small (readers need the Blosc filter for both) or universal (gzip, which every "
    "HDF5 program reads). Needs the packages hdf5plugin, imagecodecs and isal.",
)
@click.option("--buffer-mb", type=COUNT, metavar="MB", help="Size of the ring in shared memory, MB of 10^6 bytes.")
@click.option(
    "--grow-frames",
    type=COUNT,
    metavar="N",
    default=SpoolOptions.grow_frames,
    show_default=True,
    help="Allocate room on the disk for this many frames at a time, and never for more than --frames.",
)
@click.option(
    "--frame-timeout",
    type=POSITIVE,
    metavar="S",
    help="End when no frame came for this long; inf waits without limit for a trigger. [10 s and ten exposures]",
)
@click.option("--triggers", type=COUNT, metavar="N", help="End after this many triggers of the camera.")
@click.option(
    "--frames-per-trigger", type=COUNT, metavar="N", default=1, help="Frames that each trigger gives, a burst. [1]"
)
@click.option(
    "--trigger-timeout",
    type=POSITIVE,
    metavar="S",
    help="Each time this long without a frame is a missing trigger, which is marked; the recording goes on.",
)
@click.option(
    "--column",
    "columns",
    metavar="NAME=TAG[:TYPE]",
    multiple=True,
    callback=read_columns,
    help="Store a tag of the core with each frame, as text, float or int; may be repeated. [text]",
)
@click.option(
    "--plan",
    metavar="PLAN",
    callback=read_plan,
    help="The places of all frames, after which it ends: a number, axes such as z=5,channel=2, or a JSON file of axes "
    "or events.",
)
@click.option("--allow-sleep", is_flag=True, help="Let the computer go to sleep while it records.")
@click.option("--view", is_flag=True, help="Show the newest frame in a window while recording (needs the package ndv).")
@click.option(
    "--progress/--no-progress",
    default=None,
    help="Show progress on the error output: a line that is rewritten on a terminal, one every two seconds elsewhere. "
    "[on a terminal]",
)
@click.option("-q", "--quiet", is_flag=True, help="Print nothing; check the exit code.")
@click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
def record(
    file: Path,
    *,
    frames: int | None,
    seconds: float | None,
    overwrite: bool,
    compression: Compression | None,
    buffer_mb: int | None,
    grow_frames: int,
    frame_timeout: float | None,
    triggers: int | None,
    frames_per_trigger: int,
    trigger_timeout: float | None,
    columns: Columns | None,
    plan: PlanLike | None,
    allow_sleep: bool,
    view: bool,
    progress: bool | None,
    quiet: bool,
    as_json: bool,
    **camera_asked: Any,
) -> None:
    """Record the camera to FILE, an HDF5 file.

    Choose one camera: --demo, --mock, --connect or --headless. Without --frames or --seconds it records until Ctrl-C.
    Ctrl-C, a closed terminal or any other signal that can be caught ends the recording cleanly, with everything
    received in FILE.

    \b
    Examples:
      mmspool record run.h5 --mock --frames 100
      mmspool record run.h5 --connect --seconds 60
      mmspool record run.h5 --headless "C:/Program Files/Micro-Manager-2.0" my.cfg --exposure 5 --roi 0,0,2048,512

    Exit codes: 0 complete, 1 error, 2 wrong usage, 3 frames are missing or it ended early, 130 stopped by Ctrl-C or
    another signal before the end that was asked for.
    """  # noqa: D301 - click reads the control character
    _refuse_nan(seconds, frame_timeout, trigger_timeout)
    if triggers is not None and frames is not None:
        raise click.UsageError("give --triggers or --frames, not both")
    request = CameraRequest(**camera_asked)
    open_camera = request.way
    with errors_as_messages():
        end_recordings_on_signals()
        SpoolOptions(compression=compression)  # a missing package, and FILE, before the camera is touched
        check_output_path(file, overwrite=overwrite)
        with open_camera() as camera:
            request.configure(camera)
            if view:
                start_viewer(file)
            if not quiet:
                asked = frames if triggers is None else triggers * frames_per_trigger
                _announce(camera, file, asked, seconds, plan)
            result = camera.record(
                file,
                progress=not quiet and (err.is_terminal if progress is None else progress),
                frames=frames,
                seconds=seconds,
                keep_awake=not allow_sleep,
                overwrite=overwrite,
                compression=compression,
                buffer_bytes=None if buffer_mb is None else buffer_mb * 10**6,
                grow_frames=grow_frames,
                core_buffer_mb=request.core_buffer_mb,
                frame_timeout_s=frame_timeout,
                triggers=triggers,
                frames_per_trigger=frames_per_trigger,
                trigger_timeout_s=trigger_timeout,
                columns=columns,
                plan=plan,
            )
    # A terminal that was closed has ended the recording: its file counts, not that nobody reads about it.
    with contextlib.suppress(OSError):
        if as_json:
            print_json(_facts(result))
        elif not quiet:
            _summarise(result, file, compression)
    sys.exit(_exit_code(result))


def _refuse_nan(seconds: float | None, frame_timeout: float | None, trigger_timeout: float | None) -> None:
    given = (("--seconds", seconds), ("--frame-timeout", frame_timeout), ("--trigger-timeout", trigger_timeout))
    for name, value in given:
        if value is not None and not value > 0:
            raise click.UsageError(f"{name} is a number of seconds, not {value}")


def _facts(result: RecordResult) -> dict[str, Any]:
    """Return how it ended; JSON can hold it."""
    facts = asdict(result) | {"path": str(result.path), "complete": result.complete, "mb_per_s": result.mb_per_s}
    return facts | {"end_reason": str(result.end_reason)}


def _announce(camera: Camera, file: Path, frames: int | None, seconds: float | None, planned: PlanLike | None) -> None:
    if file.suffix.lower() not in _HDF5_NAMES:
        err.print(f"{file} becomes an HDF5 file, whatever its name: other programs expect one to end in .h5")
    image = camera.image_format
    if planned is not None and not (frames or seconds or (plan := Plan.of(planned)).repeats):
        frames = len(plan)
    until = f"{frames:,} frames" if frames else f"{seconds:g} s" if seconds else "until Ctrl-C"
    err.print(
        f"{camera.label} ({camera.core.version()}): {image.width}x{image.height} {image.dtype.name}"
        f"{' RGB' if image.channels > 1 else ''}, "
        f"{camera.exposure_ms:g} ms, {until}",
        soft_wrap=not err.is_terminal,  # a terminal breaks words
    )


def _summarise(result: RecordResult, file: Path, compression: Compression | None) -> None:
    wanted = f" of {result.frames_requested:,}" if result.frames_requested else ""
    spool, path = result.stats.spool, result.stats.frame_path
    verdict = Text("complete", "green") if result.complete else Text(f"{result.state}: {result.end_reason}", "red")
    rows: list[tuple[str, str | Text]] = [
        ("recording", verdict),
        *((("what to do", text),) if (text := _ADVICE.get(result.end_reason)) else ()),
        ("frames", f"{result.frames_written:,}{wanted}"),
        ("lost frames", f"{result.frames_lost:,}"),
        *((("", result.losses_before_core),) if result.losses_before_core else ()),
        *((("missing", text),) if (text := losses_text(result.losses)) else ()),
        ("time", f"{result.duration_s:.2f} s"),
        ("rate", f"{result.mb_per_s:,.0f} MB/s"),
        (
            "buffers",
            f"ring at most {spool.ring_peak:,} of {spool.ring_frames:,} frames; "
            f"core at most {result.stats.core_peak:,} of {result.stats.core_capacity:,}",
        ),
        *((("frames came", f"over the ZMQ bridge: {path.reason}"),) if path.way == "java-bridge" else ()),
        *((("compression", text),) if (text := _compression_text(spool)) else ()),
        ("file", f"{result.path}  {result.file_bytes / 1e6:,.1f} MB"),
        *(("look at it" if first else "", line) for first, line in _look_lines(file)),
        ("", python_line(f"import mmspool; print(mmspool.open({_quoted(result.path)})[0])")),
        ("", _viewers_text(compression)),
    ]
    print_rows(rows)


def _look_lines(file: Path) -> Iterator[tuple[bool, str]]:
    """Yield the commands that show the file with what is installed, the best first, and whether it is the first."""
    viewer, reporter = find_spec("ndv"), find_spec("matplotlib") and find_spec("jinja2")
    commands = [("view", file)] * bool(viewer) + [("report", file, "--open")] * bool(reporter) + [("info", file)]
    for index, command in enumerate(commands):
        yield index == 0, command_line(*command)


def _quoted(path: Path) -> str:
    """Return a path as a string of Python, in the quotes that this system's shell leaves alone within its own."""
    return repr(str(path)) if os.name == "nt" else json.dumps(str(path), ensure_ascii=False)


def _viewers_text(compression: Compression | None) -> str:
    if compression in (None, "universal"):
        return "silx view, jupyterlab-h5web or any other HDF5 viewer (dataset /data)"
    return "silx view or jupyterlab-h5web, with hdf5plugin installed (dataset /data)"


def _compression_text(spool: SpoolStats) -> str:
    """Say what compression made of the frames; nothing for a recording without."""
    if spool.bytes_stored == spool.bytes_written:
        return ""
    raw = f", {spool.frames_raw:,} frames stored as they are: the codec was too slow" if spool.frames_raw else ""
    return f"to {spool.bytes_stored / spool.bytes_written:.1%} of the pixels{raw}"


def _exit_code(result: RecordResult) -> int:
    if result.complete:
        return 0
    stopped = result.end_reason is EndReason.STOPPED and not result.frames_lost
    return EXIT_CTRL_C if stopped else EXIT_INCOMPLETE
