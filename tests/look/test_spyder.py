"""Recording in Spyder: its own kernel, which is given cells, files to run and interrupts as its editor gives them."""

import os
import re
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import mmspool

pytestmark = [pytest.mark.usefixtures("processes"), pytest.mark.filterwarnings("ignore")]  # Jupyter's own

LIMIT_S = 60.0

SCRIPT = """
import mmspool
from mmspool import Camera

with Camera.mock(width=64, height=64, seed=1) as camera:
    camera.exposure_ms = 2
    result = camera.record("file.h5", frames=20, overwrite=True)
"""


class Console:
    """Spyder's IPython console in a folder."""

    def __init__(self, folder: Path) -> None:
        from jupyter_client.kernelspec import KernelSpec
        from jupyter_client.manager import KernelManager

        paths = [str(Path(mmspool.__file__).parents[1]), os.environ.get("PYTHONPATH", "")]
        own = {"PYTHONPATH": os.pathsep.join(filter(None, paths)), "SPY_TESTING": "True"}
        self.manager = KernelManager()
        command = [sys.executable, "-m", "spyder_kernels.console", "-f", "{connection_file}"]
        self.manager._kernel_spec = KernelSpec(argv=command, language="python")
        self.manager.start_kernel(cwd=str(folder), env=os.environ | own)
        self.client = self.manager.blocking_client()
        self.client.start_channels()
        self.client.wait_for_ready(timeout=LIMIT_S)

    def run(self, code: str, on_output: Callable[[str], object] = lambda _text: None) -> str:
        """Run code, and return what it ends with or printed, or the name and text of its error."""
        shown: list[str] = []

        def note(message: dict[str, Any]) -> None:
            content, kind = message["content"], message["msg_type"]
            if kind == "error":
                shown.append(f"{content['ename']}: {content['evalue']}")
            elif kind == "stream":
                shown.append(content["text"])
                on_output(content["text"])
            elif kind == "execute_result":
                shown.append(content["data"]["text/plain"])

        self.client.execute_interactive(code, timeout=LIMIT_S, output_hook=note)
        return "\n".join(shown)

    def close(self) -> None:
        """End the kernel."""
        self.client.stop_channels()
        self.manager.shutdown_kernel(now=True)
        self.manager.cleanup_resources()
        self.client.context.destroy(linger=0)


@pytest.fixture
def console(tmp_path: Path) -> Iterator[Console]:
    """Start a console with a small simulated camera."""
    console = Console(tmp_path)
    setup = "from mmspool import Camera; camera = Camera.mock(width=64, height=64, seed=1); camera.exposure_ms = 2"
    assert console.run(setup) == ""
    yield console
    console.close()


def test_cells(console: Console, tmp_path: Path) -> None:
    """A cell records; run again it is refused until it says overwrite; the stop button ends one and keeps its file.

    Progress is a line that is erased and written again, in the codes that Spyder's console has (qtconsole 5.7).
    """
    assert "20 frames, 0 lost" in console.run("camera.record('run.h5', frames=20)")
    assert "StorageError" in console.run("camera.record('run.h5', frames=20)")
    assert "20 frames, 0 lost" in console.run("camera.record('run.h5', frames=20, overwrite=True)")
    asked: list[str] = []

    def stop(text: str) -> None:
        if "frames" in text and not asked:
            asked.append("stop")
            console.manager.interrupt_kernel()

    shown = console.run("camera.record('stopped.h5', progress=True)", on_output=stop)
    assert "stopped by the user" in shown, shown
    assert set(re.findall(r"\x1b\[[?\d;]*([a-zA-Z])", shown)) <= set("hlmKA")
    with mmspool.open(tmp_path / "stopped.h5") as run:
        assert run.state == "complete"
    assert "20 frames, 0 lost" in console.run("camera.record('run.h5', frames=20, overwrite=True)")


def test_files(console: Console, tmp_path: Path) -> None:
    """A file is run, changed and run again, without a __main__ guard; what it made stays in the console."""
    script = tmp_path / "script.py"
    for frames in (20, 30):
        script.write_text(SCRIPT.replace("20", str(frames)))
        assert "Error" not in console.run(f"%runfile {str(script)!r} --wdir {str(tmp_path)!r}")
        assert console.run("result.frames_written, result.complete") == f"({frames}, True)"
    with mmspool.open(tmp_path / "file.h5") as run:
        assert len(run) == 30
