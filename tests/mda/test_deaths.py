"""Runs of pymmcore-plus whose process, writer or disk fails, or that somebody interrupts."""

import errno
import os
import resource
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import psutil
import pytest
import useq

import mmspool
from mmspool import WriterError, spool_mda

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="signals of Unix")

SCRIPT = Path(__file__).with_name("script.py")
LIMIT_S = 60.0


@pytest.fixture
def script(tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    """Start the script, and return it when its first 50 frames have come."""
    paths = [str(Path(mmspool.__file__).parents[1]), os.environ.get("PYTHONPATH", "")]
    process = subprocess.Popen(
        [sys.executable, str(SCRIPT), str(tmp_path / "run.h5")],
        env=os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, paths)), "PYMM_SIGNALS_BACKEND": "psygnal"},
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


def timelapse(loops: int) -> useq.MDASequence:
    """Return a sequence of so many frames."""
    return useq.MDASequence(time_plan={"interval": 0, "loops": loops})


def check_numbers(path: Path, state: str) -> int:
    """Check that a file holds the first frames of the run without a gap, and return how many."""
    with mmspool.open(path) as run:
        assert run.state == state
        assert np.array_equal(run.frame_table()["image_number"], np.arange(len(run)))
        return len(run)


def test_ctrl_c_closes_the_file_and_ends_the_script(script, tmp_path):
    """Ctrl-C cancels the run; what the camera had made is in the file, and the script gets its KeyboardInterrupt."""
    script.send_signal(signal.SIGINT)
    _, errors = script.communicate(timeout=LIMIT_S)
    assert script.returncode == -signal.SIGINT, errors
    assert errors.rstrip().endswith("KeyboardInterrupt")
    assert 50 < check_numbers(tmp_path / "run.h5", "interrupted") < 3000


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
    """A new writer takes over from the ring, and the run loses nothing."""
    core.mda.events.frameReady.connect(lambda _image, event: event.index["t"] == 50 and writer().kill())
    with spool_mda(core, tmp_path / "run.h5", buffer_bytes=16 * 10**6) as spooling:
        core.run_mda(timelapse(500))
    assert check_numbers(tmp_path / "run.h5", "complete") == 500
    assert spooling.result.stats.writer_restarts == 1


def test_a_full_disk_ends_the_run(core, tmp_path, monkeypatch):
    """The error comes out of the block, the camera is stopped, and every frame before it is in the file."""
    monkeypatch.setattr(threading, "excepthook", lambda _args: None)

    def limit(_image, event):
        if event.index["t"] == 10:
            size = (tmp_path / "run.h5").stat().st_size
            psutil.Process(writer().pid).rlimit(resource.RLIMIT_FSIZE, (size + 2**20, -1))

    core.mda.events.frameReady.connect(limit)
    with pytest.raises(WriterError) as caught, spool_mda(core, tmp_path / "run.h5", buffer_bytes=16 * 10**6):
        core.run_mda(timelapse(5000))
    assert caught.value.__cause__.errno == errno.EFBIG
    assert not core.mda.is_running()
    assert not core.isSequenceRunning()
    assert 10 < check_numbers(tmp_path / "run.h5", "interrupted") < 5000


def test_a_disk_that_stalls_is_carried_by_the_cores_buffer(make_core, tmp_path, wait_until):
    """The ring fills while the writer is stopped; frames wait in the core, and none is lost."""
    core = make_core(OnCameraCCDXSize=1024, OnCameraCCDYSize=1024)
    core.setCircularBufferMemoryFootprint(200)
    threads = []

    def go_on(process: psutil.Process) -> None:
        wait_until(lambda: core.getRemainingImageCount() > 10)
        process.resume()

    def stall(_image, event):
        if event.index["t"] == 20:
            process = writer()
            process.suspend()
            threads.append(threading.Thread(target=go_on, args=(process,)))
            threads[0].start()

    core.mda.events.frameReady.connect(stall)
    with spool_mda(core, tmp_path / "run.h5", buffer_bytes=16 * 10**6):
        core.run_mda(timelapse(60))
    threads[0].join()
    assert check_numbers(tmp_path / "run.h5", "complete") == 60
