"""What a run of pymmcore-plus cannot do: record until something happens, without a number of frames."""

from pymmcore_plus import CMMCorePlus

from mmspool import Camera

core = CMMCorePlus.instance()
core.loadSystemConfiguration()
camera = Camera(core)  # the core's own camera; the script goes on using the core
camera.exposure_ms = 2

with camera.start_recording("run.h5") as recording:
    for step in range(5):
        core.setXYPosition(10.0 * step, 0.0)
        core.waitForSystem()
    recording.stop()
    result = recording.wait()

print(recording.stats.frames_received, "frames,", result.frames_lost, "lost:", result.state)
