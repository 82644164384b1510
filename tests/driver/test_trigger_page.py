"""The page on triggers: its lines run as they stand, one after the other."""

import re
from pathlib import Path

import pytest

import mmspool
from mmspool.driver.families import check_dump, family_of

DOCS = Path(__file__).parents[2] / "docs"


def blocks(page):
    """Return the Python blocks of a page."""
    return re.findall(r"^```python\n(.*?)^```", page.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)


@pytest.mark.usefixtures("processes")
def test_runs(tmp_path, monkeypatch, capsys):
    """Every block runs on the simulated camera that the page begins with, and makes the files that it names."""
    monkeypatch.chdir(tmp_path)
    names = {}
    try:
        for block in blocks(DOCS / "how-to" / "triggers.md"):
            exec(compile(block, "triggers.md", "exec"), names)
    finally:
        names["camera"].close()
    files = {path.name for path in tmp_path.glob("*.h5")}
    assert files == {"edge.h5", "armed.h5", "bursts.h5", "marked.h5", "lapse.h5"}
    with mmspool.open(tmp_path / "bursts.h5") as recording:
        assert len(recording) == 20
    assert "us from line to line" in capsys.readouterr().out


def test_check_of_a_dump(mock):
    """The check that the page on cameras shows finds a table that fits its camera, and one that does not."""
    dump = mock(family="hamamatsu").properties.dump()
    assert not [line for line in check_dump(family_of("HamamatsuHam"), dump) if line.startswith(("trigger", "output"))]
    dump["TRIGGER ACTIVE"]["allowed"] = ["EDGE"]
    lines = check_dump(family_of("HamamatsuHam"), dump)
    assert "trigger.mode = level: none of EDGE of TRIGGER ACTIVE is LEVEL" in lines
