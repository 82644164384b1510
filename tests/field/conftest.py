"""What the tests of the field share: scripts as users write them, in processes of their own."""

import contextlib
import textwrap
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from support.mounts import Mounts
from support.processes import Python, ended
from support.waiting import wait_until

import mmspool
from mmspool import RecordingError

START = """
import os, signal, sys, threading, time
import numpy as np
from mmspool import Spool
def frame(index):
    return np.full((24, 32), index, "u2")
"""


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., Python]]:
    """Return a function that starts a script in ``tmp_path``, after imports and `frame`."""
    started: list[Python] = []

    def begin(source: str, *arguments: object, name: str = "script.py") -> Python:
        script = tmp_path / name
        script.write_text(START + textwrap.dedent(source), encoding="utf-8")
        started.append(Python(script, *arguments, cwd=tmp_path))
        return started[-1]

    yield begin
    for process in started:
        process.close()


@pytest.fixture
def closed(tmp_path: Path) -> Callable[..., tuple[str, int]]:
    """Return a function that waits until a recording is closed, and checks that its frames are numbered."""

    def look(name: str = "run.h5") -> tuple[str, int]:
        seen: list[tuple[str, int]] = []

        def is_closed() -> bool:
            try:
                with mmspool.open(tmp_path / name) as recording:
                    frames = recording[:, 0, 0].tolist()
                    assert frames == list(range(len(frames)))
                    seen.append((recording.state, len(frames)))
            except RecordingError:
                return False
            return seen[-1][0] != "recording"

        wait_until(is_closed, "the file is closed")
        return seen[-1]

    return look


@pytest.fixture
def gone() -> Callable[[int], None]:
    """Return a function that waits until a process has ended."""
    return lambda pid: wait_until(lambda: ended(pid), f"process {pid} ends")


@pytest.fixture
def mounted(tmp_path: Path) -> Iterator[Mounts]:
    """Return a function that mounts a file system of a kind; what it has mounted is unmounted afterwards."""
    mounts = Mounts(tmp_path)
    with contextlib.closing(mounts):
        yield mounts
