"""The progress line of a recording, for terminals."""

import contextlib
import logging
import math
import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from .forecast import Forecast
from .result import RecordStats
from .running import RunningRecording, report_progress

_log = logging.getLogger("mmspool")

_PLAIN_S = 2.0  # between two lines where there is no terminal to rewrite one
_GAP = 2
_BAR, _LEAST_BAR = 20, 6
_DISPENSABLE = ("disk free", "core", "written", "left")  # from a narrow terminal, in this order
_SMOOTHING = 0.7  # of the rate, from one refresh to the next


class ProgressLine:
    """Turns snapshots into one line: frames, rate, written, ring, core buffer, disk free, time left, what is soon full.

    Parameters
    ----------
    path
        The file; its disk is watched.
    seconds
        How long the recording will last, if that was said.
    """

    def __init__(self, path: Path, seconds: float | None) -> None:
        self._folder = path.parent
        self._seconds = seconds
        self._before: tuple[float, int, int] | None = None
        self._fps = self._mbps = 0.0
        self._forecast = Forecast()

    def fields(self, stats: RecordStats, now: float) -> dict[str, str]:
        """Return what the line says, in order."""
        self._update_rates(stats, now)
        self._forecast.update(stats, now)
        spool, free = stats.spool, shutil.disk_usage(self._folder).free
        stored_mbps = self._mbps * (spool.bytes_stored / spool.bytes_written if spool.bytes_written else 1.0)
        until_full = free / (stored_mbps * 1e6) if stored_mbps > 0 else math.inf
        left = self._left(stats, until_full)
        warning = self._forecast.text(stats, disk_left_s=until_full, end_left_s=left)
        of = f"/{stats.frames_requested:,}" if stats.frames_requested else ""
        return {
            "frames": f"{stats.frames_received:,}{of}",
            "rate": f"{self._fps:,.0f} fps {self._mbps:,.0f} MB/s",
            "written": _size(spool.bytes_stored),
            "ring": f"{spool.ring_used:,}/{spool.ring_frames:,}",
            "core": f"{stats.core_waiting:,}/{stats.core_capacity:,}",
            "lost": f"{spool.frames_lost:,}",
            "disk free": _size(free),
            "left": _clock(left),
        } | ({"forecast": warning} if warning else {})

    def fraction(self, stats: RecordStats) -> float | None:
        """Return how much is done, 0 to 1; None where nobody knows."""
        if stats.frames_requested:
            return min(1.0, stats.frames_received / stats.frames_requested)
        return min(1.0, stats.spool.elapsed_s / self._seconds) if self._seconds else None

    def _update_rates(self, stats: RecordStats, now: float) -> None:
        if self._before is not None and now > self._before[0]:
            then, frames, written = self._before
            old = _SMOOTHING if self._fps else 0.0
            self._fps = old * self._fps + (1 - old) * (stats.frames_received - frames) / (now - then)
            self._mbps = old * self._mbps + (1 - old) * (stats.spool.bytes_written - written) / 1e6 / (now - then)
        self._before = now, stats.frames_received, stats.spool.bytes_written

    def _left(self, stats: RecordStats, until_full: float) -> float:
        """Return seconds until the end that was asked for, or until the disk is full, whatever comes first."""
        if stats.frames_requested and self._fps > 0:
            return min(until_full, (stats.frames_requested - stats.frames_received) / self._fps)
        if self._seconds:
            return min(until_full, max(0.0, self._seconds - stats.spool.elapsed_s))
        return until_full


def show_progress(
    recording: RunningRecording, path: Path, seconds: float | None, console: Console | None = None
) -> None:
    """Show a recording's progress until it ends: one line that is rewritten, or plain lines off a terminal.

    Parameters
    ----------
    recording
        Running.
    path, seconds
        As for `ProgressLine`.
    console
        Where; by default the error output.
    """
    line = ProgressLine(path, seconds)
    try:
        with _display(console or Console(stderr=True, markup=False, emoji=False)) as show:
            report_progress(recording, lambda stats: show(line.fields(stats, time.monotonic()), line.fraction(stats)))
    except Exception:  # noqa: BLE001 - leaving the display writes to the terminal too
        _log.warning("the progress line could not be removed", exc_info=True)


def _size(count: float) -> str:
    """Return a number of bytes in the unit that fits, with about three digits."""
    power = next((power for power in (1, 2, 3) if count < 999.5 * 1e3**power), 4)
    number = count / 1e3**power
    return f"{number:,.{1 if number < 99.95 else 0}f} {('kB', 'MB', 'GB', 'TB')[power - 1]}"


def _clock(seconds: float) -> str:
    if not math.isfinite(seconds):
        return "-"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


@contextlib.contextmanager
def _display(console: Console) -> Iterator[Callable[[dict[str, str], float | None], None]]:
    if console.is_jupyter:
        yield _NotebookLine()
        return
    show = _Show(console)
    if not console.is_terminal:
        yield show
        return
    with Live(console=console, auto_refresh=False, transient=True) as live:
        show.live = live
        yield show


class _NotebookLine:
    """One line below a notebook's cell, which is replaced by the next."""

    def __init__(self) -> None:
        self._handle: Any = None

    def __call__(self, fields: dict[str, str], fraction: float | None) -> None:  # noqa: ARG002 - as `_Show`
        from IPython.display import display

        line = {"text/plain": "  ".join(f"{name} {value}" for name, value in fields.items())}
        if self._handle is None:
            self._handle = display(line, raw=True, display_id=True)
        else:
            self._handle.update(line, raw=True)


class _Show:
    def __init__(self, console: Console) -> None:
        self.live: Live | None = None
        self._console = console
        self._next = 0.0

    def __call__(self, fields: dict[str, str], fraction: float | None) -> None:
        if self.live is not None:
            self.live.update(_row(fields, fraction, self._console.width), refresh=True)
        elif time.monotonic() >= self._next:
            self._next = time.monotonic() + _PLAIN_S
            self._console.print(
                "  ".join(f"{name} {value}" for name, value in fields.items()), highlight=False, soft_wrap=True
            )


def _row(fields: dict[str, str], fraction: float | None, width: int) -> Table:
    shown, bar_width = _fit(fields, width)
    table = Table.grid(padding=(0, _GAP))
    for _ in range(len(shown) + bool(bar_width)):
        table.add_column(no_wrap=True)
    bar = [ProgressBar(total=1.0, completed=fraction or 0.0, width=bar_width, pulse=fraction is None)] * bool(bar_width)
    table.add_row(*[""] * len(bar), *(Text(name, "dim") for name in shown))
    table.add_row(*bar, *(Text(value, "yellow" if name == "forecast" else "") for name, value in shown.items()))
    return table


def _fit(fields: dict[str, str], width: int) -> tuple[dict[str, str], int]:
    """Return the fields that fit in a terminal's width, and the bar's: what is least needed goes first."""
    shown = dict(fields)
    for name in ("", *_DISPENSABLE):
        shown.pop(name, None)
        # The last column is not used: some terminals begin a new line after it.
        left = width - 1 - sum(max(len(name), len(value)) + _GAP for name, value in shown.items())
        if left >= 0:
            break
    return shown, min(_BAR, left) if left >= _LEAST_BAR else 0
