"""The command as a process: signals, exit codes, outputs."""

import json
import signal
import sys

import pytest

import mmspool
from mmspool import frame_index

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="Windows sends no SIGINT to one process")

CAMERA = ("--mock", "--roi", "0,0,128,64", "--exposure", "1", "--buffer-mb", "16")


@pytest.mark.parametrize(
    ("end", "code", "state"),
    [((), 0, "complete"), (("-n", "100000"), 130, "interrupted"), (("-t", "600"), 130, "interrupted")],
)
def test_ctrl_c(command, under_way, tmp_path, end, code, state):
    """Ctrl-C ends `record` with all frames in the file; it is a failure only before the requested end."""
    process = command("record", "run.h5", *CAMERA, *end)
    under_way()
    process.press_ctrl_c()
    exit_code, out, err = process.end()
    assert (exit_code, "Traceback" in err) == (code, False), err
    assert ("complete" if state == "complete" else "interrupted: stopped by the user") in out
    with mmspool.open(tmp_path / "run.h5") as recording:
        assert recording.state == state
        assert [frame_index(frame) for frame in recording] == list(range(len(recording)))
        assert f"{len(recording):,}" in out


def test_sigterm(command, under_way, tmp_path):
    """What a service manager or ``kill`` sends ends a recording as cleanly."""
    process = command("record", "run.h5", *CAMERA, "-n", "100000")
    under_way()
    process.process.send_signal(signal.SIGTERM)
    exit_code, _, err = process.end()
    assert (exit_code, "Traceback" in err) == (130, False), err
    with mmspool.open(tmp_path / "run.h5") as recording:
        assert (recording.state, recording.end_reason) == ("interrupted", "stopped by the user")
        assert [frame_index(frame) for frame in recording] == list(range(len(recording)))


def test_record_then_info(command):
    """What a user types, from one folder."""
    code, out, err = command("record", "run.h5", *CAMERA, "-n", "20").end()
    assert code == 0, err
    assert "20 of 20" in out
    code, out, err = command("info", "run.h5", "--json").end()
    assert (code, err) == (0, "")
    assert json.loads(out)["frames_written"] == 20


def test_error_is_one_message(command):
    """An error of the command is one message without a traceback, in any working directory."""
    code, out, err = command("record", "none/run.h5", *CAMERA).end()
    assert (code, out) == (1, "")
    assert err.splitlines()[-1].startswith("Error: ")
    assert "Traceback" not in err
