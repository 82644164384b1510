"""Windows does not go to sleep while a recording runs."""

import logging
import threading
from pathlib import Path

import pytest

from mmspool.persistence.system.keep_awake import KeepAwake


def holders() -> list[threading.Thread]:
    """Return the threads that keep Windows awake."""
    return [thread for thread in threading.enumerate() if thread.name == "mmspool-awake"]


def test_windows_is_asked_for_as_long_as_it_lasts(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """A thread holds the execution state until it is given back, once or twice, and the log says so."""
    with caplog.at_level(logging.INFO, "mmspool"):
        awake = KeepAwake(tmp_path / "run.h5")
    assert "asked the system not to go to sleep" in caplog.text
    assert len(holders()) == 1
    awake.close()
    awake.close()
    assert holders() == []
