"""Cores to run the same tests over: simulated ones and Micro-Manager's own."""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pymmcore
import pytest
from support.cores import unload_cores, with_demo_camera

from mmspool.adapters import CoreAdapter, Frame, MockCore, SteppedClock, demo, sequence_tester, wrap

SIDE = 512
"""Height and width of the sensors of all cores but the sequence tester's, pixels."""
WAIT_LIMIT_S = 20.0


@dataclass(frozen=True)
class Rig:
    """A core under test: the core itself, the adapter over it, and how to wait for it."""

    core: Any
    adapter: CoreAdapter

    def wait_until(self, condition: Callable[[], bool]) -> None:
        """Poll the core's own state; the simulated cores' time goes on as they are asked."""
        limit = time.monotonic() + WAIT_LIMIT_S
        while not condition():
            assert time.monotonic() < limit, "the core did not get there in time"

    def wait_for_frames(self, count: int) -> None:
        """Wait until so many frames are in the core's buffer."""
        self.wait_until(lambda: self.adapter.remaining() >= count)

    def wait_for_end(self) -> None:
        """Wait until the sequence is over."""
        self.wait_until(lambda: not self.adapter.is_sequence_running())

    def sequence(self, frames: int) -> None:
        """Run a whole sequence into the buffer."""
        self.core.start_sequence_acquisition(frames, 0.0, True)
        self.wait_for_end()

    def drain(self) -> list[Frame]:
        """Pop all frames that wait."""
        frames = []
        while (frame := self.adapter.pop()) is not None:
            frames.append(frame)
        return frames

    def image_numbers(self) -> list[int]:
        """Pop all frames that wait, and return their image numbers."""
        return [frame.image_number for frame in self.drain()]


def _mock(backend: str) -> Rig:
    core = MockCore(backend, width=SIDE, height=SIDE, clock=SteppedClock(tick_s=0.001))
    return Rig(core, wrap(core))


def _real(adapter: CoreAdapter) -> Rig:
    return Rig(adapter._core, adapter)


def _camel_case(core: Any) -> Rig:
    return _real(wrap(with_demo_camera(core, SIDE)))


def _core_plus() -> Rig:
    return _camel_case(pytest.importorskip("pymmcore_plus", reason="needs the extra plus").CMMCorePlus())


_MAKERS: dict[str, Callable[[], Rig]] = {
    "mock-python": lambda: _mock("python"),
    "mock-java": lambda: _mock("java"),
    "demo": lambda: _real(demo(width=SIDE, height=SIDE, buffer_mb=64)),
    "pymmcore": lambda: _camel_case(pymmcore.CMMCore()),
    "pymmcore-plus": _core_plus,
    "sequence-tester": lambda: _real(sequence_tester(width=64, height=32, buffer_mb=64)),
}


@pytest.fixture
def rig(request: pytest.FixtureRequest) -> Iterator[Rig]:
    """Make the core that the test class or test names with `parametrize(..., indirect=True)`."""
    rig = _MAKERS[request.param]()
    yield rig
    rig.adapter.close()
    unload_cores()
