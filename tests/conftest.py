"""What every test gets: its markers, a look at what it leaves behind, and a way to wait without sleeping blindly."""

import gc
import multiprocessing
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Generator, Iterator
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import NoReturn
from unittest.mock import patch

import h5py  # noqa: F401 - starts uname when it is imported, which is not to be in a quick test
import pytest
from hypothesis import HealthCheck, settings
from hypothesis.database import DirectoryBasedExampleDatabase
from support.depth import DEEP
from support.paths import PROJECT, SHM, TESTS
from support.processes import children, command_line, links
from support.waiting import wait_until as _wait_until

LEFT_LIMIT_S = 30.0
"""How long processes may take to end after a test."""

TORTURE = {"crash", "fuzz", "powercut", "stateful"}
"""Folders whose tests kill, trace and damage; they run apart (``tox -e torture``)."""

PROCESS = {"acquisitions", "benchmarks", "examples", "field", "java", "look", "mda", "notebook", "roads", "windows"}
"""Folders whose tests start processes, all of them."""

collect_ignore = [] if sys.platform == "linux" else sorted((TORTURE | PROCESS) - {"examples", "windows"})
"""Folders that trace, limit, mount or signal as Linux does: their modules cannot even be imported everywhere."""


settings.register_profile(
    "ci",
    deadline=None,
    max_examples=50,
    print_blob=True,  # @reproduce_failure(...) repeats a failure of another machine
    database=DirectoryBasedExampleDatabase(PROJECT / ".hypothesis" / "examples"),  # the next run begins with failures
    suppress_health_check=[HealthCheck.too_slow],
)
settings.register_profile("deep", parent=settings.get_profile("ci"), max_examples=1000)
settings.load_profile("deep" if DEEP else "ci")

for _name in ("SIGINT", "SIGQUIT", "SIGHUP"):  # Windows has only the first
    _number = getattr(signal, _name, None)
    # A shell, or nohup, starts what runs in the background with these ignored.
    if _number is not None and signal.getsignal(_number) is signal.SIG_IGN:
        signal.signal(_number, signal.default_int_handler if _name == "SIGINT" else signal.SIG_DFL)

_raised = pytest.StashKey[bool]()

WaitUntil = Callable[[Callable[[], bool]], None]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark tests by their folder, and as ``process`` by the fixture `processes` too, on which others build."""
    for item in items:
        folders = set(item.path.relative_to(TESTS).parts)
        if folders & TORTURE:
            item.add_marker("torture")
        if folders & PROCESS or "processes" in getattr(item, "fixturenames", ()):
            item.add_marker("process")


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Show how many seconds each folder took, those of all workers added."""
    spent: Counter[str] = Counter()
    for reports in terminalreporter.stats.values():
        for report in reports:
            if isinstance(report, pytest.TestReport):
                spent[(*Path(report.nodeid.partition("::")[0]).parts[1:-1], "")[0]] += report.duration
    if spent:
        shown = ", ".join(f"{folder or 'tests'} {seconds:.0f}" for folder, seconds in spent.most_common())
        terminalreporter.write_line(f"seconds by folder: {shown}")


@pytest.fixture(scope="session")
def processes() -> None:
    """Allow a test to start processes; every fixture that starts one, or whose function does, requests this one."""


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, object, object]:
    """Fail a test that starts a process without the fixture `processes`: the quick tests start none."""
    if _starts_processes(item):
        return (yield)

    def refuse(*_: object, **__: object) -> NoReturn:
        pytest.fail("a test that starts a process needs the fixture `processes`, or one that builds on it")

    with patch.object(BaseProcess, "start", refuse), patch.object(subprocess.Popen, "__init__", refuse):
        return (yield)


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


_UNMEASURED = ("test_process.py", "test_public.py", "test_interrupts.py", "test_producer_dies.py")


@pytest.fixture(autouse=True)
def measured_where_it_pays(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave the processes out of coverage that are killed, traced or fuzzed: they are many, and cover little more.

    Nor are those measured whose signals, handlers, exit or modules are tested: coverage has its own.
    """
    told = request.path.parent.name == "field" or request.path.name in _UNMEASURED
    if told or request.node.get_closest_marker("torture"):
        for name in [name for name in os.environ if name.startswith("COVERAGE_")]:
            monkeypatch.delenv(name)


@pytest.fixture(autouse=True)
def leaves_nothing(request: pytest.FixtureRequest) -> Iterator[None]:
    """Fail a test that leaves a process, a block of shared memory or an open file behind."""
    folder = request.getfixturevalue("tmp_path") if "tmp_path" in request.fixturenames else None
    # On Windows a look at the processes takes tens of milliseconds, and other tests cannot start any.
    starts = sys.platform != "win32" or _starts_processes(request.node)
    before = _left(folder, set(), starts=starts)
    yield
    if request.node.stash.get(_raised, True):
        return  # the traceback keeps what the test had
    left = _left(folder, before, starts=starts)
    limit = time.monotonic() + LEFT_LIMIT_S
    while left and time.monotonic() < limit:  # what ends by itself may take a moment
        gc.collect()
        time.sleep(0.01)
        left = _left(folder, before, starts=starts)
    assert not left, f"the test left behind {sorted(left)}"


def _starts_processes(item: pytest.Item) -> bool:
    return item.get_closest_marker("process") is not None or item.get_closest_marker("torture") is not None


def _left(folder: Path | None, known: set[str], *, starts: bool) -> set[str]:
    multiprocessing.active_children()  # fetches the exit codes of those that ended
    found = set()
    if starts:  # the resource tracker lives as long as this process
        found = {f"process {pid}" for pid in children() if "resource_tracker" not in command_line(pid)}
    if folder:
        places = map(str, links("self", "fd"))
        found |= {f"open {place}" for place in places if place.startswith((str(folder), "/memfd:mmspool"))}
    if SHM.is_dir():
        found |= {str(block) for block in SHM.glob(f"mmspool-{os.getpid()}-*")}
    return found - known
