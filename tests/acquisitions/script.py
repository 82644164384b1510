"""A script that records 3,000 images of an acquisition and reports the 50th; the tests run and kill it."""

import sys
from pathlib import Path

import mm_test_adapters
from pycromanager import Acquisition, Core, multi_d_acquisition_events, start_headless

from mmspool import Spool

folder = Path(mm_test_adapters.device_adapter_path())
start_headless(str(folder), str(folder / "MMConfig_demo.cfg"), python_backend=True, buffer_size_mb=64)
core = Core()
core.set_property("Camera", "OnCameraCCDXSize", "128")
core.set_property("Camera", "OnCameraCCDYSize", "128")
core.set_exposure(1.0)

with Spool(sys.argv[1], buffer_bytes=16 * 10**6) as spool:

    def store(image: object, metadata: dict[str, object]) -> None:
        """Store an image, and say that the 50th has come."""
        spool.process_fn(image, metadata)
        if metadata["ImageNumber"] == "50":
            print("50", flush=True)  # noqa: T201

    with Acquisition(image_process_fn=store) as acquisition:
        acquisition.acquire(spool.process_fn.expect(multi_d_acquisition_events(num_time_points=3000)))
