"""A loop of single images with pycromanager's core, recorded: the lines marked "added" are all that changed."""

import mm_test_adapters
from pycromanager import Core, start_headless, stop_headless

from mmspool import Spool  # added

start_headless(str(mm_test_adapters.device_adapter_path()), "MMConfig_demo.cfg", python_backend=True)
core = Core()
core.set_exposure(2)

with Spool("run.h5") as spool:  # added
    for step in range(20):
        core.set_xy_position(10.0 * step, 0.0)
        core.wait_for_system()
        core.snap_image()
        image = core.get_image()  # flat on the Java backend: image.reshape(height, width)
        spool.put(image)  # added

stop_headless()
print(spool.result.frames_written, "frames,", spool.result.frames_lost, "lost:", spool.result.state)  # added
