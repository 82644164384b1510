"""What every test gets: a look at what it leaves behind, and a way to wait without sleeping blindly."""

import gc
import multiprocessing
import os
import signal
import time
from collections.abc import Callable, Generator, Iterator
from pathlib import Path

import psutil
import pytest
from hypothesis import HealthCheck, settings

LIMIT_S = 20.0
"""How long a test waits for what must come; a loaded machine needs some of it, no machine all of it."""

LEFT_LIMIT_S = 5.0
"""How long processes may take to end after a test."""

_SHM = Path("/dev/shm")
_UNMEASURED = {"crash", "fuzz", "powercut"}
_OPEN_FILES = Path("/proc/self/fd")

settings.register_profile(
    "ci", deadline=None, derandomize=True, database=None, max_examples=50, suppress_health_check=[HealthCheck.too_slow]
)
settings.register_profile("deep", parent=settings.get_profile("ci"), derandomize=False, max_examples=1000)
settings.load_profile("ci")  # pytest --hypothesis-profile=deep looks further

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # as a shell starts what runs in its background
    signal.signal(signal.SIGINT, signal.default_int_handler)

_raised = pytest.StashKey[bool]()

WaitUntil = Callable[[Callable[[], bool]], None]


def _wait_until(condition: Callable[[], bool]) -> None:
    limit = time.monotonic() + LIMIT_S
    while not condition():
        assert time.monotonic() < limit, f"it did not happen within {LIMIT_S:g} s"
        time.sleep(0.002)


@pytest.fixture(scope="session")
def wait_until() -> WaitUntil:
    """Return a function that polls a condition until it holds, and fails the test when it does not in time."""
    return _wait_until


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Remember whether the test itself raised."""
    if call.when == "call":
        item.stash[_raised] = call.excinfo is not None
    return (yield)


@pytest.fixture(autouse=True)
def measured_where_it_pays(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave the processes out of coverage that are killed, traced or fuzzed: they are many, and cover little more."""
    if _UNMEASURED & set(request.path.parts):
        for name in [name for name in os.environ if name.startswith("COVERAGE_")]:
            monkeypatch.delenv(name)


@pytest.fixture(autouse=True)
def leaves_nothing(request: pytest.FixtureRequest) -> Iterator[None]:
    """Fail a test that leaves a process, a block of shared memory or an open file behind."""
    folder = request.getfixturevalue("tmp_path") if "tmp_path" in request.fixturenames else None
    before = _left(folder, set())
    yield
    if request.node.stash.get(_raised, True):
        return  # the traceback keeps what the test had
    left = _left(folder, before)
    limit = time.monotonic() + LEFT_LIMIT_S
    while left and time.monotonic() < limit:  # what ends by itself may take a moment
        gc.collect()
        time.sleep(0.01)
        left = _left(folder, before)
    assert not left, f"the test left behind {sorted(left)}"


def _left(folder: Path | None, known: set[str]) -> set[str]:
    found = {f"process {process.pid}" for process in _children()}
    if folder and _OPEN_FILES.is_dir():
        found |= {f"open {place}" for place in _open_files() if place.startswith(str(folder))}
    if _SHM.is_dir():
        found |= {str(block) for block in _SHM.glob(f"mmspool-{os.getpid()}-*")}
    return found - known


def _children() -> list[psutil.Process]:
    """Return the child processes, without multiprocessing's resource tracker, which lives as long as the tests."""
    multiprocessing.active_children()  # fetches the exit codes of those that ended
    children = []
    for process in psutil.Process().children(recursive=True):
        try:
            ended = process.status() == psutil.STATUS_ZOMBIE
            if ended or not any("resource_tracker" in word for word in process.cmdline()):
                children.append(process)
        except psutil.Error:  # it ended meanwhile
            continue
    return children


def _open_files() -> Iterator[str]:
    for descriptor in list(_OPEN_FILES.iterdir()):
        try:
            yield str(descriptor.readlink())
        except OSError:  # the one that lists them
            continue
