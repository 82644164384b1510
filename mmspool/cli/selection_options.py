"""The options that choose a part of a recording, the same for every command that reads one."""

from collections.abc import Callable
from typing import Any, TypeVar, get_args

import click

from ..adapters import Roi
from ..selection import BinMethod, Projection
from .camera_options import COUNT, parse_roi

Command = TypeVar("Command", bound=Callable[..., Any])

_MAX_PARTS = 3


def parse_frames(text: str) -> slice:
    """Read a range of frames as Python writes it: ``100:200``, ``:50``, ``::10``, or one frame, ``7``."""
    parts = text.split(":")
    try:
        numbers = [int(part) if part.strip() else None for part in parts]
    except ValueError:
        numbers = []
    if not 1 <= len(numbers) <= _MAX_PARTS or numbers == [None]:
        raise click.BadParameter(f"{text!r} is no range of frames: give it as 100:200, :50, ::10, or 7 for one frame")
    if len(numbers) == 1:
        (index,) = numbers
        return slice(index, None if index == -1 else (index or 0) + 1)
    return slice(*numbers)


_OPTIONS = (
    click.option("--frames", type=parse_frames, metavar="FROM:TO:STEP", help="Which frames, such as 100:200 or ::10."),
    click.option("--crop", type=parse_roi, metavar="X,Y,WIDTH,HEIGHT", help="Region of each frame, pixels."),
    click.option("--bin", "bin_pixels", type=COUNT, default=1, metavar="N", help="Combine NxN pixels."),
    click.option(
        "--bin-method",
        type=click.Choice(get_args(BinMethod)),
        default="mean",
        help="How pixels are combined: mean keeps the dtype, sum widens it. [mean]",
    ),
    click.option("--project", type=click.Choice(get_args(Projection)), help="Combine frames into one image."),
    click.option("--group", type=COUNT, metavar="N", help="With --project: an image for every N frames. [all]"),
)


def selection_options(command: Command) -> Command:
    """Give a command the options that `selection_arguments` takes."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


def selection_arguments(
    *,
    frames: slice | None,
    crop: Roi | None,
    bin_pixels: int,
    bin_method: BinMethod,
    project: Projection | None,
    group: int | None,
) -> dict[str, Any]:
    """Return what was asked for as arguments of `mmspool.export`."""
    if group is not None and project is None:
        raise click.UsageError("--group needs --project")
    return {
        "frames": slice(None) if frames is None else frames,
        "crop": crop,
        "bin": bin_pixels,
        "bin_method": bin_method,
        "projection": project,
        "group": group or 0,
    }
