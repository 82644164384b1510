"""The examples, run as a user runs them: each in a process of its own, in an empty folder."""

import configparser
import os
import shutil
import subprocess
import sys
from pathlib import Path

import h5py
import numpy as np
import pytest

import mmspool

EXAMPLES = Path(__file__).parents[2] / "examples"
LIMIT_S = 60.0


def run(folder: Path, *command: str) -> str:
    """Run Python with these arguments in a folder, and return what it printed; it must end well and not complain."""
    paths = [str(Path(mmspool.__file__).parents[1]), os.environ.get("PYTHONPATH", "")]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, paths))}
    ended = subprocess.run(
        [sys.executable, *command],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=LIMIT_S,
        check=False,
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert not ended.stderr
    return ended.stdout


@pytest.mark.parametrize("microscope", ["--demo", "--mock"])
def test_the_microscope_records_while_its_drive_moves(tmp_path: Path, microscope: str) -> None:
    """All frames of all five positions are in the file, in order, and nothing is lost."""
    told = run(tmp_path, str(EXAMPLES / "record_microscope.py"), microscope)

    with mmspool.open(tmp_path / "focus_series.h5") as recording:
        assert recording.state == "complete"
        assert len(recording) >= 5 * 20
        assert recording.shape[1:] == (256, 256)
        assert np.array_equal(recording.frame_table()["image_number"], np.arange(len(recording)))
        assert recording.metadata["metadata"] == {"step_um": 0.5}
        last = recording[-1]
        if microscope == "--mock":
            assert [mmspool.frame_index(frame) for frame in recording] == list(range(len(recording)))
    assert last.any()
    assert told.count("z = ") == 5
    assert "lost: 0" in told


def test_a_script_with_its_own_loop_streams_to_disk(tmp_path: Path) -> None:
    """It has no ``__main__`` guard, and the file is plain HDF5 with all its frames and their tags."""
    told = run(tmp_path, str(EXAMPLES / "add_disk_streaming.py"), "--demo")

    with h5py.File(tmp_path / "stream.h5") as file:
        frames = file["data"][:]
        numbers = file["entry/instrument/detector/frames/image_number"][:]
        stamps = file["entry/instrument/detector/frames/camera_timestamp"][:]
    assert frames.shape == (300, 512, 512)
    assert np.array_equal(numbers, np.arange(300))
    assert (np.diff(stamps) >= 0).all()
    assert f"brightest pixel: {frames.max()}\n" in told
    assert "300 frames in" in told


def test_the_labs_tests_pass_as_its_tox_runs_them(tmp_path: Path) -> None:
    """The folder works alone, copied to where no other configuration of pytest is."""
    lab = shutil.copytree(EXAMPLES / "lab_tests", tmp_path / "lab", ignore=shutil.ignore_patterns("__pycache__", ".*"))
    config = configparser.ConfigParser()
    config.read(lab / "tox.ini")
    assert {"pytest", "pytest-mock"} <= set(config["testenv"]["deps"].split())
    program, *command = config["testenv"]["commands"].replace("{posargs}", "").split()
    assert program == "python"

    told = run(lab, *command, "-p", "no:cacheprovider")

    assert "6 passed" in told
