"""Paths as users give them, and names that Windows cannot keep."""

from pathlib import Path

import pytest

from mmspool.persistence.system.paths import absolute, extended, objection_to, readable, recording_path

LONG = "\\" + "x" * 250


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("C:\\data\\run.h5", "C:\\data\\run.h5"),
        ("\\\\server\\share\\run.h5", "\\\\server\\share\\run.h5"),
        ("C:" + LONG, "\\\\?\\C:" + LONG),
        ("\\\\server\\share" + LONG, "\\\\?\\UNC\\server\\share" + LONG),
        ("\\\\?\\C:" + LONG, "\\\\?\\C:" + LONG),
        ("\\\\.\\pipe" + LONG, "\\\\.\\pipe" + LONG),
    ],
)
def test_long_paths_of_windows_are_extended(path: str, expected: str) -> None:
    """A path that comes near 260 characters gets the prefix with which Windows takes it; others stay as they are."""
    assert extended(path) == expected


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("NUL", "NUL is a device"),
        ("con.h5", "CON is a device"),
        ("Aux .tar.gz", "AUX is a device"),
        ("COM1.h5", "COM1 is a device"),
        ("lpt³", "LPT³ is a device"),
        ("CONOUT$", "CONOUT$ is a device"),
        ("run.h5.", "drops the dot"),
        ("run.h5 ", "drops the space"),
        ("run.h5:stream", "allows no ':'"),
        ("what?.h5", "allows no '?'"),
        ("a\tb.h5", r"allows no '\t'"),
    ],
)
def test_names_that_windows_does_not_keep(name: str, said: str) -> None:
    """Devices, forbidden signs and an end that Windows would drop are named in a sentence."""
    assert said in objection_to(name)


@pytest.mark.parametrize(
    "name",
    ["run.h5", "console.h5", "com.h5", "COM10.h5", "nul_1.h5", "auxiliary", ".hidden", " a.h5", "細胞 µm [1].h5", ".."],
)
def test_names_that_windows_keeps(name: str) -> None:
    """Names that only look like the others are fine."""
    assert objection_to(name) == ""


def test_a_path_stays_when_the_script_goes_elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A relative path means the folder that was the current one; a path to read is shown as it was given."""
    monkeypatch.chdir(tmp_path)
    path = absolute("run.h5")
    assert readable("run.h5") == Path("run.h5")
    monkeypatch.chdir(tmp_path.parent)
    assert path == tmp_path / "run.h5"


def test_other_systems_keep_every_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """On Linux and macOS a path is not resolved, and no name is refused."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "link").symlink_to(tmp_path.parent)
    assert recording_path("link/../CON.h5 ") == tmp_path / "link" / ".." / "CON.h5 "
