"""A run of pymmcore-plus, recorded: the lines marked "added" are all that changed."""

import useq
from pymmcore_plus import CMMCorePlus

import mmspool  # added

core = CMMCorePlus.instance()
core.loadSystemConfiguration()  # Micro-Manager's demo devices; give your own configuration
core.setExposure(2)
sequence = useq.MDASequence(
    channels=["DAPI", "FITC"],
    z_plan={"range": 4, "step": 1},
    time_plan={"interval": 0, "loops": 5},
)

with mmspool.spool_mda(core, "run.h5") as spooling:  # added
    core.run_mda(sequence)

print(spooling.result.frames_written, "frames,", spooling.result.frames_lost, "lost:", spooling.result.state)  # added
