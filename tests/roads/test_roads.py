"""What happens on each road to a file when its writer, its disk, its script or its user does something else.

The roads are pymmcore-plus' engine and signals and pycromanager's acquisition; `Camera` is tested in the other folders.
"""

import json
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support.processes import Ended, Python

import mmspool

SCRIPT = Path(__file__).with_name("roads.py")
ROADS = ("spool_mda", "MDASink", "process_fn")
pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="signals and limits of Unix")

Record = Callable[..., Python]


@pytest.fixture(params=ROADS)
def road(request: pytest.FixtureRequest) -> str:
    """Return the name of a road."""
    return str(request.param)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Return where a run is recorded."""
    return tmp_path / "run.h5"


@pytest.fixture
def record(road: str, path: Path) -> Iterator[Record]:
    """Return a function that starts the script and returns it when the 50th frame has come."""
    with ExitStack() as started:

        def start(fault: str, frames: int) -> Python:
            script = started.enter_context(Python(SCRIPT, road, fault, path, frames, cwd=path.parent))
            assert script.line() == "50\n", script.end().err
            return script

        yield start


def said(ended: Ended) -> dict[str, Any]:
    """Return what the script says of the end."""
    assert ended.out, ended.err
    return dict(json.loads(ended.out.splitlines()[-1]))


def check_numbers(path: Path, state: str) -> int:
    """Check that a file holds the first frames of the run without a gap, and return how many."""
    with mmspool.open(path) as run:
        assert run.state == state
        assert np.array_equal(run.frame_table()["image_number"], np.arange(len(run)))
        assert mmspool.verify(path).intact
        return len(run)


def test_a_killed_writer_is_restarted(record: Record, path: Path) -> None:
    """A new writer takes over from the ring, and the run loses nothing."""
    ended = said(record("the writer is killed", 400).end())
    assert ended == {"error": None, "frames": 400, "lost": 0, "restarts": 1}
    assert check_numbers(path, "complete") == 400


def test_a_disk_that_stalls_loses_nothing(record: Record, path: Path) -> None:
    """While the writer stands still the ring fills, and then frames wait in the core."""
    ended = said(record("the disk stalls", 400).end())
    assert ended == {"error": None, "frames": 400, "lost": 0, "restarts": 0}
    assert check_numbers(path, "complete") == 400


def test_a_full_disk_is_an_error(record: Record, path: Path) -> None:
    """The script gets the error, and every frame that was written is in a closed file."""
    ended = said(record("the disk is full", 3000).end())
    assert "the disk is full" in ended["error"]
    assert 50 < check_numbers(path, "interrupted") < 3000


def test_a_killed_script_leaves_a_closed_file(
    record: Record, path: Path, wait_until: Callable[[Callable[[], bool]], None]
) -> None:
    """The writer process drains the ring and closes the file."""
    record("none", 3000).kill()

    def closed() -> bool:
        with mmspool.open(path) as run:
            return run.state != "recording"

    wait_until(closed)
    assert 50 <= check_numbers(path, "interrupted") < 3000


def test_ctrl_c_closes_the_file(record: Record, road: str, path: Path) -> None:
    """The file is closed, and the script gets its KeyboardInterrupt; pycromanager finishes the acquisition first."""
    script = record("none", 3000)
    script.interrupt()
    ended = script.end()
    assert ended.code in (-signal.SIGINT, 1), ended.err
    assert "KeyboardInterrupt" in ended.err
    assert 50 <= check_numbers(path, "interrupted") < (3001 if road == "process_fn" else 3000)
