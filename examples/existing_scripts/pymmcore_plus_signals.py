"""A script that can only be given a handler: `MDASink` records what pymmcore-plus' signals deliver."""

import useq
from pymmcore_plus import CMMCorePlus

import mmspool  # added

core = CMMCorePlus.instance()
core.loadSystemConfiguration()
core.setExposure(2)

with mmspool.MDASink("run.h5").connect(core) as sink:  # added
    core.run_mda(useq.MDASequence(time_plan={"interval": 0, "loops": 100}), block=True)

print(sink.result.frames_written, "frames,", sink.result.frames_lost, "lost:", sink.result.state)  # added
