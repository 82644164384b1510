"""What all commands print with, and how they end."""

import contextlib
from collections.abc import Callable, Iterator

import click
from rich.console import Console
from rich.progress import Progress
from rich.text import Text

from ..errors import MmspoolError
from ..persistence import Loss

EXIT_INCOMPLETE = 3
"""Frames are missing, or the recording ended before it should have."""

EXIT_CTRL_C = 130
"""Ended by Ctrl-C before the number of frames or seconds that was asked for."""

_SHOWN_LOSSES = 10
# A file may be called [old]: no names are read as rich's markup.
out = Console(highlight=False, soft_wrap=True, markup=False, emoji=False)
err = Console(stderr=True, highlight=False, soft_wrap=True, markup=False, emoji=False)


@contextlib.contextmanager
def errors_as_messages() -> Iterator[None]:
    """Tell what went wrong in a line or two, without a traceback."""
    try:
        yield
    except KeyboardInterrupt:
        raise click.exceptions.Exit(EXIT_CTRL_C) from None
    except (MmspoolError, KeyError, ValueError) as exc:
        text = str(exc.args[0]) if isinstance(exc, KeyError) else str(exc)
        raise click.ClickException("\n".join([text, *getattr(exc, "__notes__", ())])) from exc


@contextlib.contextmanager
def bar(name: str) -> Iterator[Callable[[int, int], None]]:
    """Show a progress bar on a terminal, nothing elsewhere; yield what to call with done and total."""
    with Progress(console=err, transient=True, disable=not err.is_terminal) as progress:
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
    return ", ".join(shown) + (f", and at {more:,} more places" if more else "")
