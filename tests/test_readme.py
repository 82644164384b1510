"""The README does what it says, read from top to bottom: every block in order, in one folder, each in a new Python."""

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.usefixtures("processes")

README = (Path(__file__).parents[1] / "README.md").read_text(encoding="utf-8")
PYTHON = re.findall(r"^```python\n(.*?)^```", README, re.MULTILINE | re.DOTALL)
RECORD = re.search(r"^    .*?&& \.venv/bin/(mmspool record .*)$", README, re.MULTILINE)
PREFLIGHT = re.findall(r"^    (mmspool preflight \. .*?) +#", README, re.MULTILINE)
FRAMES = {"frames=200": "frames=20", "--frames 1000": "--frames 20"}
"""Fewer frames than a reader records."""


def run(*command: str, folder: Path) -> str:
    """Run a command in a folder and return what it prints; it must succeed without a warning."""
    environment = os.environ | {"PYTHONWARNINGS": "error", "NO_COLOR": "1"}
    done = subprocess.run(
        command, cwd=folder, env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def fewer(text: str) -> str:
    """Return a block that records few frames."""
    for many, few in FRAMES.items():
        text = text.replace(many, few)
    return text


@pytest.fixture(scope="module")
def printed(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """Return what each command and block of the README printed, in the README's order."""
    folder = tmp_path_factory.mktemp("readme")
    assert RECORD is not None
    output = [run(sys.executable, "-m", *shlex.split(fewer(RECORD[1])), folder=folder)]
    for number, block in enumerate(PYTHON):
        script = folder / f"test_block_{number}.py"
        script.write_text(fewer(block), encoding="utf-8")
        how = ("-m", "pytest", "-q", "-p", "no:cacheprovider") if "def test_" in block else ()
        output.append(run(sys.executable, *how, script.name, folder=folder))
    return output


def test_first_command_records(printed: list[str]) -> None:
    """The command line's summary says that the recording is complete."""
    assert "complete" in printed[0]


def test_first_block_reports_a_complete_recording(printed: list[str]) -> None:
    """Ten lines of Python record from the demo camera without a loss."""
    assert printed[1] == "True 20 0 ()\n"


def test_own_loop_stores_every_frame(printed: list[str]) -> None:
    """The pycromanager script runs as it stands, with the core that it starts itself."""
    assert printed[2] == ""


def test_mocked_test_passes(printed: list[str]) -> None:
    """The example of a test without hardware is a test that passes."""
    assert "1 passed" in printed[3]


def test_recording_reads_back(printed: list[str]) -> None:
    """The reading block opens what the first block has recorded."""
    assert printed[4].startswith("(20, 512, 2048) complete ()\n")


def test_preflight_command_is_understood(tmp_path: Path) -> None:
    """The command that needs no camera names options that exist; its measurement is shortened."""
    (command,) = PREFLIGHT
    done = subprocess.run(
        [sys.executable, "-m", *shlex.split(command), "--seconds", "1"],
        cwd=tmp_path,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode in (0, 3), done.stderr
