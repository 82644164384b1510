"""Watching a recording from another process."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from mmspool import Spool
from mmspool.cli import main
from mmspool.watching import look, watch

WaitUntil = Callable[[Callable[[], bool]], None]


@pytest.fixture
def running(tmp_path: Path) -> Spool:
    """Return a spool that has taken 30 frames, 4 lost before the last ten."""
    spool = Spool(tmp_path / "run.h5", buffer_bytes=16_000_000, sync_interval_s=0.1)
    for index in range(30):
        if index == 20:
            spool.record_loss(4, "core")
        spool.put(np.full((64, 64), index, np.uint16))
    return spool


def test_while_it_runs_and_after(running: Spool, wait_until: WaitUntil) -> None:
    """What is seen from outside is what the recording says of itself, until the end."""
    with running:
        wait_until(lambda: look(running.path).frames_written == 30)
        wait_until(lambda: look(running.path).frames_durable == 30)
        seen = look(running.path)
        assert (seen.state, seen.frames_lost, seen.frame_bytes) == ("recording", 4, 64 * 64 * 2)
        assert [(loss.before_frame, loss.count, loss.stage) for loss in seen.losses] == [(20, 4, "core")]
        snapshots = watch(running.path, interval_s=0.05)
        assert next(snapshots).frames_per_s == 0
        for index in range(40):
            running.put(np.full((64, 64), 30 + index, np.uint16))
        wait_until(lambda: look(running.path).frames_written == 70)
        moving = next(snapshots)
        assert moving.frames_per_s > 0
        assert moving.disk_full_s == pytest.approx(moving.disk_free_bytes / moving.mb_per_s / 1e6)
    *_, last = snapshots
    assert (last.state, last.frames_written, last.running) == ("incomplete", 70, False)


def test_command_in_its_own_process(running: Spool, wait_until: WaitUntil) -> None:
    """``mmspool watch`` prints lines while another process records, and ends when that ends."""
    with running:
        command = [sys.executable, "-m", "mmspool", "watch", str(running.path), "--json", "--interval", "0.05"]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        assert process.stdout is not None
        first = json.loads(process.stdout.readline())
        running.put(np.zeros((64, 64), np.uint16))
    rest = [json.loads(line) for line in process.communicate(timeout=60)[0].splitlines()]
    assert first["state"] == "recording"
    assert (rest[-1]["state"], rest[-1]["frames_written"], process.returncode) == ("incomplete", 31, 3)


def test_once(source: Path, camera_file: Path) -> None:
    """One look at a finished recording prints a line, and its exit code tells whether it is complete."""
    complete = CliRunner().invoke(main, ["watch", str(camera_file)])
    assert (complete.exit_code, complete.stderr) == (0, "")
    assert "frames 60" in complete.stdout
    lossy = CliRunner().invoke(main, ["watch", "--once", str(source)])
    assert lossy.exit_code == 3
    assert "3 before frame 10 (camera)" in lossy.stdout
