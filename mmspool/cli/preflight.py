"""The command ``preflight``."""

import contextlib
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import numpy as np
from rich.progress import Progress

from ..driver import Camera, end_recordings_on_signals
from ..driver.preflight.measure import ProgressCallback, measure
from ..driver.preflight.verdict import FrameLoad, judge
from .camera_options import CAMERA_SECTIONS, POSITIVE, WAYS, CameraRequest, camera_options
from .output import EXIT_INCOMPLETE, err, errors_as_messages, print_json
from .preflight_report import facts, print_report
from .sections import SectionedCommand

_DEFAULT_SHAPE = (2048, 2048)
_DEFAULT_DTYPE = "uint16"


def _size(text: str) -> tuple[int, int]:
    """Read width and height as people say them; return ``(Y, X)``."""
    try:
        width, height = (int(part) for part in text.lower().split("x"))
    except ValueError:
        raise click.BadParameter(f"{text!r} is not two whole numbers: give width and height as 2048x2048") from None
    if width < 1 or height < 1:
        raise click.BadParameter(f"{text!r} has no pixels")
    return height, width


def _dtype(text: str) -> np.dtype[Any]:
    try:
        dtype = np.dtype(text)
    except TypeError:
        raise click.BadParameter(f"{text!r} is no dtype: give one such as uint8, uint16 or float32") from None
    if dtype.kind not in "buif":
        raise click.BadParameter(f"pixels are bool, integers or floats, not {dtype}")
    return dtype


@click.command(cls=SectionedCommand, sections=CAMERA_SECTIONS)
@click.argument("directory", metavar="DIR", type=click.Path(path_type=Path))
@camera_options
@click.option("--size", type=_size, metavar="WIDTHxHEIGHT", help="Without a camera: size of the frames. [2048x2048]")
@click.option("--dtype", type=_dtype, metavar="DTYPE", help="Without a camera: dtype of the frames. [uint16]")
@click.option(
    "--fps",
    type=POSITIVE,
    metavar="RATE",
    help="Frames a second. [what the camera makes; without one, the most that is possible]",
)
@click.option(
    "--seconds",
    type=POSITIVE,
    metavar="S",
    default=10.0,
    show_default=True,
    help="How long to write to the disk; longer sees larger caches.",
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def preflight(
    directory: Path,
    *,
    size: tuple[int, int] | None,
    dtype: np.dtype[Any] | None,
    fps: float | None,
    seconds: float,
    as_json: bool,
    **camera_asked: Any,
) -> None:
    """Say whether a camera can be recorded to the folder DIR.

    Says also for how long, and with which buffers. Runs the camera for some seconds without recording it, and writes to
    DIR for --seconds, at most a quarter of its free space. Nothing is left there.

    \b
    Examples:
      mmspool preflight . --size 2304x2304 --fps 89
      mmspool preflight D:/data --headless "C:/Program Files/Micro-Manager-2.0" my.cfg --exposure 10

    Exit codes: 0 it can be recorded, 1 error, 2 wrong usage, 3 it cannot be recorded, 130 stopped by Ctrl-C.
    """  # noqa: D301 - click reads the control character
    request = CameraRequest(**camera_asked)
    _check_usage(request, size, dtype)
    with errors_as_messages():
        end_recordings_on_signals()
        with _opened(request) as camera, _progress() as report:
            if camera is None:
                load = FrameLoad(shape=size or _DEFAULT_SHAPE, dtype=dtype or np.dtype(_DEFAULT_DTYPE), fps=fps)
            else:
                load = _set_up(camera, request, fps)
            name = "" if camera is None else f"{camera.label}, {camera.exposure_ms:g} ms: "
            measured = measure(
                directory, load, core=None if camera is None else camera.core, seconds=seconds, report=report
            )
        verdict = judge(measured.load, measured.figures)
    if as_json:
        print_json(facts(measured, verdict))
    else:
        print_report(measured, verdict, folder=directory, camera=name, fps_asked=fps is not None)
    sys.exit(0 if verdict.feasible else EXIT_INCOMPLETE)


def _check_usage(request: CameraRequest, size: tuple[int, int] | None, dtype: np.dtype[Any] | None) -> None:
    if len(request.ways) > 1:
        raise click.UsageError(f"say which camera: only one of {WAYS}")
    if request.ways and (size is not None or dtype is not None):
        raise click.UsageError("--size and --dtype are for frames without a camera; a camera reports its own")
    if not request.ways and request.has_settings:
        raise click.UsageError(f"these settings need a camera: one of {WAYS}")


@contextlib.contextmanager
def _opened(request: CameraRequest) -> Iterator[Camera | None]:
    if not request.ways:
        yield None
        return
    (open_camera,) = request.ways
    with open_camera() as camera:
        yield camera


def _set_up(camera: Camera, request: CameraRequest, fps: float | None) -> FrameLoad:
    request.configure(camera)
    if request.core_buffer_mb is not None:
        camera.core.set_buffer_mb(request.core_buffer_mb)
    image = camera.image_format
    return FrameLoad(shape=image.shape, dtype=image.dtype, fps=fps)


@contextlib.contextmanager
def _progress() -> Iterator[ProgressCallback]:
    """Show on the terminal what is being measured."""
    with Progress(console=err, transient=True, disable=not err.is_terminal) as bar:
        task = bar.add_task("measuring", total=1.0)
        yield lambda what, done: bar.update(task, description=f"measuring the {what}", completed=min(1.0, done))
