"""The command as a process: signals, exit codes, outputs."""

import json
import os
import signal

import pytest

import mmspool
from mmspool import frame_index

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


@pytest.mark.parametrize("name", ["SIGTERM", "SIGHUP", "SIGQUIT", "SIGUSR1", "SIGUSR2", "SIGALRM", "SIGXCPU"])
def test_signals_that_end_a_process(command, under_way, tmp_path, name):
    """What a service manager, a batch system, a closed terminal or ``kill`` sends ends a recording as cleanly."""
    process = command("record", "run.h5", *CAMERA, "-n", "100000")
    under_way()
    process.process.send_signal(getattr(signal, name))
    exit_code, _, err = process.end()
    assert (exit_code, "Traceback" in err) == (130, False), err
    with mmspool.open(tmp_path / "run.h5") as recording:
        assert (recording.state, recording.end_reason) == ("interrupted", f"stopped by the user ({name})")
        assert [frame_index(frame) for frame in recording] == list(range(len(recording)))


def test_record_then_info(command):
    """What a user types, from one folder."""
    code, out, err = command("record", "run.h5", *CAMERA, "-n", "20").end()
    assert code == 0, err
    assert "20 of 20" in out
    code, out, err = command("info", "run.h5", "--json").end()
    assert (code, err) == (0, "")
    assert json.loads(out)["frames_written"] == 20


def test_json(command):
    """The result as JSON on the standard output, and nothing else there."""
    code, out, err = command("record", "run.h5", *CAMERA, "-n", "20", "--json").end()
    assert code == 0, err
    facts = json.loads(out)
    assert (facts["frames_written"], facts["frames_lost"], facts["end_reason"]) == (20, 0, "completed")
    assert facts["stats"]["spool"]["frames_put"] == 20


@pytest.mark.parametrize("encoding", ["ascii", "cp1252", "utf-8"])
@pytest.mark.parametrize("name", ["資料.h5".encode(), b"caf\xe9.h5" if os.name == "posix" else "caf\xe9.h5".encode()])
def test_any_name_on_any_console(command, tmp_path, name, encoding):
    """A file's name that the console cannot show, or that is no text at all, is shown with escapes, not an error."""
    code, out, err = command("record", name, *CAMERA, "-n", "5", env={"PYTHONIOENCODING": encoding}).end()
    assert (code, "Traceback" in err) == (0, False), err
    assert "5 of 5" in out
    assert (tmp_path / os.fsdecode(name)).exists()
    code, out, err = command("info", name, env={"PYTHONIOENCODING": encoding}).end()
    assert (code, err) == (0, "")
    shown = os.fsdecode(name).encode(encoding, "backslashreplace")
    assert shown.decode("utf-8", "surrogateescape") in out
    code, _, err = command("record", name, *CAMERA, "-n", "5", env={"PYTHONIOENCODING": encoding}).end()
    assert (code, "Traceback" in err, "the file exists" in err) == (1, False, True)


def test_error_is_one_message(command):
    """An error of the command is one message without a traceback, in any working directory."""
    code, out, err = command("record", "none/run.h5", *CAMERA).end()
    assert (code, out) == (1, "")
    assert err.splitlines()[-1].startswith("Error: ")
    assert "Traceback" not in err
