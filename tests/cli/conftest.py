"""The command, in this process and in one of its own."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

import mmspool
from mmspool import Camera, RecordingError, SteppedClock
from mmspool.cli import main

SMALL = {"width": 96, "height": 64}
RING = ("--buffer-mb", "16")
LIMIT_S = 60.0
_ROOT = Path(mmspool.__file__).parents[1]


@pytest.fixture(autouse=True)
def plain_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let no colours or widths of the terminal that the tests run in get into the output."""
    for name in ("COLUMNS", "FORCE_COLOR", "NO_COLOR", "TTY_COMPATIBLE"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def run() -> Iterator[Callable[..., Result]]:
    """Return a function that runs the command in this process, and put the signal handler back that it replaces."""
    before = signal.getsignal(signal.SIGTERM)
    yield lambda *arguments: CliRunner().invoke(main, [str(argument) for argument in arguments])
    signal.signal(signal.SIGTERM, before)


@pytest.fixture
def mocked(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Return a function that says what ``--mock`` is to be, since the command has no options for faults."""
    make = Camera.mock

    def mock(*, tick_s: float = 0.01, **options: Any) -> None:
        monkeypatch.setattr(Camera, "mock", lambda: make(**(SMALL | {"clock": SteppedClock(tick_s=tick_s)} | options)))

    mock()
    return mock


@pytest.fixture
def record(
    processes: None, run: Callable[..., Result], mocked: Callable[..., None], tmp_path: Path
) -> Callable[..., Result]:
    """Return a function that runs ``mmspool record`` with a small simulated camera."""
    return lambda *arguments: run("record", tmp_path / "run.h5", "--mock", *RING, *arguments)


def _text(argument: object) -> Any:
    return argument if isinstance(argument, bytes) else str(argument)


class Command:
    """``mmspool`` as a process in a group of its own, as a terminal starts it."""

    def __init__(self, *arguments: object, cwd: Path, env: Mapping[str, str] | None = None) -> None:
        checkout = {"PYTHONPATH": str(_ROOT)} if (_ROOT / "pyproject.toml").exists() else {}
        self.process = subprocess.Popen(
            [sys.executable, "-m", "mmspool", *map(os.fspath, map(_text, arguments))],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            encoding="utf-8",
            errors="surrogateescape",
            start_new_session=True,
            cwd=cwd,
            env=os.environ | checkout | dict(env or {}),
        )

    def press_ctrl_c(self) -> None:
        """Interrupt the whole foreground group, the writer process too."""
        os.killpg(self.process.pid, signal.SIGINT)

    def end(self) -> tuple[int, str, str]:
        """Return the exit code and both outputs."""
        out, err = self.process.communicate(timeout=LIMIT_S)
        return self.process.returncode, out, err


@pytest.fixture
def command(processes: None, tmp_path: Path) -> Iterator[Callable[..., Command]]:
    """Return a function that starts ``mmspool``, and end it whatever happens."""
    commands = []

    def start(*arguments: object, env: Mapping[str, str] | None = None) -> Command:
        commands.append(Command(*arguments, cwd=tmp_path, env=env))
        return commands[-1]

    yield start
    for each in commands:
        if each.process.poll() is None:
            each.process.kill()
        each.process.communicate()


@pytest.fixture
def under_way(tmp_path: Path, wait_until: Callable[..., None]) -> Callable[[], None]:
    """Return a function that waits until frames are in the file."""

    def some_frames() -> bool:
        try:
            with mmspool.open(tmp_path / "run.h5") as recording:
                return len(recording) >= 10
        except RecordingError:  # not there yet
            return False

    return lambda: wait_until(some_frames)
