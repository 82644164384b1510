"""The crash tests need strace, and find `lab` beside them."""

import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from lab import Plan, Producer, need_strace


@pytest.fixture(scope="session")
def strace() -> str:
    """Return where strace is; without it the test fails."""
    return need_strace()


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., Producer]]:
    """Return a function that starts a producer, which records to run.h5 unless told otherwise."""
    started: list[Producer] = []

    def begin(frames: int = 200, *, environment: dict[str, str] | None = None, **changes: Any) -> Producer:
        plan = Plan(**{"path": str(tmp_path / "run.h5"), "frames": frames, **changes})
        started.append(Producer(plan, environment))
        return started[-1]

    yield begin
    for producer in started:
        producer.close()
