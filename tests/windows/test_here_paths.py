"""Paths as Windows has them."""

import ctypes
import os
import shutil
import string
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

import mmspool
from mmspool import MmspoolError, Spool, StorageError
from mmspool.persistence import compress

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


@pytest.fixture
def share(tmp_path: Path) -> Iterator[Path]:
    """Return a folder by its network path: one that Wine has for a folder of its own, or Windows' for a drive."""
    if not hasattr(ctypes.windll.ntdll, "wine_get_version"):
        yield Path(f"\\\\localhost\\{tmp_path.drive[0]}$", *tmp_path.parts[1:])
        return
    server = Path(f"\\\\?\\unix{os.environ['WINEPREFIX']}/dosdevices/unc/mmspool-{os.getpid()}")
    (server / "data").mkdir(parents=True)
    yield Path(f"\\\\{server.name}\\data\\")
    shutil.rmtree(server)


def test_a_network_path(share: Path) -> None:
    """A file on another computer's share is recorded, read and repaired by its network path."""
    path = share / "run.h5"
    assert path.drive.startswith("\\\\")
    record(path)
    assert mmspool.verify(path).intact
    assert not mmspool.repair(path).needed
    with pytest.raises(StorageError, match="exists"):
        Spool(path)


@pytest.mark.parametrize("prefix", ["", "\\\\?\\"], ids=["as it is", "extended"])
def test_longer_than_260(tmp_path: Path, prefix: str) -> None:
    """A path of more than 260 characters is recorded, read, verified, repaired and compressed, as any other."""
    folder = Path("\\\\?\\" + str(tmp_path), *["x" * 100] * 3)
    folder.mkdir(parents=True)
    path = Path(prefix + str(folder)[4:]) / "run.h5"
    record(path)
    with mmspool.open(path) as run:
        assert str(run.path).startswith("\\\\?\\"), "Wine takes long paths as they are, Windows does not"
    assert mmspool.verify(path).intact
    assert not mmspool.repair(path).needed
    compress(path)
    assert mmspool.verify(path).intact


@pytest.fixture
def other_drive(tmp_path: Path) -> str:
    """Return a folder on another drive than the temporary ones; where there is no other drive, the temporary one."""
    drives = (f"{letter}:\\" for letter in string.ascii_uppercase[2:] if letter != tmp_path.drive[0].upper())
    return next((drive for drive in drives if Path(drive).is_dir()), str(tmp_path))


def test_relative_to_another_drive_s_folder(tmp_path: Path, other_drive: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A path like ``Z:run.h5`` means that drive's current folder, and stays there when the script goes elsewhere."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.chdir(other_drive)
    spool = Spool(f"{tmp_path.drive}run.h5", buffer_bytes=4 << 20)
    monkeypatch.chdir(tmp_path.drive + "\\")
    spool.put(np.zeros((8, 8), np.uint16))
    spool.close()
    monkeypatch.chdir(tmp_path)
    assert spool.path == tmp_path / "run.h5"
    assert (tmp_path / "run.h5").exists()


def test_relative_to_the_drive(tmp_path: Path, other_drive: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A path without a drive is on the current one, and stays there when the script goes elsewhere."""
    monkeypatch.chdir(tmp_path)
    rooted = str(tmp_path)[2:]
    spool = Spool(f"{rooted}\\run.h5", buffer_bytes=4 << 20)
    monkeypatch.chdir(other_drive)
    spool.put(np.zeros((8, 8), np.uint16))
    spool.close()
    assert (tmp_path / "run.h5").exists()
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize("name", ["a<b.h5", "a:b?.h5", "a|b.h5", "run.h5:stream"])
def test_signs_that_no_name_may_have(tmp_path: Path, name: str) -> None:
    """A name that Windows refuses, or takes for a part of another file, is an error that names the sign."""
    with pytest.raises(MmspoolError, match="Windows allows no"):
        Spool(tmp_path / name, buffer_bytes=4 << 20, shape=(8, 8), dtype="u2")


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("NUL", "NUL is a device"),
        ("CON.h5", "CON is a device"),
        ("com1.h5", "COM1 is a device"),
        ("run.h5.", "drops the dot"),
        ("run.h5 ", "drops the space"),
    ],
)
def test_names_that_windows_has_for_itself(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, said: str
) -> None:
    """A device's name, and one that Windows would change, is refused with a sentence, with or without a folder."""
    monkeypatch.chdir(tmp_path)
    for path in (name, tmp_path / name):
        with pytest.raises(StorageError, match=f"{said}.*: choose another name"):
            Spool(path, buffer_bytes=4 << 20)
    assert list(tmp_path.iterdir()) == []
