"""What all commands print with, and how they end."""

import contextlib
import io
import json
import os
import sys
from collections.abc import Callable, Iterator, Mapping
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.progress import Progress
from rich.text import Text

from .. import packages
from ..errors import MmspoolError
from ..persistence import Loss

EXIT_INCOMPLETE = 3
"""Frames are missing, or the recording ended before it should have."""

EXIT_CTRL_C = 130
"""Ended by Ctrl-C or another signal before the number of frames or seconds that was asked for."""

_SHOWN_LOSSES = 10
# The library's messages name what Python calls an option. Only a command knows what its own are called, so it
# translates the messages that it prints, instead of each layer naming both.
_OPTIONS = {
    "with overwrite=True (--overwrite)": "with --overwrite",
    "buffer_bytes": "--buffer-mb",
    "give port=": "give --connect PORT",
    "(pixel_type, --pixel-type)": "(--pixel-type)",
    "choose the format=": "choose it by --format",
    "compression='": "--compression '",
    "exposure_ms =": "--exposure",
    "exposure_ms was": "--exposure was",
    "frames_per_trigger is": "--frames-per-trigger is",
    "binning =": "--binning",
}
# A file may be called [old]: no names are read as rich's markup.
out = Console(highlight=False, soft_wrap=True, markup=False, emoji=False)
err = Console(stderr=True, highlight=False, soft_wrap=True, markup=False, emoji=False)


def accept_any_text() -> None:
    """Let the output print every character: what its encoding lacks is shown as an escape."""
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(AttributeError, ValueError, OSError):  # a stream that a program has put there
            stream.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]


def output_works() -> bool:
    """Return whether the standard output can be written; one that cannot gets nothing more, at exit neither."""
    if sys.stdout is None:
        return True
    try:
        sys.stdout.flush()
        os.write(sys.stdout.fileno(), b"")
    except io.UnsupportedOperation:  # a stream that a program has put there
        return True
    except OSError:
        nothing = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nothing, sys.stdout.fileno())
        os.close(nothing)
        return False
    return True


@contextlib.contextmanager
def errors_as_messages() -> Iterator[None]:
    """Print what went wrong in a line or two, without a traceback; an error that is a bug of ours keeps its own."""
    try:
        yield
    except KeyboardInterrupt:
        raise click.exceptions.Exit(EXIT_CTRL_C) from None
    except MmspoolError as exc:
        text = "\n".join([str(exc), *getattr(exc, "__notes__", ())])
        for python, option in _OPTIONS.items():
            text = text.replace(python, option)
        raise click.ClickException(text) from exc


def print_json(facts: Mapping[str, Any]) -> None:
    """Print what a command knows for programs; `click.echo`, since rich would wrap it."""
    click.echo(json.dumps(facts, indent=2))


def version_of(package: str) -> str:
    """Return the version of an installed package; empty where it is not installed."""
    try:
        return version(package)
    except PackageNotFoundError:
        return ""


def command_line(*arguments: str | Path) -> str:
    """Return a command of this program as a user can type it, found the way in which this one was."""
    program = Path(sys.argv[0])
    called = [sys.executable, "-m", "mmspool"] if program.name == "__main__.py" else [sys.argv[0]]
    return packages.command_line(*called, *map(str, arguments))


def python_line(source: str) -> str:
    """Return a command that runs a line of Python where this program is installed."""
    return packages.command_line(sys.executable, "-c", source)


@contextlib.contextmanager
def bar(name: str) -> Iterator[Callable[[int, int], None]]:
    """Show a progress bar on a terminal, nothing elsewhere; yield what to call with done and total."""
    if not err.is_terminal:  # there rich 13 prints an empty line
        yield lambda _done, _total: None
        return
    with Progress(console=err, transient=True) as progress:
        task = progress.add_task(name, total=None)
        yield lambda done, total: progress.update(task, completed=done, total=total)


def print_rows(rows: list[tuple[str, str | Text]]) -> None:
    """Print names and values in two columns; the terminal wraps long values, so that paths can be copied."""
    width = max(len(name) for name, _ in rows) + 2
    for name, value in rows:
        out.print(Text.assemble(name.ljust(width), value))


def losses_text(losses: list[Loss] | tuple[Loss, ...]) -> str:
    """Say where frames are missing; the file has all of it."""
    shown = [f"{loss.count:,} before frame {loss.before_frame:,} ({loss.stage})" for loss in losses[:_SHOWN_LOSSES]]
    more = len(losses) - len(shown)
    return ", ".join(shown) + (f", and {more:,} more losses" if more else "")
