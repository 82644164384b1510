"""Whatever a file holds: a right answer or a plain refusal; no traceback, no hang, no crash."""

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest
from click.testing import CliRunner
from fuzz.mutants import fuzz
from fuzz.samples import make
from support.depth import SEED, deep

import mmspool
from mmspool import RecordingError
from mmspool.cli import main
from mmspool.persistence import repair, verify
from mmspool.persistence.hdf5_file.nexus_schema import COLUMN_PATHS, COUNTERS, DATA, LEDGER

MUTANTS = deep(2000, 50_000)


def test_mutants() -> None:
    """Damaged recordings are answered for rightly or refused, whatever the damage."""
    outcome = fuzz(MUTANTS, SEED)
    assert not outcome.failures, "\n".join([f"seed {SEED}", *outcome.failures[:10]])
    assert outcome.mutants == MUTANTS
    assert min(outcome.exits[name] for name in ("info 0", "info 1", "verify 1", "repair 0", "repair 1")) > MUTANTS // 20


def _folder(path: Path) -> None:
    path.mkdir()


def _sparse(path: Path) -> None:
    path.touch()
    os.truncate(path, 1 << 42)


def _image_of_itself(path: Path) -> None:
    path.symlink_to(path)


def _plain(path: Path) -> None:
    with h5py.File(path, "w") as file:
        file["data"] = np.zeros((3, 4, 5))


def _same_names(path: Path) -> None:
    with h5py.File(path, "w") as file:
        for name in (*(f"{LEDGER}/{counter}" for counter in COUNTERS), *COLUMN_PATHS.values(), DATA):
            file[name] = "text"


def _no_space(path: Path) -> None:
    with h5py.File(path, "w") as file:
        for name in (DATA, *COLUMN_PATHS.values(), *(f"{LEDGER}/{counter}" for counter in COUNTERS)):
            file[name] = h5py.Empty("f4")


OTHER_FILES: dict[str, Callable[[Path], object]] = {
    "nothing there": lambda _path: None,
    "empty": Path.touch,
    "folder": _folder,
    "pipe": os.mkfifo,
    "sparse": _sparse,
    "link to itself": _image_of_itself,
    "text": lambda path: path.write_text("frames: 3\n" * 1000, encoding="ascii"),
    "noise": lambda path: path.write_bytes(np.random.default_rng(SEED).bytes(1 << 20)),
    "signature": lambda path: path.write_bytes(b"\x89HDF\r\n\x1a\n"),
    "plain HDF5": _plain,
    "the same names": _same_names,
    "empty datasets": _no_space,
}


@pytest.mark.parametrize("kind", OTHER_FILES)
def test_other_files_are_refused(kind: str, tmp_path: Path) -> None:
    """What is not a recording is refused, by name, in one line, and is not changed."""
    path = tmp_path / "other.h5"
    OTHER_FILES[kind](path)
    size = path.stat().st_size if path.exists() else None
    for refusing in (mmspool.open, verify, repair):
        with pytest.raises(RecordingError, match=r"other\.h5"):
            refusing(path)
    for arguments in (["info"], ["info", "--json"], ["verify"], ["repair"], ["repair", "--dry-run"]):
        result = CliRunner().invoke(main, [*arguments, str(path)])
        assert result.exit_code == 1, arguments
        assert isinstance(result.exception, SystemExit), arguments
        said = [line for line in result.stderr.splitlines() if line]
        assert len(said) == 1, arguments
        assert said[0].startswith("Error: ")
    assert (path.stat().st_size if path.exists() else None) == size


def test_refused_file_is_closed(tmp_path: Path) -> None:
    """A refused recording can be replaced and opened at once: nothing of it stays open."""
    make(tmp_path)
    path = tmp_path / "mutant.h5"
    shutil.copyfile(tmp_path / "closed.h5", path)
    with h5py.File(path, "r+", libver=("v108", "v108")) as file:
        del file[f"{LEDGER}/frames_written"]
        file.create_dataset(f"{LEDGER}/frames_written", shape=(2**20, 2**20, 2**20), chunks=(1, 1, 2**20), dtype="u2")
    with pytest.raises(RecordingError, match="frames_written"):
        mmspool.open(path)
    shutil.copyfile(tmp_path / "closed.h5", path)
    with mmspool.open(path) as recording:
        assert recording.state == "complete"
