"""A pycromanager script with its own acquisition loop, to which recording to disk was added.

The script is as it was, but for the lines marked "added". It uses a Micro-Manager that runs; ``--demo`` starts a core
with demo devices instead.
"""

import sys
import time

import pycromanager

from mmspool import Spool, frame_metadata  # added

FRAMES = 300

if "--demo" in sys.argv:
    import mm_test_adapters  # pip install ".[demo]", in a clone of mmspool

    pycromanager.start_headless(str(mm_test_adapters.device_adapter_path()), "MMConfig_demo.cfg", python_backend=True)
core = pycromanager.Core()
core.set_exposure(2.0)

with Spool("stream.h5") as spool:  # added
    brightest = 0
    received = 0
    core.start_sequence_acquisition(FRAMES, 0, True)  # True: stop when the core's buffer is full, rather than overwrite
    while True:
        running = core.is_sequence_running()  # asked before the count, or the last frame could be missed
        if core.get_remaining_image_count() == 0:
            if not running:
                break
            time.sleep(0.001)
            continue
        try:
            tagged = core.pop_next_tagged_image()
        except IndexError:  # the core may promise one image more than it has
            continue
        tags = tagged.tags
        image = tagged.pix.reshape(int(tags["Height"]), int(tags["Width"]))
        received += 1

        spool.put(image, frame_metadata(tags))  # added: copies the image and returns, the disk is not waited for
        brightest = max(brightest, int(image.max()))  # what the script did with its images

    if received < FRAMES:  # added: so that the file tells of frames that never came here
        spool.record_loss(FRAMES - received, "core" if core.is_buffer_overflowed() else "camera")

result = spool.result  # added: how it ended
print(f"brightest pixel: {brightest}")
print(f"{result.frames_written} frames in {result.path}, {result.state}, {result.frames_lost} lost")
