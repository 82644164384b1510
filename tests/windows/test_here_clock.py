"""The clock of a recording tells frames apart that are a fraction of a millisecond apart."""

import subprocess
import sys

import pytest
from support.paths import environment

from mmspool.persistence.system.clock import steady_ns

pytestmark = pytest.mark.process


def test_it_moves_in_small_steps() -> None:
    """Of a hundred steps half are below 0.1 ms; Windows' own monotonic clock moves by 16 ms."""
    steps: list[int] = []
    last = steady_ns()
    while len(steps) < 100:
        now = steady_ns()
        if now != last:
            steps.append(now - last)
        last = now
    assert min(steps) > 0
    assert sorted(steps)[50] < 100_000


def test_processes_have_the_same_clock() -> None:
    """What another process reads lies between two readings of this one."""
    script = "from mmspool.persistence.system.clock import steady_ns; print(steady_ns())"
    before = steady_ns()
    there = subprocess.run([sys.executable, "-c", script], env=environment(), capture_output=True, check=True)
    assert before < int(there.stdout) < steady_ns()
