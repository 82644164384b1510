"""A plugin of pytest for Windows: leaves out what ``not_run.toml`` lists, and lets nothing else be skipped.

It is loaded by name (``-p selection``, with this folder on ``PYTHONPATH``), under Wine and on real Windows alike.
"""

import sys
import tomllib
from collections.abc import Generator
from fnmatch import fnmatchcase
from pathlib import Path

import numpy.testing  # noqa: F401 - NumPy 1 starts a process when it is imported, which no quick test may
import pytest

LIST = Path(__file__).with_name("not_run.toml")
LARGEST_SHARE = 0.05
"""The part of the tests that may be left out."""

_WHOLE_SUITE = 1000  # a run of fewer tests was asked for by name, and may be of those that are left out


def reasons() -> dict[str, str]:
    """Return why each file, class or test of the list is left out."""
    listed = tomllib.loads(LIST.read_text(encoding="utf-8"))
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
    items[:] = [item for item in items if item not in left_out]


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


def is_of(node_id: str, name: str) -> bool:
    """Return whether a test is the listed one, one of its parameters, or of the listed class or file."""
    node = node_id.replace("\\", "/").rpartition("tests/")[2]
    return node == name or node.startswith((f"{name}::", f"{name}[")) or fnmatchcase(node, name)
