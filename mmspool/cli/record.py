"""The command ``record``."""

import shlex
import signal
import sys
from pathlib import Path
from typing import Any, get_args

import click
from rich.text import Text

from ..driver import Camera, EndReason, RecordResult
from ..persistence import Compression, SpoolStats
from .camera_options import WAYS, CameraRequest, camera_options
from .output import EXIT_CTRL_C, EXIT_INCOMPLETE, err, errors_as_messages, losses_text, print_rows


@click.command()
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path))
@camera_options
@click.option("-n", "--frames", type=click.IntRange(min=1), help="End after so many frames.")
@click.option("-t", "--seconds", type=click.FloatRange(min=0, min_open=True), help="End after so many seconds.")
@click.option("--overwrite", is_flag=True, help="Replace FILE if it exists.")
@click.option(
    "--compression",
    type=click.Choice(get_args(Compression)),
    help="Compress without loss (needs the extra: mmspool[compression]).",
)
@click.option("--buffer-mb", type=click.IntRange(min=1), help="Size of the ring in shared memory, MB of 10^6 bytes.")
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
    frames: int | None,
    seconds: float | None,
    overwrite: bool,
    compression: Compression | None,
    buffer_mb: int | None,
    frame_timeout: float | None,
    quiet: bool,
    **camera_asked: Any,
) -> None:
    """Record the camera to FILE (HDF5); without --frames or --seconds until Ctrl-C.

    Exit codes: 0 complete, 1 error, 2 wrong usage, 3 frames are missing or it ended early, 130 stopped by Ctrl-C
    before the end that was asked for.
    """
    request = CameraRequest(**camera_asked)
    if len(request.ways) != 1:
        raise click.UsageError(f"say which camera: one of {WAYS}")
    (open_camera,) = request.ways
    with errors_as_messages():
        signal.signal(signal.SIGTERM, signal.default_int_handler)  # both end a recording cleanly
        with open_camera() as camera:
            request.configure(camera)
            if not quiet:
                _announce(camera, frames, seconds)
            result = camera.record(
                file,
                progress=False if quiet else err,
                frames=frames,
                seconds=seconds,
                overwrite=overwrite,
                compression=compression,
                buffer_bytes=None if buffer_mb is None else buffer_mb * 10**6,
                core_buffer_mb=request.core_buffer_mb,
                frame_timeout_s=frame_timeout,
            )
    if not quiet:
        _summarise(result, file)
    sys.exit(_exit_code(result))


def _announce(camera: Camera, frames: int | None, seconds: float | None) -> None:
    image = camera.image_format
    until = f"{frames:,} frames" if frames else f"{seconds:g} s" if seconds else "until Ctrl-C"
    err.print(
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
        *((("missing", text),) if (text := losses_text(result.losses)) else ()),
        ("time", f"{result.duration_s:.2f} s"),
        ("rate", f"{result.mb_per_s:,.0f} MB/s"),
        (
            "buffers",
            f"ring at most {spool.ring_peak:,} of {spool.ring_frames:,} frames; "
            f"core at most {result.stats.core_peak:,} of {result.stats.core_capacity:,}",
        ),
        *((("compression", text),) if (text := _compression_text(spool)) else ()),
        ("file", f"{result.path}  {result.file_bytes / 1e6:,.1f} MB"),
        ("look at it", f"mmspool info {shlex.quote(str(file))}"),
        ("", f'python -c "import mmspool; print(mmspool.open({str(result.path)!r})[0])"'),
        ("", "any HDF5 viewer: silx view, jupyterlab-h5web, napari, Fiji, MATLAB's h5read (dataset /data)"),
    ]
    print_rows(rows)


def _compression_text(spool: SpoolStats) -> str:
    """Say what compression made of the frames; nothing for a recording without."""
    if spool.bytes_stored == spool.bytes_written:
        return ""
    raw = f", {spool.frames_raw:,} frames stored as they are: the codec was too slow" if spool.frames_raw else ""
    return f"to {spool.bytes_stored / spool.bytes_written:.1%} of the pixels{raw}"


def _exit_code(result: RecordResult) -> int:
    if result.complete:
        return 0
    stopped = result.end is EndReason.STOPPED and not result.frames_lost
    return EXIT_CTRL_C if stopped else EXIT_INCOMPLETE
