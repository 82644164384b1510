"""Kills at every kind of step and at random instants: what `kill_matrix.py` does at length, in short."""

from pathlib import Path

import pytest
from crash.kill_matrix import LEDGER, kill_at_step
from support.depth import SEED, deep
from support.frames import frame
from support.paths import TESTS
from support.processes import run_python

import mmspool
from mmspool import DetectorInfo, Spool
from mmspool.persistence.hdf5_file.journal import Journal

STEPS = {
    "before anything is written": ("pwrite64", 1),
    "while the file is made": ("pwrite64", 20),
    "while its first frames get room": ("fallocate", 1),
    "before its structure is durable": ("fdatasync", 1),
    "before its size is set": ("ftruncate", 2),
}


@pytest.mark.parametrize(("call", "nth"), STEPS.values(), ids=STEPS)
def test_another_process_makes_the_file_if_the_first_one_is_killed(
    strace: str, tmp_path: Path, call: str, nth: int
) -> None:
    """What a killed process began is begun again, and no frame is lost; file and statistics say one restart."""
    assert kill_at_step("writer", "main", call, nth, tmp_path).kills == 1


def test_the_journal_is_found_behind_any_metadata(tmp_path: Path) -> None:
    """Recovery finds the journal near the file's start, however long the user's metadata and the camera's are."""
    path, text = tmp_path / "run.h5", "x" * (9 << 20)
    with Spool(path, metadata={"a": text}, info=DetectorInfo(camera={"b": text}), buffer_bytes=4 << 20) as spool:
        spool.put(frame(0, (64, 64)))
    with mmspool.open(path) as recording, path.open("rb") as file:
        journal = Journal.find(file.fileno())
        assert journal is not None
        assert journal.offset == recording.file[f"{LEDGER}/journal"].id.get_offset()
        assert recording.metadata["metadata"] == {"a": text}


def test_no_promise_is_broken_by_kills(strace: str, tmp_path: Path) -> None:
    """Persistence processes, producers, both at once and repairs are killed; nothing is lost but rings that died."""
    options = ["--kills", deep(100, 1000), "--seed", SEED, "--jobs", "3", "--folder", tmp_path]
    done = run_python(TESTS / "torture.py", "kill-matrix", *options, limit_s=deep(1800, 18_000))
    assert done.code == 0, done.out + done.err
    assert ", 0 with a broken promise" in done.out
