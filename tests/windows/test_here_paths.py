"""Paths as Windows has them."""

from pathlib import Path

import numpy as np
import pytest

import mmspool
from mmspool import MmspoolError, Spool

pytestmark = pytest.mark.process


def record(path: str | Path) -> None:
    """Record a frame and read it back."""
    with Spool(path, buffer_bytes=4 << 20) as spool:
        spool.put(np.full((8, 8), 7, np.uint16))
    with mmspool.open(path) as run:
        assert run[0].tolist() == [[7] * 8] * 8


def test_any_script(tmp_path: Path) -> None:
    """A name in any script, with signs that Linux would not mind either."""
    record(tmp_path / "Zellen µm 細胞 🔬 [1] & 100 %.h5")


def test_longer_than_260(tmp_path: Path) -> None:
    """A path of more than 260 characters, in the form that Windows has for it."""
    folder = Path("\\\\?\\" + str(tmp_path))
    for _ in range(3):
        folder /= "x" * 100
    folder.mkdir(parents=True)
    record(folder / "run.h5")


def test_relative_to_the_drive(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A path without a drive is on the current one, and stays there when the script goes elsewhere."""
    monkeypatch.chdir(tmp_path)
    rooted = str(tmp_path)[2:]
    spool = Spool(f"{rooted}\\run.h5", buffer_bytes=4 << 20)
    monkeypatch.chdir("C:\\")
    spool.put(np.zeros((8, 8), np.uint16))
    spool.close()
    assert (tmp_path / "run.h5").exists()
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize("name", ["a<b.h5", "a:b?.h5", "a|b.h5"])
def test_signs_that_no_name_may_have(tmp_path: Path, name: str) -> None:
    """A name that Windows refuses is an error of the package that has the path."""
    with pytest.raises(MmspoolError, match="a"):
        Spool(tmp_path / name, buffer_bytes=4 << 20, shape=(8, 8), dtype="u2")
