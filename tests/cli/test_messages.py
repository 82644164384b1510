"""What a person reads when something is wrong, which ends with what to do."""

import sys
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest
from click.testing import Result

import mmspool
from mmspool import Camera


@pytest.mark.usefixtures("processes")
@pytest.mark.parametrize(
    ("arguments", "advice"),
    [
        ("info text.h5", "name a recording"),
        ("info other.h5", "h5py may open it"),
        ("repair text.h5", "h5py may still read a part of it"),
        ("report run.h5 run.pdf", "end it in .html or .png"),
        ("export run.h5 run.mp4", "choose it by --format"),
        ("export run.h5 part.npy --frames 100:200", "which are counted from 0"),
        ("export run.h5 part.npy --crop 2,2,64,64", "choose a smaller one"),
        ("export run.h5 part.npy --bin 64", "choose a smaller bin"),
        ("compress text.h5 small.h5", "name a recording"),
    ],
)
def test_ends_with_advice(
    run: Callable[..., Result], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: str, advice: str
) -> None:
    """A message is a line that ends with the next step, in the command line's own words."""
    monkeypatch.chdir(tmp_path)
    Path("text.h5").write_text("no recording")
    with h5py.File("other.h5", "w") as file:
        file["x"] = 1
    with mmspool.Spool("run.h5", buffer_bytes=1 << 20) as spool:
        spool.put(np.zeros((4, 6), "u2"))
    result = run(*arguments.split())
    assert result.exit_code == 1
    (line,) = result.stderr.splitlines()
    assert line.startswith("Error: ")
    assert line.endswith(advice)


def test_a_window_without_its_package(run: Callable[..., Result], monkeypatch: pytest.MonkeyPatch) -> None:
    """Without ndv, `live` names the command that installs it, before it touches the camera."""
    monkeypatch.setitem(sys.modules, "ndv", None)
    monkeypatch.setattr(Camera, "mock", lambda: pytest.fail("the camera was opened"))
    result = run("live", "--mock")
    assert result.exit_code == 1
    assert "Error: a live view needs the package ndv" in result.stderr
    assert "ndv[pyqt,vispy]" in result.stderr


def test_a_window_without_a_camera(run: Callable[..., Result]) -> None:
    """`live` without a camera, or with two, is wrong usage, and says which there are."""
    for cameras in ((), ("--mock", "--demo")):
        result = run("live", *cameras)
        assert result.exit_code == 2
        assert "--demo, --mock, --connect [PORT], --headless DIR CONFIG" in result.stderr
