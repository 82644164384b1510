"""Kernels of Jupyter, to which cells are given as a notebook or an editor gives them."""

import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import mmspool

LIMIT_S = 60.0
SETUP = "from mmspool import Camera; camera = Camera.mock(width=64, height=64, seed=1); camera.exposure_ms = 2"
"""A small simulated camera."""

Outputs = list[dict[str, Any]]


class Kernel:
    """A kernel in a folder, with a small simulated camera.

    Parameters
    ----------
    folder
        Its current folder.
    module, environment
        What it is, of an editor's own; by default IPython's.
    """

    def __init__(self, folder: Path, module: str = "ipykernel_launcher", **environment: str) -> None:
        from jupyter_client.kernelspec import KernelSpec
        from jupyter_client.manager import KernelManager

        paths = [str(Path(mmspool.__file__).parents[1]), os.environ.get("PYTHONPATH", "")]
        environment["PYTHONPATH"] = os.pathsep.join(filter(None, paths))
        self.manager = KernelManager()
        command = [sys.executable, "-m", module, "-f", "{connection_file}"]
        self.manager._kernel_spec = KernelSpec(argv=command, language="python")
        self.manager.start_kernel(cwd=str(folder), env=os.environ | environment)
        self.client = self.manager.blocking_client()
        self.client.start_channels()
        self.client.wait_for_ready(timeout=LIMIT_S)
        assert self.run(SETUP) == []

    def run(self, code: str, *, on_output: Callable[[dict[str, Any]], None] = lambda _message: None) -> Outputs:
        """Run a cell, and return what it shows: texts, displays and their updates in order, by kind."""
        outputs: Outputs = []

        def note(message: dict[str, Any]) -> None:
            if message["msg_type"] not in ("status", "execute_input"):
                outputs.append({"kind": message["msg_type"], **message["content"]})
                on_output(outputs[-1])

        self.client.execute_interactive(code, timeout=LIMIT_S, output_hook=note)
        return outputs

    def close(self) -> None:
        """End the kernel."""
        self.client.stop_channels()
        self.manager.shutdown_kernel(now=True)
        self.manager.cleanup_resources()
        self.client.context.destroy(linger=0)
