"""The example of a window with a live view, run as a user runs it, on Qt's platform without a screen."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

import mmspool

pytest.importorskip("PyQt6", reason="the environment look has it")

SCRIPT = Path(__file__).parents[2] / "examples" / "existing_scripts" / "qt_live_view.py"
LIMIT_S = 60.0


def test_a_window_shows_a_run_that_is_recorded(tmp_path: Path) -> None:
    """A Qt application records a run while its event loop goes on, and ends when the run has ended."""
    paths = [str(Path(mmspool.__file__).parents[1]), os.environ.get("PYTHONPATH", "")]
    environment = {"PYTHONPATH": os.pathsep.join(filter(None, paths)), "QT_QPA_PLATFORM": "offscreen"}
    subprocess.run(
        [sys.executable, str(SCRIPT)], cwd=tmp_path, env=os.environ | environment, timeout=LIMIT_S, check=True
    )
    with mmspool.open(tmp_path / "run.h5") as recording:
        assert (recording.state, len(recording)) == ("complete", 100)
        assert all(frame.any() for frame in recording)
