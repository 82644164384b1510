"""The computer's clock is set while it records: no interval changes, and the file has both times."""

import time

import numpy as np
import pytest

import mmspool
from mmspool import Spool
from mmspool.persistence.hdf5_file.nexus_schema import LEDGER

pytestmark = pytest.mark.usefixtures("processes")

HOUR_S = 3600


@pytest.fixture
def set_clock(monkeypatch):
    """Return what sets the wall clock of the script by a number of seconds."""
    now_ns = time.time_ns

    def shift(seconds: int) -> None:
        monkeypatch.setattr(time, "time_ns", lambda: now_ns() + seconds * 10**9)

    return shift


@pytest.mark.parametrize("step_s", [-HOUR_S, HOUR_S])
def test_times_and_rates_do_not_follow_the_wall_clock(tmp_path, set_clock, step_s):
    """Arrival times rise and durations stay small when the clock is set during a recording."""
    with Spool(tmp_path / "run.h5") as spool:
        for index in range(20):
            spool.put(np.full((16, 16), index, "u2"))
            if index == 9:
                set_clock(step_s)
        assert 0 <= spool.stats.elapsed_s < HOUR_S / 2
        assert spool.stats.frames_per_s >= 0
    with mmspool.open(tmp_path / "run.h5") as run:
        table = run.frame_table()
        assert (np.diff(table["host_timestamp"]) >= 0).all()
        assert 0 <= table["time"][-1] < HOUR_S / 2
    report = mmspool.verify(tmp_path / "run.h5")
    assert report.complete
    assert not [note for note in report.notes if "goes back" in note]


@pytest.mark.parametrize(("step_s", "direction"), [(-HOUR_S, "back"), (HOUR_S, "forward")])
def test_file_says_how_far_the_clock_was_set(tmp_path, set_clock, step_s, direction):
    """The writer compares the wall clock with the steady one; `verify` notes a difference of a second or more."""
    set_clock(-step_s)  # of the script alone: to the writer process, the clock has been set by the opposite
    with Spool(tmp_path / "run.h5") as spool:
        spool.put(np.zeros((16, 16), "u2"))
    with mmspool.open(tmp_path / "run.h5") as run:
        assert abs(run.file[f"{LEDGER}/clock_step_ns"][()] / 1e9 - step_s) < 60
    (note,) = mmspool.verify(tmp_path / "run.h5").notes
    assert note == f"the computer's clock was set {direction} by {HOUR_S:,} s; intervals are right"
