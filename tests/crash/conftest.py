"""What the crash tests request: strace, and a producer to disturb."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from crash.harness import Plan, Producer
from support.strace import need_strace


@pytest.fixture(scope="session")
def strace() -> str:
    """Return where strace is; without it the test fails."""
    return need_strace()


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., Producer]]:
    """Return a function that starts a producer, which records to run.h5 by default."""
    started: list[Producer] = []

    def begin(frames: int = 200, *, environment: dict[str, str] | None = None, **changes: Any) -> Producer:
        plan = Plan(**{"path": str(tmp_path / "run.h5"), "frames": frames, **changes})
        started.append(Producer(plan, **environment or {}))
        return started[-1]

    yield begin
    for producer in started:
        producer.close()
