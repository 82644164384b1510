"""pymmcore-plus with the real core and DemoCamera, for all tests of this folder."""

import importlib.util
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import mm_test_adapters
import numpy as np
import pytest

SIDE = 128
"""Height and width of the cameras' frames, pixels."""

# Without the extra there is nothing to test here; tox's environment for the tests has it.
collect_ignore_glob = [] if importlib.util.find_spec("pymmcore_plus") else ["test_*.py"]

MakeCore = Callable[..., Any]


@pytest.fixture
def make_core(monkeypatch: pytest.MonkeyPatch) -> Iterator[MakeCore]:
    """Return a function that makes a ``CMMCorePlus`` with so many DemoCameras, and unloads all of them at the end."""
    monkeypatch.setenv("PYMM_SIGNALS_BACKEND", "psygnal")
    from pymmcore_plus import CMMCorePlus

    folder = str(mm_test_adapters.device_adapter_path())
    made = []

    def make(cameras: int = 1, **properties: Any) -> Any:
        core = CMMCorePlus(adapter_paths=[folder])
        made.append(core)
        core.setCircularBufferMemoryFootprint(64)
        core.loadSystemConfiguration(str(Path(folder) / "MMConfig_demo.cfg"))
        labels = ["Camera"] if cameras == 1 else [f"Camera {letter}" for letter in "AB"[:cameras]]
        for label in labels:
            if label != "Camera":
                core.loadDevice(label, "DemoCamera", "DCam")
                core.initializeDevice(label)
            settings = {"PixelType": "16bit", "OnCameraCCDXSize": SIDE, "OnCameraCCDYSize": SIDE, "FastImage": 1}
            for name, value in (settings | properties).items():
                core.setProperty(label, name, str(value))
        if cameras > 1:
            core.loadDevice("Both", "Utilities", "Multi Camera")
            core.initializeDevice("Both")
            for place, label in enumerate(labels, 1):
                core.setProperty("Both", f"Physical Camera {place}", label)
            core.setCameraDevice("Both")
        core.setExposure(1.0)
        return core

    yield make
    for core in made:
        core.mda.cancel()
        core.unloadAllDevices()


@pytest.fixture
def core(make_core: MakeCore) -> Any:
    """Return a ``CMMCorePlus`` with Micro-Manager's demo configuration, its camera at 128x128 pixels and 1 ms."""
    return make_core()


class Seen:
    """The frames and events that pymmcore-plus hands on to others, in order."""

    def __init__(self, core: Any) -> None:
        self.frames: list[np.ndarray] = []
        self.events: list[Any] = []
        self.ended: list[str] = []
        core.mda.events.frameReady.connect(self.take)
        core.mda.events.sequenceFinished.connect(self.finish)

    def take(self, image: np.ndarray, event: Any, meta: Any) -> None:
        """Keep a copy."""
        self.frames.append(image.copy())
        self.events.append(event)

    def finish(self, sequence: Any) -> None:
        """Note the end."""
        self.ended.append("finished")


@pytest.fixture
def seen(core: Any) -> Seen:
    """Return the frames that pymmcore-plus hands on to others."""
    return Seen(core)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Return where a run is recorded."""
    return tmp_path / "run.h5"
