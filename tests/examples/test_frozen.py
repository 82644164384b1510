"""A script made into an application by PyInstaller records, as its author may have written it."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import mmspool
import mmspool.adapters
import mmspool.driver
import mmspool.persistence

pytest.importorskip("PyInstaller", reason="tox's environment for the tests has it")

APPLICATION = """
import multiprocessing, sys
import numpy as np
from mmspool import Spool
if __name__ == "__main__":
    if "support" in sys.argv:
        multiprocessing.freeze_support()
    with Spool("frozen.h5", buffer_bytes=16 << 20, overwrite=True) as spool:
        for number in range(10):
            spool.put(np.full((64, 64), number, "u2"))
    print("recorded", spool.result.frames_written)
"""
LIMIT_S = 600.0  # PyInstaller looks at every module of every package


@pytest.fixture(scope="module")
def application(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build the application, from mmspool as an installation has it."""
    folder = tmp_path_factory.mktemp("frozen")
    installed = shutil.copytree(Path(mmspool.__file__).parent, folder / "site" / "mmspool")
    for layer in (mmspool.adapters, mmspool.driver, mmspool.persistence):
        source = Path(layer.__file__).parent
        shutil.copytree(source, installed / source.name, dirs_exist_ok=True)
    (folder / "app.py").write_text(APPLICATION, encoding="utf-8")
    command = [sys.executable, "-m", "PyInstaller", "--log-level", "ERROR", "--paths", str(folder / "site"), "app.py"]
    unneeded = ("matplotlib", "scipy", "IPython", "PySide6", "pymmcore_plus", "napari", "ndv", "zarr", "dask")
    command += [f"--exclude-module={name}" for name in unneeded]
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    subprocess.run(command, cwd=folder, env=environment, check=True, timeout=LIMIT_S, capture_output=True)
    return folder / "dist" / "app" / ("app.exe" if sys.platform == "win32" else "app")


@pytest.mark.parametrize("argument", ["support", "none"])
def test_a_frozen_application_records(application: Path, tmp_path: Path, argument: str) -> None:
    """With and without ``freeze_support`` it starts once, records, and ends."""
    done = subprocess.run(
        [str(application), argument], cwd=tmp_path, capture_output=True, text=True, timeout=LIMIT_S, check=False
    )
    assert (done.returncode, done.stdout) == (0, "recorded 10\n"), done.stderr
    with mmspool.open(tmp_path / "frozen.h5") as run:
        assert (run.state, len(run)) == ("complete", 10)
