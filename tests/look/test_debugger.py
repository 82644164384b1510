"""Recording under the debugger of VS Code, which debugs the processes of a script too: the writer process is one."""

import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from pathlib import Path

import pytest

import mmspool
from mmspool import RecordingError
from mmspool.persistence import repair

from .debug_adapter import Debugger

pytestmark = pytest.mark.usefixtures("processes")

WaitUntil = Callable[[Callable[[], bool]], None]

SCRIPT = """\
import numpy
from mmspool import Spool

spool = Spool("run.h5", buffer_bytes=8_000_000)
with spool:
    for number in range(100):
        spool.put(numpy.full((64, 64), number, "u2"))
        if number == 49:
            print("half of them")
print(spool.result.complete)
"""
AT_HALF = 9


@pytest.fixture
def debug(tmp_path: Path) -> Iterator[Callable[..., Debugger]]:
    """Return a function that debugs the script, with breakpoints at lines."""
    (tmp_path / "script.py").write_text(SCRIPT)
    paths = [str(Path(mmspool.__file__).parents[1]), os.environ.get("PYTHONPATH", "")]
    with ExitStack() as stack:

        def start(*breakpoints: int) -> Debugger:
            path = os.pathsep.join(filter(None, paths))
            return stack.enter_context(closing(Debugger(tmp_path / "script.py", breakpoints, PYTHONPATH=path)))

        yield start


def written(path: Path) -> int:
    """Return how many frames a file has."""
    try:
        with mmspool.open(path) as run:
            return len(run)
    except RecordingError:
        return 0


def test_breakpoint(debug: Callable[..., Debugger], tmp_path: Path, wait_until: WaitUntil) -> None:
    """At a breakpoint the writer process, debugged too, goes on: it stores what was put; then the script goes on."""
    debugger = debug(AT_HALF)
    thread = debugger.main.wait_for("stopped")["body"]["threadId"]
    wait_until(lambda: written(tmp_path / "run.h5") == 50)
    assert len(debugger.children) == 1
    debugger.main.send("continue", threadId=thread)
    assert debugger.main.wait_for("exited")["body"]["exitCode"] == 0
    assert "half of them" in debugger.main.output
    assert "True" in debugger.main.output
    with mmspool.open(tmp_path / "run.h5") as run:
        assert (run.state, len(run)) == ("complete", 100)
        assert run[:, 0, 0].tolist() == list(range(100))


def test_stop_button(debug: Callable[..., Debugger], tmp_path: Path, wait_until: WaitUntil) -> None:
    """The stop button kills the script, and its processes at will: what was stored is in the file all the same."""
    debugger = debug(AT_HALF)
    debugger.main.wait_for("stopped")
    wait_until(lambda: written(tmp_path / "run.h5") == 50)
    debugger.stop()
    wait_until(lambda: _is_free(tmp_path / "run.h5"))
    with mmspool.open(tmp_path / "run.h5") as run:
        assert run.state in ("interrupted", "repaired")
        assert run[:, 0, 0].tolist() == list(range(50))


def _is_free(path: Path) -> bool:
    """Return whether nobody writes the file any more; one that was left open is repaired."""
    try:
        repair(path)
    except RecordingError:  # its writer still runs
        return False
    return True
