"""A test in whose midst Wine crashes is run once again; one that fails or takes too long is not."""

from pathlib import Path

import pytest
from support.processes import run_python

HERE = Path(__file__).parent

CRASHES = """
import os
from pathlib import Path

def test_crashes():
    times = Path("times")
    times.write_text(times.read_text() + "x" if times.exists() else "x")
    if len(times.read_text()) <= {count}:
        os._exit({code})
"""
"""Ends its process the first times, with a number that Windows takes for 0xC0000005 if it is -1073741819."""

ACCESS_VIOLATION = 0xC0000005 - (1 << 32)


@pytest.mark.parametrize(
    ("count", "code", "passes"), [(1, ACCESS_VIOLATION, True), (2, ACCESS_VIOLATION, False), (1, 1, False)]
)
def test_run_again(tmp_path: Path, count: int, code: int, *, passes: bool) -> None:
    """A crash of access is forgiven once, and named in the summary; another exit code is a failure."""
    (tmp_path / "test_it.py").write_text(CRASHES.format(count=count, code=code), encoding="utf-8")
    (tmp_path / "pytest.ini").touch()
    path = ["-c", f"import sys, pytest; sys.path.insert(0, {str(HERE)!r}); sys.exit(pytest.main(sys.argv[1:]))"]
    run = run_python(*path, "-p", "selection", "-n", "1", "-p", "no:cacheprovider", cwd=tmp_path)
    assert (run.code == 0) == passes, run.out
    assert ("RUN AGAIN, since Wine crashed: test_it.py::test_crashes" in run.out) == (code == ACCESS_VIOLATION)
    assert len((tmp_path / "times").read_text(encoding="utf-8")) == 1 + (code == ACCESS_VIOLATION)
