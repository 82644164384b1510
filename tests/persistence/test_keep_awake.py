"""The computer does not go to sleep while a recording runs."""

import logging
import os
import sys
from pathlib import Path

import pytest

from mmspool.persistence.system import keep_awake
from mmspool.persistence.system.keep_awake import KeepAwake

# What `systemd-inhibit` does with the command behind its options, with a note of them.
INHIBIT = """
import pathlib, subprocess, sys
pathlib.Path(sys.argv[1]).write_text("\\n".join(sys.argv[2:]))
sys.exit(subprocess.run(sys.argv[-1:]).returncode)
"""


class TestCommand:
    """Systems that are asked by a command, which runs as long as its input lasts."""

    @pytest.fixture(autouse=True)
    def inhibit(self, processes: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
        """Put a command in the place of the system's; return the file with its arguments."""
        noted = tmp_path / "noted"
        command = keep_awake._command

        def with_options(path: Path) -> list[str] | None:
            found = command(path)
            return found and [sys.executable, "-c", INHIBIT, str(noted), *found[1:]]

        monkeypatch.setattr(keep_awake, "_command", with_options)
        monkeypatch.setattr(keep_awake.shutil, "which", lambda name: f"/usr/bin/{name}")
        monkeypatch.setattr(Path, "is_dir", lambda _: True)
        return noted

    def test_systemd(self, inhibit: Path, tmp_path: Path, wait_until, monkeypatch: pytest.MonkeyPatch) -> None:
        """On Linux systemd's command names the recording, and has ended when the recording has."""
        monkeypatch.setattr(keep_awake.sys, "platform", "linux")
        awake = KeepAwake(tmp_path / "run.h5")
        wait_until(inhibit.exists)
        process = awake._process
        awake.close()
        awake.close()
        assert process is not None
        assert process.returncode == 0
        assert inhibit.read_text().split("\n") == [
            "--what=sleep:idle", "--who=mmspool", "--why=recording run.h5", "--mode=block", "cat",
        ]  # fmt: skip

    def test_macos(self, inhibit: Path, tmp_path: Path, wait_until, monkeypatch: pytest.MonkeyPatch) -> None:
        """On macOS caffeinate is given this process to wait for, too."""
        monkeypatch.setattr(keep_awake.sys, "platform", "darwin")
        awake = KeepAwake(tmp_path / "run.h5")
        wait_until(inhibit.exists)
        awake.close()
        assert inhibit.read_text().split("\n") == ["-i", "-s", "-w", str(os.getpid()), "cat"]

    def test_a_system_without(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog) -> None:
        """Where there is no such command the recording goes on, and the log says so."""
        monkeypatch.setattr(keep_awake.shutil, "which", lambda _: None)
        with caplog.at_level(logging.INFO, "mmspool"):
            KeepAwake(tmp_path / "run.h5").close()
        assert "cannot be asked not to go to sleep" in caplog.text

    def test_a_command_that_does_not_start(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog) -> None:
        """Where the command cannot be started the recording goes on, and the log says so."""
        monkeypatch.setattr(keep_awake, "_command", lambda _: [str(tmp_path / "none")])
        with caplog.at_level(logging.INFO, "mmspool"):
            KeepAwake(tmp_path / "run.h5").close()
        assert "cannot be asked not to go to sleep" in caplog.text


@pytest.mark.parametrize("wanted", [True, False])
def test_a_spool_asks_unless_told_otherwise(make_spool, frames, mocker, wanted: bool) -> None:
    """It is asked for with the first frame, given back at the end, and left alone where the caller wants that."""
    ask = mocker.patch("mmspool.persistence.writer_process.client.KeepAwake")
    with make_spool(keep_awake=wanted) as spool:
        ask.assert_not_called()
        spool.put(frames(0))
        assert ask.called == wanted
        ask.return_value.close.assert_not_called()
    assert ask.return_value.close.called == wanted
