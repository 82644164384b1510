"""Recording in Spyder: its own kernel, which is given cells, files to run and interrupts as its editor gives them."""

import re
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest
from support.kernels import Kernel

import mmspool

pytestmark = [pytest.mark.usefixtures("processes"), pytest.mark.filterwarnings("ignore")]  # Jupyter's own

SCRIPT = """
import mmspool
from mmspool import Camera

with Camera.mock(width=64, height=64, seed=1) as camera:
    camera.exposure_ms = 2
    result = camera.record("file.h5", frames=20, overwrite=True)
"""


@pytest.fixture
def console(tmp_path: Path) -> Iterator[Kernel]:
    """Start Spyder's IPython console in a folder."""
    with closing(Kernel(tmp_path, "spyder_kernels.console", SPY_TESTING="True")) as console:
        yield console


def said(console: Kernel, code: str, on_output: Callable[[str], object] = lambda _text: None) -> str:
    """Run code, and return what it ends with or printed, or the name and text of its error."""
    outputs = console.run(code, on_output=lambda output: on_output(output.get("text", "")))
    kinds = {
        "error": lambda output: f"{output['ename']}: {output['evalue']}",
        "stream": lambda output: output["text"],
        "execute_result": lambda output: output["data"]["text/plain"],
    }
    return "\n".join(kinds[output["kind"]](output) for output in outputs if output["kind"] in kinds)


def test_cells(console: Kernel, tmp_path: Path) -> None:
    """A cell records; run again it is refused until it says overwrite; the stop button ends one and keeps its file.

    Progress is a line that is erased and written again, in the codes that Spyder's console has (qtconsole 5.7).
    """
    assert "20 frames, 0 lost" in said(console, "camera.record('run.h5', frames=20)")
    assert "StorageError" in said(console, "camera.record('run.h5', frames=20)")
    assert "20 frames, 0 lost" in said(console, "camera.record('run.h5', frames=20, overwrite=True)")
    asked: list[str] = []

    def stop(text: str) -> None:
        if "frames" in text and not asked:
            asked.append("stop")
            console.manager.interrupt_kernel()

    shown = said(console, "camera.record('stopped.h5', progress=True)", on_output=stop)
    assert "stopped by the user" in shown, shown
    assert set(re.findall(r"\x1b\[[?\d;]*([a-zA-Z])", shown)) <= set("hlmKA")
    with mmspool.open(tmp_path / "stopped.h5") as run:
        assert run.state == "complete"
    assert "20 frames, 0 lost" in said(console, "camera.record('run.h5', frames=20, overwrite=True)")


def test_files(console: Kernel, tmp_path: Path) -> None:
    """A file is run, changed and run again, without a __main__ guard; what it made stays in the console."""
    script = tmp_path / "script.py"
    for frames in (20, 30):
        script.write_text(SCRIPT.replace("20", str(frames)))
        assert "Error" not in said(console, f"%runfile {str(script)!r} --wdir {str(tmp_path)!r}")
        assert said(console, "result.frames_written, result.complete") == f"({frames}, True)"
    with mmspool.open(tmp_path / "file.h5") as run:
        assert len(run) == 30
