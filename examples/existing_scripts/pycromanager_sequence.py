"""A sequence of pycromanager's core, frame by frame, recorded: the lines marked "added" are all that changed."""

import time

import mm_test_adapters
from pycromanager import Core, start_headless, stop_headless

from mmspool import Spool, frame_metadata  # added

start_headless(str(mm_test_adapters.device_adapter_path()), "MMConfig_demo.cfg", python_backend=True)
core = Core()
core.set_exposure(2)

with Spool("run.h5") as spool:  # added
    core.start_sequence_acquisition(200, 0, True)
    while core.is_sequence_running() or core.get_remaining_image_count():  # in this order
        if core.get_remaining_image_count():
            tagged = core.pop_next_tagged_image()
            spool.put(tagged.pix, frame_metadata(tagged.tags))  # added
        else:
            time.sleep(0.001)

stop_headless()
print(spool.result.frames_written, "frames,", spool.result.frames_lost, "lost:", spool.result.state)  # added
