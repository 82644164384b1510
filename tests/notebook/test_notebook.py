"""Recording in a notebook, with a real kernel of Jupyter: what a cell shows, interrupts, and cells that run again."""

import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from support.kernels import Kernel, Outputs

import mmspool

pytest.importorskip("ipykernel", reason="needs ipykernel")

pytestmark = pytest.mark.filterwarnings("ignore")  # Jupyter's own


@pytest.fixture
def kernel(tmp_path: Path) -> Iterator[Kernel]:
    """Start a kernel with a small simulated camera."""
    with closing(Kernel(tmp_path)) as kernel:
        yield kernel


def text(outputs: Outputs) -> str:
    """Return the text of the value that a cell ends with."""
    (value,) = (output["data"]["text/plain"] for output in outputs if output["kind"] == "execute_result")
    return value


def test_progress_stays_one_line(kernel):
    """A recording of a second shows one line below its cell, which is replaced again and again."""
    outputs = kernel.run("result = camera.record('run.h5', seconds=1, progress=True)")
    displays = [output for output in outputs if output["kind"] == "display_data"]
    updates = [output for output in outputs if output["kind"] == "update_display_data"]
    assert len(displays) == 1
    assert len(updates) >= 1
    assert {output["kind"] for output in outputs} == {"display_data", "update_display_data"}
    assert len({output["transient"]["display_id"] for output in outputs}) == 1
    last = updates[-1]["data"]["text/plain"]
    assert "\n" not in last
    assert last.startswith("frames ")


def test_what_a_cell_ends_with_can_be_read(kernel):
    """Results, recordings, spools and properties show what a person wants to know, in a few lines."""
    result = text(kernel.run("camera.record('run.h5', frames=20)"))
    assert "run.h5: complete (completed)\n20 frames, 0 lost" in result
    assert text(kernel.run("camera")) == "<Camera Camera (python core)>"
    properties = text(kernel.run("camera.properties")).splitlines()
    assert properties[0] == "<15 properties of Camera>"
    assert "  PixelType          16bit" in properties
    recording = text(kernel.run("recording = camera.start_recording('other.h5'); recording"))
    assert recording.startswith("<RunningRecording other.h5: running, ")
    assert text(kernel.run("recording.stop(); recording.wait(); recording")).startswith(
        "<RunningRecording other.h5: ended"
    )
    spool = "import numpy, mmspool\nspool = mmspool.Spool('spool.h5')\nspool.put(numpy.ones((8, 8)))\nspool"
    assert text(kernel.run(spool)) == "<Spool spool.h5: open, 1 frames put, 0 lost>"
    assert "spool.h5: complete (closed)\n1 frames, 0 lost" in text(kernel.run("spool.close()"))


def test_losses_are_shown_with_their_places(kernel):
    """The first losses are told one by one, the others are counted."""
    code = (
        "import numpy, mmspool\nspool = mmspool.Spool('spool.h5')\n"
        "for _ in range(8):\n    spool.put(numpy.ones((8, 8)))\n    spool.record_loss(2, 'camera')\nspool.close()"
    )
    lines = text(kernel.run(code)).splitlines()
    assert lines[0].endswith("spool.h5: incomplete (closed)")
    assert lines[2] == "  2 missing before frame 1 (camera)"
    assert lines[-1] == "  and 3 more losses"


def test_interrupting_the_kernel_ends_the_recording_and_keeps_the_file(kernel, tmp_path):
    """The stop button ends `record`, which returns its result; the cell ends well, and the kernel goes on."""

    def interrupt(_output: dict[str, Any]) -> None:
        if not interrupted:
            interrupted.append(time.monotonic())
            kernel.manager.interrupt_kernel()

    interrupted: list[float] = []
    outputs = kernel.run("camera.record('run.h5', progress=True)", on_output=interrupt)
    assert interrupted
    assert "stopped by the user" in text(outputs)
    with mmspool.open(tmp_path / "run.h5") as run:
        assert run.state == "complete"
    assert text(kernel.run("1 + 1")) == "2"


def test_a_cell_can_be_run_again(kernel):
    """A file that exists is refused in a sentence, and with overwrite=True the cell can be run again and again."""
    kernel.run("camera.record('run.h5', frames=5)")
    (error,) = kernel.run("camera.record('run.h5', frames=5)")
    assert error["ename"] == "StorageError"
    shown = "\n".join(error["traceback"])
    assert "camera.record('run.h5', frames=5)" in shown
    assert "replace it with overwrite=True" in shown
    assert len(shown.splitlines()) <= 4, "lines of mmspool's own"
    assert "exists" in error["evalue"]
    for _ in range(2):
        assert "5 frames, 0 lost" in text(kernel.run("camera.record('run.h5', frames=5, overwrite=True)"))
