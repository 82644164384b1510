"""The options that choose a camera and set it up, the same for every command that needs one."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import click

from ..adapters import Roi
from ..driver import Camera, load_settings
from .output import err

COUNT = click.IntRange(min=1)
POSITIVE = click.FloatRange(min=0, min_open=True)

_REPEATS = "FastImage"

Command = TypeVar("Command", bound=Callable[..., Any])

WAYS = "--demo, --mock, --connect [PORT], --headless DIR CONFIG"
"""The options that choose a camera."""


def _port(context: click.Context, _parameter: click.Parameter, text: str | None) -> int | None:
    if text is None:
        return None
    try:
        return int(text)
    except ValueError:
        place = next(each.human_readable_name for each in context.command.params if isinstance(each, click.Argument))
        message = f"{text!r} is not a port number; put {place} before --connect, or give the port"
        raise click.BadParameter(message) from None


def _folder_and_config(
    _context: click.Context, _parameter: click.Parameter, paths: tuple[Path, Path] | None
) -> tuple[Path, Path] | None:
    if paths is not None and str(paths[1]).startswith("-"):
        raise click.BadParameter(
            f"give two paths, Micro-Manager's folder and a .cfg file; after the first is {paths[1]}"
        )
    return paths


def parse_roi(text: str) -> Roi:
    """Read a region."""
    try:
        x, y, width, height = (int(part) for part in text.split(","))
    except ValueError:
        raise click.BadParameter(f"{text!r} is not four whole numbers: give it as 0,0,2048,512") from None
    return Roi(x, y, width, height)


def _assignment(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not name or not equals:
        raise click.BadParameter(f"{text!r} is not NAME=VALUE, such as Gain=2")
    return name, value


_CHOICE = (
    click.option("--demo", is_flag=True, help="Micro-Manager's core with its DemoCamera (needs mm-test-adapters)."),
    click.option("--mock", is_flag=True, help="mmspool's simulated camera; needs no Micro-Manager."),
    click.option(
        "--connect",
        callback=_port,
        is_flag=False,
        flag_value="4827",
        metavar="[PORT]",
        help="A running Micro-Manager [port 4827].",
    ),
    click.option(
        "--headless",
        nargs=2,
        callback=_folder_and_config,
        type=click.Path(path_type=Path),
        metavar="DIR CONFIG",
        help="Micro-Manager's core in this process: its folder and a hardware configuration.",
    ),
)

_SETTINGS = (
    click.option(
        "--stop-running",
        is_flag=True,
        help="First stop the camera if it is running, such as after a program that was killed. It also ends a "
        "recording of another program.",
    ),
    click.option(
        "--settings",
        type=click.Path(exists=True, dir_okay=False, path_type=Path),
        metavar="FILE",
        help="Set the camera as it was: JSON of camera.settings(), or a recording.",
    ),
    click.option("--exposure", type=float, metavar="MS", help="Exposure, ms."),
    click.option("--roi", type=parse_roi, metavar="X,Y,WIDTH,HEIGHT", help="Region to read out, pixels."),
    click.option("--binning", type=int, metavar="N", help="Binning, such as 2."),
    click.option("--pixel-type", metavar="TYPE", help="Micro-Manager's PixelType, such as 16bit."),
    click.option(
        "-p",
        "--property",
        "properties",
        type=_assignment,
        metavar="NAME=VALUE",
        multiple=True,
        help="Any camera property; may be repeated.",
    ),
    click.option("--core-buffer-mb", type=COUNT, metavar="MB", help="Size of the core's own buffer, MB of 2^20 bytes."),
)


CAMERA_SECTIONS = {
    "Camera (one of these)": ("demo", "mock", "connect", "headless"),
    "Camera settings": (
        "settings",
        "exposure",
        "roi",
        "binning",
        "pixel_type",
        "properties",
        "core_buffer_mb",
        "stop_running",
    ),
}
"""Where help lists them."""


def camera_options(command: Command) -> Command:
    """Give a command the options whose values `CameraRequest` takes."""
    for option in reversed(_CHOICE + _SETTINGS):
        command = option(command)
    return command


@dataclass(frozen=True, kw_only=True, slots=True)
class CameraRequest:
    """The camera that was asked for on the command line, and its settings; None leaves a setting as it is."""

    demo: bool
    mock: bool
    connect: int | None
    headless: tuple[Path, Path] | None
    stop_running: bool
    settings: Path | None
    exposure: float | None
    roi: Roi | None
    binning: int | None
    pixel_type: str | None
    properties: tuple[tuple[str, str], ...]
    core_buffer_mb: int | None

    @property
    def ways(self) -> list[Callable[[], Camera]]:
        """How to open the camera, once for each option that chooses one."""
        port, headless = self.connect, self.headless
        ways: list[Callable[[], Camera] | None] = [
            Camera.demo if self.demo else None,
            Camera.mock if self.mock else None,
            (lambda: Camera.connect(port)) if port is not None else None,
            (lambda: Camera.headless(*headless)) if headless is not None else None,
        ]
        return [way for way in ways if way is not None]

    @property
    def way(self) -> Callable[[], Camera]:
        """How to open the camera; wrong usage unless exactly one was chosen."""
        if len(self.ways) != 1:
            raise click.UsageError(f"say which camera: one of {WAYS}")
        return self.ways[0]

    @property
    def has_settings(self) -> bool:
        """Whether anything is to be set, which needs a camera."""
        settings = (self.settings, self.exposure, self.roi, self.binning, self.pixel_type, self.core_buffer_mb)
        return bool(self.properties) or any(setting is not None for setting in settings)

    def configure(self, camera: Camera, *, repeat_image: bool = True) -> None:
        """Set what was asked for, in the order in which settings change each other.

        With ``repeat_image``, the demo camera draws one image and repeats it, and so reaches 100 full frames a second.
        """
        if self.stop_running:
            camera.stop_sequence()
        if self.settings is not None:
            report = camera.apply_settings(load_settings(self.settings))
            for why in report.refused.values():
                err.print(f"not as in {self.settings}: {why}")
        for name, value in self.properties:
            camera.properties[name] = value
        if self.binning is not None:
            camera.binning = self.binning
        if self.roi is not None:
            camera.roi = self.roi
        if self.pixel_type is not None:
            camera.pixel_type = self.pixel_type
        if self.exposure is not None:
            camera.exposure_ms = self.exposure
        if self.demo and repeat_image and _REPEATS not in dict(self.properties):
            _repeat_one_image(camera)


def _repeat_one_image(camera: Camera) -> None:
    """Let DemoCamera draw one image and repeat it: drawing takes longer than an exposure of 10 ms."""
    camera.snap()
    camera.properties[_REPEATS] = "1"
