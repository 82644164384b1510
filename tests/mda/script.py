"""A script that records 3,000 frames of a run, and says when the first 50 have come; run by the tests, and killed."""

import sys
from pathlib import Path

import mm_test_adapters
import useq
from pymmcore_plus import CMMCorePlus

import mmspool

folder = mm_test_adapters.device_adapter_path()
core = CMMCorePlus(adapter_paths=[str(folder)])
core.loadSystemConfiguration(str(Path(folder) / "MMConfig_demo.cfg"))
core.setProperty("Camera", "OnCameraCCDXSize", "128")
core.setProperty("Camera", "OnCameraCCDYSize", "128")
core.setExposure(1.0)


def tell(_image: object, event: useq.MDAEvent) -> None:
    """Say that the 50th frame has come."""
    if event.index["t"] == 50:
        print("50", flush=True)  # noqa: T201


core.mda.events.frameReady.connect(tell)
with mmspool.spool_mda(core, sys.argv[1], buffer_bytes=16 * 10**6):
    core.run_mda(useq.MDASequence(time_plan={"interval": 0, "loops": 3000}))
print("done", flush=True)  # noqa: T201
