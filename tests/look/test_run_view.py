"""The view of a run that is being recorded, in the array viewer of pymmcore-gui."""

from pathlib import Path

import mm_test_adapters
import numpy as np
import pytest

import mmspool

useq = pytest.importorskip("useq", reason="the environment look has it")
pymmcore_plus = pytest.importorskip("pymmcore_plus", reason="the environment look has it")
ndv = pytest.importorskip("ndv", reason="the environment look has it")

pytestmark = pytest.mark.filterwarnings("ignore:::(?!mmspool)")


def test_the_view_has_names_and_planes_for_ndv(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The viewer ndv takes the view as it is: its axes by name, its channels by theirs, and any plane."""
    monkeypatch.setenv("PYMM_SIGNALS_BACKEND", "psygnal")  # beside other tests' QApplication, Qt's wait for its loop
    core = pymmcore_plus.CMMCorePlus(adapter_paths=[str(mm_test_adapters.device_adapter_path())])
    core.loadSystemConfiguration()
    core.setExposure(1)
    sequence = useq.MDASequence(time_plan={"interval": 0, "loops": 3}, channels=["DAPI", "FITC"])
    frames: list[np.ndarray] = []
    core.mda.events.frameReady.connect(lambda image: frames.append(image.copy()))
    with mmspool.spool_mda(core, tmp_path / "run.h5", buffer_bytes=16 * 10**6) as spooling:
        core.run_mda(sequence)
    wrapper = ndv.DataWrapper.create(spooling.view)
    assert wrapper.dims == ("t", "c", "y", "x")
    assert dict(wrapper.sizes()) == {"t": 3, "c": 2, "y": 512, "x": 512}
    assert wrapper.dtype == np.uint16
    assert wrapper.guess_channel_axis() == 1
    assert wrapper.channel_names(1) == {0: "DAPI", 1: "FITC"}
    assert np.array_equal(wrapper.isel({0: 2, 1: 1}), frames[5])
    assert np.array_equal(wrapper.isel({0: 1, 1: slice(None)}), frames[2:4])
    core.unloadAllDevices()
