"""The examples of scripts that people have already, run as a user runs them, and the page that shows them."""

import importlib.util
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from support.processes import Python

import mmspool

HOME = Path(__file__).parents[2]
SCRIPTS = HOME / "examples" / "existing_scripts"
PAGE = HOME / "docs" / "add-disk-streaming.md"
LIMIT_S = 60.0
MOST_LINES = 29

plus = pytest.mark.skipif(not importlib.util.find_spec("pymmcore_plus"), reason="needs the extra plus")


def run(folder: Path, name: str, *arguments: str) -> str:
    """Run an example in a folder, and return what it printed; it must end well."""
    paths = [str(Path(mmspool.__file__).parents[1]), os.environ.get("PYTHONPATH", "")]
    environment = {"PYTHONPATH": os.pathsep.join(filter(None, paths))}
    ended = subprocess.run(
        [sys.executable, str(SCRIPTS / name), *arguments],
        cwd=folder,
        env=os.environ | environment,
        capture_output=True,
        text=True,
        timeout=LIMIT_S,
        check=False,
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr
    return ended.stdout


@pytest.mark.parametrize(
    ("name", "frames"),
    [
        pytest.param("pymmcore_plus_run.py", 50, marks=plus),
        pytest.param("pymmcore_plus_signals.py", 100, marks=plus),
        ("pycromanager_acquisition.py", 20),
        ("pycromanager_snaps.py", 20),
        ("pycromanager_sequence.py", 200),
    ],
)
def test_an_existing_script_with_lines_added_records_whole(tmp_path: Path, name: str, frames: int) -> None:
    """The script says so, and the file has every frame."""
    assert f"{frames} frames, 0 lost: complete" in run(tmp_path, name)
    with mmspool.open(tmp_path / "run.h5") as recording:
        assert (recording.state, len(recording)) == ("complete", frames)
        assert all(frame.any() for frame in recording)


@plus
def test_a_recording_of_unknown_length_on_pymmcore_plus_core(tmp_path: Path) -> None:
    """The camera runs while the stage moves, until the script stops it; the frames are numbered without a gap."""
    assert "0 lost: complete" in run(tmp_path, "pymmcore_plus_until_stopped.py")
    with mmspool.open(tmp_path / "run.h5") as recording:
        assert len(recording) > 0
        assert np.array_equal(recording.frame_table()["image_number"], np.arange(len(recording)))


def test_the_queue_recipe_and_its_successor_store_the_same_frames(tmp_path: Path) -> None:
    """The recipe has the frames last, the recording first; the pixels are the same."""
    import h5py

    for name in ("queue_recipe.py", "queue_recipe_spooled.py"):
        assert "frames/s" in run(tmp_path, name, "12", "64")
    with h5py.File(tmp_path / "recipe.h5") as recipe, h5py.File(tmp_path / "spooled.h5") as spooled:
        assert np.array_equal(np.moveaxis(recipe["data"][:], 2, 0), spooled["data"][:])


@pytest.mark.skipif(sys.platform == "win32", reason="nobody sends SIGTERM to another process there")
@pytest.mark.parametrize("name", ["SIGTERM", "SIGINT", "SIGHUP"])
def test_a_service_that_is_stopped_has_a_whole_recording(tmp_path: Path, name: str) -> None:
    """What systemd, Slurm and a closed terminal send ends the recording as planned."""
    with Python(SCRIPTS / "service.py", cwd=tmp_path) as service:
        assert service.line() == "recording\n"
        service.process.send_signal(getattr(signal, name))
        ended = service.end()
    assert ended.code == 0, ended.err
    assert "0 lost: complete" in ended.out
    with mmspool.open(tmp_path / "run.h5") as recording:
        assert recording.state == "complete"


@pytest.mark.parametrize("script", sorted(SCRIPTS.glob("*.py")), ids=lambda path: path.stem)
def test_an_example_is_short(script: Path) -> None:
    """An example has less than 30 lines."""
    assert len(script.read_text(encoding="utf-8").splitlines()) <= MOST_LINES


def test_the_page_shows_what_is_in_the_examples() -> None:
    """Every line of code on the page is a line of an example, and every example is named."""
    page = PAGE.read_text(encoding="utf-8")
    scripts = {path.name: path.read_text(encoding="utf-8") for path in SCRIPTS.glob("*.py")}
    lines = {line.strip() for script in scripts.values() for line in script.splitlines()}
    shown = [line for block in re.findall(r"```python\n(.*?)```", page, re.DOTALL) for line in block.splitlines()]
    assert len(shown) > 15
    assert [line for line in shown if line.strip() not in {*lines, "...", ""}] == []
    assert [name for name in scripts if name not in page] == []
