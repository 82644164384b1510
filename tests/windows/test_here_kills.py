"""The writer, the script or both are ended by TerminateProcess, at random instants and at steps of the protocol.

Afterwards the file is opened and compared: each frame in it is the right one, and none is missing that has to be there.
The numbers of kills add up to `KILLS`.
"""

import random
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import numpy.typing as npt
import psutil
import pytest
from sitecustomize import KILL_AT
from support.paths import environment
from support.processes import Python
from support.waiting import wait_until

import mmspool
from mmspool import Spool

pytestmark = pytest.mark.process

SHAPE = (64, 64)
RECORDINGS, WRITER_KILLS = 10, 10
SCRIPT_KILLS, BOTH_KILLS = 10, 15
LIMIT_S = 120.0

FRAMES = 400
CALLS = [
    *(("allocate", number) for number in range(1, 4)),
    *(("sync", number) for number in range(1, 8)),
    *(("truncate", number) for number in range(1, 7)),
    *(("write_direct_once", number) for number in (1, 4, 8)),
    *(("write_once", number) for number in (1, 11, 40, 80, 120, 160, 200)),
]
"""Calls that change the file, as a writer makes them at least so often in a recording of `FRAMES`."""

KILLS = RECORDINGS * WRITER_KILLS + SCRIPT_KILLS + 2 * BOTH_KILLS + 4 * len(CALLS)  # at a call: each alone, and both

SCRIPT = """
import sys, time, numpy as np
from mmspool import Spool
path, pause_s, frames = sys.argv[1], float(sys.argv[2]), int(sys.argv[3])
spool = Spool(path, shape=(64, 64), dtype="u2", buffer_bytes=4 << 20, grow_frames=50)
print(spool._client.writer.pid, flush=True)
for index in range(frames):
    spool.put(np.full((64, 64), index & 0xFFFF, "u2"))
    print(index + 1, flush=True)
    time.sleep(pause_s)
spool.close()
"""


def frame(index: int) -> npt.NDArray[np.uint16]:
    """Return the frame whose every pixel is its number."""
    return np.full(SHAPE, index & 0xFFFF, np.uint16)


def check_pixels(path: Path, least: int) -> int:
    """Check every counted frame with plain h5py; return how many there are, which must be ``least`` at least."""
    with h5py.File(path, "r", locking=False) as file:
        count = int(file["entry/instrument/detector/ledger/frames_written"][()])
        assert count >= least
        for index in range(count):
            np.testing.assert_array_equal(file["data"][index], frame(index))
    return count


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[[float], Python]]:
    """Return a function that starts a recording script, which prints its writer's id and then each frame's number."""
    scripts: list[Python] = []

    def run(pause_s: float, frames: int = 1_000_000, **variables: str) -> Python:
        scripts.append(Python("-c", SCRIPT, tmp_path / "run.h5", pause_s, frames, env=environment(**variables)))
        return scripts[-1]

    yield run
    for script in scripts:
        script.close()


def test_there_are_as_many_kills_as_said() -> None:
    """A run kills at least two hundred times."""
    assert KILLS >= 200


@pytest.mark.parametrize("seed", range(RECORDINGS))
def test_the_writer_is_killed_again_and_again(tmp_path: Path, seed: int) -> None:
    """Whenever the writer is killed, a new one takes over, and every frame is in the file once."""
    chance = random.Random(seed)
    index = 0
    with Spool(tmp_path / "run.h5", buffer_bytes=4 << 20, grow_frames=50, timeout_s=LIMIT_S) as spool:
        for kill in range(WRITER_KILLS):
            written, restarts = spool.stats.frames_written, spool.stats.writer_restarts
            # In turn: as soon as a frame is written, at a growth, and at any moment.
            ahead = (1, 50 - written % 50, chance.randrange(1, 120))[kill % 3]
            until = written + ahead
            while spool.stats.frames_written < until:
                spool.put(frame(index))
                index += 1
                time.sleep(0.0005)
            time.sleep(chance.random() * 0.02)
            psutil.Process(spool._client.writer.pid).kill()
            wait_until(lambda before=restarts: spool.stats.writer_restarts > before, "a new writer takes over")
        spool.put(frame(index))
    result = spool.result
    assert (result.frames_written, result.frames_lost, result.state) == (index + 1, 0, "complete")
    assert result.stats.writer_restarts >= WRITER_KILLS
    assert check_pixels(spool.path, index + 1) == index + 1


@pytest.mark.parametrize("seed", range(SCRIPT_KILLS))
def test_the_script_is_killed(start: Callable[[float], Python], tmp_path: Path, seed: int) -> None:
    """The writer empties the ring and closes the file: every frame whose ``put`` had returned is in it."""
    chance = random.Random(1000 + seed)
    script = start(chance.choice([0.0, 0.001]))
    writer = psutil.Process(int(script.line()))
    said = read_frames(script, chance)
    script.kill()
    said += len(script.end().out.split())
    writer.wait(LIMIT_S)
    with mmspool.open(tmp_path / "run.h5") as run:
        assert run.state == "interrupted"
    check_pixels(tmp_path / "run.h5", said)
    assert mmspool.verify(tmp_path / "run.h5").intact


@pytest.mark.parametrize("seed", range(BOTH_KILLS))
def test_both_are_killed(start: Callable[[float], Python], tmp_path: Path, seed: int) -> None:
    """The file opens plainly with every counted frame, and `repair` makes it exact."""
    chance = random.Random(2000 + seed)
    script = start(chance.choice([0.0, 0.001]))
    writer = psutil.Process(int(script.line()))
    read_frames(script, chance)
    for process in chance.sample([script, writer], 2):
        process.kill()
    writer.wait(LIMIT_S)
    script.end()
    counted = check_pixels(tmp_path / "run.h5", 0)
    mmspool.repair(tmp_path / "run.h5")
    assert check_pixels(tmp_path / "run.h5", counted) >= counted
    assert mmspool.verify(tmp_path / "run.h5").intact


@pytest.mark.parametrize(("call", "number"), CALLS)
@pytest.mark.parametrize("whom", ["writer", "script", "both"])
def test_killed_at_a_call(start: Callable[..., Python], tmp_path: Path, whom: str, call: str, number: int) -> None:
    """Before or after whatever call of the writer it is, the same holds as at any other instant."""
    path, claim = tmp_path / "run.h5", tmp_path / "claim"
    claim.touch()
    when = ("before", "after")[number % 2]
    script = start(0.0, FRAMES, **{KILL_AT: f"{call} {number} {when} {whom} {claim}"})
    said = max(0, len(script.end().out.split()) - 1)  # after the writer's id
    wait_until(lambda: not script.rings(), "the writer ends")
    assert Path(f"{claim}.done").exists(), f"the writer makes {call} fewer than {number} times"
    if whom == "writer":
        assert said == FRAMES
        assert check_pixels(path, FRAMES) == FRAMES
    elif whom == "script":
        assert check_pixels(path, said) >= said
    elif said or h5py.is_hdf5(path):  # else it was killed before there was a file
        counted = check_pixels(path, 0)
        mmspool.repair(path)
        assert check_pixels(path, counted) >= counted
    if said:
        assert mmspool.verify(path).intact


def read_frames(script: Any, chance: random.Random) -> int:
    """Read a random number of the script's lines, and wait a moment; return the number."""
    count = chance.randrange(1, 200)
    for _ in range(count):
        assert script.line()
    time.sleep(chance.random() * 0.02)
    return count
