"""An acquisition of pycromanager, recorded: the lines marked "added" are all that changed."""

import mm_test_adapters
from pycromanager import Acquisition, multi_d_acquisition_events, start_headless, stop_headless

from mmspool import Spool  # added

start_headless(str(mm_test_adapters.device_adapter_path()), "MMConfig_demo.cfg", python_backend=True)
events = multi_d_acquisition_events(
    num_time_points=10, channel_group="Channel", channels=["DAPI", "FITC"], channel_exposures_ms=[2, 2]
)

with (
    Spool("run.h5") as spool,  # added
    Acquisition(image_process_fn=spool.process_fn) as acquisition,  # image_process_fn added
):
    acquisition.acquire(spool.process_fn.expect(events))  # expect added: images that never came are counted

stop_headless()
print(spool.result.frames_written, "frames,", spool.result.frames_lost, "lost:", spool.result.state)  # added
