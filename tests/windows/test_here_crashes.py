"""What Wine fails in is done once again: a test in whose midst it crashes, a process that it does not start."""

from pathlib import Path

import pytest
from sitecustomize import start_again
from support.paths import environment
from support.processes import run_python

HERE = Path(__file__).parent
ACCESS_VIOLATION = 0xC0000005 - (1 << 32)

CRASHES = f"""
import os
from pathlib import Path

import pytest

@pytest.mark.parametrize(
    ("count", "code"),
    [(1, {ACCESS_VIOLATION}), (2, {ACCESS_VIOLATION}), (1, 1)],
    ids=["once", "twice", "another code"],
)
def test_crashes(request, count, code):
    times = Path(request.node.callspec.id)
    times.write_text(times.read_text() + "x" if times.exists() else "x")
    if len(times.read_text()) <= count:
        os._exit(code)
"""
"""Ends its process the first times, with a number that Windows takes for 0xC0000005 if it is -1073741819."""


def test_run_again(tmp_path: Path) -> None:
    """A crash of access is forgiven once, and named in the summary; a second one, or another exit code, fails."""
    (tmp_path / "test_it.py").write_text(CRASHES, encoding="utf-8")
    (tmp_path / "pytest.ini").touch()
    path = ["-c", f"import sys, pytest; sys.path.insert(0, {str(HERE)!r}); sys.exit(pytest.main(sys.argv[1:]))"]
    plugins = ["-p", "selection", "-p", "xdist.plugin", "-p", "no:cacheprovider"]
    alone = environment(PYTEST_DISABLE_PLUGIN_AUTOLOAD="1")
    run = run_python(*path, *plugins, "-n", "1", cwd=tmp_path, env=alone)
    assert run.code == 1, run.out
    assert all(each in run.out for each in ("2 failed", "1 passed", "2 rerun")), run.out
    assert "RUN AGAIN, since Wine crashed: test_it.py::test_crashes[once]" in run.out
    assert "RUN AGAIN, since Wine crashed: test_it.py::test_crashes[twice]" in run.out
    assert "FAILED test_it.py::test_crashes[once]" not in run.out
    times = {name: len((tmp_path / name).read_text(encoding="utf-8")) for name in ("once", "twice", "another code")}
    assert times == {"once": 2, "twice": 2, "another code": 1}


def test_start_again(tmp_path: Path) -> None:
    """A process that Wine does not start is started once more, and noted; any other failure is raised."""
    note, failures = tmp_path / "note.txt", list[int]()

    def create(program: str, command: str) -> str:
        if failures:
            raise OSError(None, "refused", program, failures.pop(0))
        return command

    start = start_again(create, note, pauses_s=(0.0,))
    assert start("python.exe", "good") == "good"
    assert not note.exists()
    failures[:] = [1359]
    assert start("python.exe", "once") == "once"
    assert note.read_text(encoding="utf-8") == "STARTED AGAIN, since Wine failed: once\n"
    for failures[:], winerror in (([1359, 1359], 1359), ([5], 5)):
        with pytest.raises(OSError, match="refused") as caught:
            start("python.exe", "twice")
        assert caught.value.winerror == winerror
