"""A plugin of pytest for Windows and macOS: leaves out what the system's list has, and lets nothing else be skipped.

It is loaded by name (``-p selection``, with this folder on ``PYTHONPATH``), under Wine and on real Windows alike.
"""

import subprocess
import sys
import tomllib
from collections.abc import Generator
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import numpy.testing  # noqa: F401 - NumPy 1 starts a process when it is imported, which no quick test may
import pytest

LISTS = {"win32": Path(__file__).with_name("not_run.toml"), "darwin": Path(__file__).with_name("not_run_macos.toml")}
LIST = LISTS.get(sys.platform, LISTS["win32"])
LARGEST_SHARE = 0.05
"""The part of the tests that may be left out."""

_ACCESS_VIOLATION = 0xC0000005
_EXIT_S = 10.0  # for a process whose connection is closed to end

_WHOLE_SUITE = 1000  # a run of fewer tests was asked for by name, and may be of those that are left out

_run_again: list[str] = []


def reasons(path: Path = LIST) -> dict[str, str]:
    """Return why each file, class or test of a list is left out."""
    listed = tomllib.loads(path.read_text(encoding="utf-8"))
    return {name: reason for reason, names in listed.items() for name in names}


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out what is listed."""
    listed = reasons()
    left_out = [item for item in items if any(is_of(item.nodeid, name) for name in listed)]
    if len(items) >= _WHOLE_SUITE and len(left_out) > LARGEST_SHARE * len(items):
        complaint = f"{len(left_out)} of {len(items)} tests are left out, more than {LARGEST_SHARE:.0%}"
        sys.stderr.write(f"{complaint}\n")  # a process of pytest-xdist could only say that it crashed
        raise pytest.UsageError(complaint)
    config.hook.pytest_deselected(items=left_out)
    left_out_ids = {item.nodeid for item in left_out}
    items[:] = [item for item in items if item.nodeid not in left_out_ids]


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report(
    collector: pytest.Collector,
) -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    """Fail a module that skips itself, unless it is listed."""
    report = yield
    if report.skipped and not any(is_of(collector.nodeid, name) for name in reasons()):
        report.outcome = "failed"
        report.longrepr = f"skipped, and not listed in {LIST.name}: {report.longrepr}"
    return report


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Fail a test that skips itself: what is not run has to be listed."""
    report = yield
    if report.skipped and not hasattr(report, "wasxfail"):
        report.outcome = "failed"
        report.longrepr = f"skipped, and not listed in {LIST.name}: {report.longrepr}"
    return report


@pytest.hookimpl(optionalhook=True)
def pytest_handlecrashitem(crashitem: str, report: pytest.TestReport, sched: Any) -> None:
    """Run a test once again when Wine ended the test process in its midst with an access violation, and say so.

    Wine 8 does that now and then on a busy machine. A test that fails, or takes too long, is not run again.
    """
    process = report.node.gateway._io.popen
    try:
        code = process.wait(_EXIT_S)
    except subprocess.TimeoutExpired:
        process.kill()
        report.longrepr = f"{report.longrepr}: it did not end within {_EXIT_S:g} s"
        return
    report.longrepr = f"{report.longrepr}: exit code {code:#x}"
    if code == _ACCESS_VIOLATION and crashitem not in _run_again:
        _run_again.append(crashitem)
        sched.mark_test_pending(crashitem)
        report.outcome = "rerun"


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """Name the tests that were run again."""
    for test in _run_again:
        terminalreporter.write_line(f"RUN AGAIN, since Wine crashed: {test}")


def is_of(node_id: str, name: str) -> bool:
    """Return whether a test is the listed one, one of its parameters, or of the listed class, file or folder."""
    node = node_id.replace("\\", "/").rpartition("tests/")[2]
    return node == name or node.startswith((f"{name}::", f"{name}[", f"{name}/")) or fnmatchcase(node, name)
