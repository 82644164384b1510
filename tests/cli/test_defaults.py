"""A lab's defaults, the log, and the command's own help."""

import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import Result

from mmspool.cli import defaults, main

Run = Callable[..., Result]


@pytest.fixture
def lab(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return where the defaults are read from: a folder of the test's own, in which the command runs."""
    monkeypatch.delenv(defaults.VARIABLE, raising=False)
    monkeypatch.chdir(tmp_path)
    return tmp_path / defaults.NAME


@pytest.mark.usefixtures("processes")
def test_are_used(record: Run, lab: Path, tmp_path: Path) -> None:
    """An option that is not typed has the value of the file."""
    lab.write_text("[record]\nframes = 7\nexposure = 5\njson = true\n")
    result = record()
    assert json.loads(result.stdout)["frames_written"] == 7
    lab.write_text("[record]\nframes = 7\n")
    result = record("--frames", 9, "--overwrite")
    assert "9 of 9" in result.stdout


def test_named_by_the_environment(run: Run, lab: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The file that the variable names goes before the one in the current folder, and has to exist."""
    lab.write_text("[nonsense]\n")
    named = tmp_path / "other.toml"
    monkeypatch.setenv(defaults.VARIABLE, str(named))
    assert "which is not a file" in run("info", "x.h5").stderr
    named.write_text("")
    assert run("info", "x.h5").exit_code == 1


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[recrod]\nframes = 1\n", "'recrod' is not a command; it has tables for preflight, record"),
        ("[record]\nframe = 1\n", "record has no option 'frame'; it has "),
        ("frames = 1\n", "'frames' is not a command"),
        ("[record\n", "cannot be read as TOML"),
        ("[record]\nframes = 'many'\n", "'many' is not a valid integer range"),
    ],
)
def test_mistakes(run: Run, lab: Path, text: str, message: str) -> None:
    """A name that does not exist, or a value that cannot be, is refused with what there is."""
    lab.write_text(text)
    result = run("record", "x.h5", "--mock")
    assert result.exit_code == 2
    assert message in result.stderr


def test_users_own_folder(lab: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a file in the current folder the user's own is read."""
    monkeypatch.setattr(defaults, "_user_folder", lambda: tmp_path / "home")
    assert defaults.find() is None
    (tmp_path / "home").mkdir()
    (tmp_path / "home" / defaults.NAME).write_text("")
    assert defaults.find() == tmp_path / "home" / defaults.NAME


def test_log(run: Run, lab: Path, tmp_path: Path) -> None:
    """The log begins with versions, system and command."""
    run("--log", tmp_path / "log.txt", "info", "none.h5")
    text = (tmp_path / "log.txt").read_text(encoding="utf-8")
    for word in ("mmspool ", "Python ", "h5py ", "command: "):
        assert word in text
    assert run("--log", tmp_path / "no" / "log.txt", "info", "none.h5").exit_code == 2


def test_help_lists_every_command(run: Run, lab: Path) -> None:
    """The help has each command in a section, and the examples line by line."""
    text = run("--help").stdout
    assert [name for name in main.commands if f"\n  {name} " not in text] == []
    assert "\n    mmspool record run.h5 --demo --frames 1000\n" in text
    assert "..." not in text.partition("\nRecord:")[2], "a description that does not fit in 80 columns"


@pytest.mark.parametrize("name", sorted(main.commands))
def test_help_of_each_command(run: Run, lab: Path, name: str) -> None:
    """The help of a command has examples and exit codes, and no type in it is a name of ours."""
    text = run(name, "--help").stdout
    assert f"\n    mmspool {name} " in text
    assert "\n  Exit codes: 0 " in text
    assert not re.search(r"--\S+ _", text)
