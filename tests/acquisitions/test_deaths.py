"""Acquisitions of pycromanager whose process, writer or disk fails."""

import os
import resource
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import psutil
import pytest
from pycromanager import Acquisition, multi_d_acquisition_events

import mmspool
from mmspool import Spool

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="signals of Unix")

SCRIPT = Path(__file__).with_name("script.py")
LIMIT_S = 60.0


@pytest.fixture
def script(tmp_path: Path) -> Iterator["subprocess.Popen[str]"]:
    """Start the script, and return it when its first 50 images have come."""
    paths = [str(Path(mmspool.__file__).parents[1]), os.environ.get("PYTHONPATH", "")]
    process = subprocess.Popen(
        [sys.executable, str(SCRIPT), str(tmp_path / "run.h5")],
        env=os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, paths))},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    try:
        assert process.stdout.readline() == "50\n"
        yield process
    finally:
        process.kill()
        process.communicate()


def writer() -> psutil.Process:
    """Return the writer process of this process' only spool."""
    (found,) = (child for child in psutil.Process().children() if "resource_tracker" not in " ".join(child.cmdline()))
    return found


def check_numbers(path: Path, state: str) -> int:
    """Check that a file holds the first images of the acquisition without a gap, and return how many."""
    with mmspool.open(path) as run:
        assert run.state == state
        assert np.array_equal(run.frame_table()["image_number"], np.arange(len(run)))
        return len(run)


def test_a_killed_script_leaves_a_closed_file(script, tmp_path, wait_until):
    """The writer process drains the ring and closes the file."""
    script.kill()
    script.wait(LIMIT_S)

    def closed() -> bool:
        with mmspool.open(tmp_path / "run.h5") as run:
            return run.state != "recording"

    wait_until(closed)
    assert 50 < check_numbers(tmp_path / "run.h5", "interrupted") < 3000


def test_a_killed_writer_is_replaced(core, tmp_path):
    """A new writer takes over from the ring, and the acquisition loses nothing."""
    with Spool(tmp_path / "run.h5", buffer_bytes=16 * 10**6) as spool:

        def store(image, metadata):
            spool.process_fn(image, metadata)
            if metadata["ImageNumber"] == "50":
                writer().kill()

        with Acquisition(image_process_fn=store) as acquisition:
            acquisition.acquire(spool.process_fn.expect(multi_d_acquisition_events(num_time_points=300)))
    assert check_numbers(tmp_path / "run.h5", "complete") == 300
    assert spool.result.stats.writer_restarts == 1


def test_a_full_disk_ends_the_acquisition(core, tmp_path):
    """Pycromanager aborts and raises; every frame before the disk was full is in the file, which is closed."""
    path = tmp_path / "run.h5"

    def script():
        with Spool(path, buffer_bytes=16 * 10**6) as spool:

            def store(image, metadata):
                spool.process_fn(image, metadata)
                if metadata["ImageNumber"] == "10":
                    writer().rlimit(resource.RLIMIT_FSIZE, (path.stat().st_size + 2**20, -1))

            with Acquisition(image_process_fn=store) as acquisition:
                acquisition.acquire(spool.process_fn.expect(multi_d_acquisition_events(num_time_points=5000)))

    with pytest.raises(Exception, match="the disk is full"):
        script()
    assert 10 < check_numbers(path, "interrupted") < 5000
