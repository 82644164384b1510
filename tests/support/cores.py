"""Real cores with Micro-Manager's demo devices."""

from typing import Any

import mm_test_adapters

_KEPT: list[Any] = []
"""pymmcore crashes when a core is destroyed soon after its sequence has ended: these live as long as the tests."""


def with_demo_camera(core: Any, side: int) -> Any:
    """Load the devices of `mmspool.adapters.demo`, with ``side`` pixels a side, into a core with the C++ names."""
    core.setDeviceAdapterSearchPaths([str(mm_test_adapters.device_adapter_path())])
    core.setCircularBufferMemoryFootprint(64)
    core.loadDevice("Camera", "DemoCamera", "DCam")
    core.initializeDevice("Camera")
    for name, value in (("PixelType", "16bit"), ("OnCameraCCDXSize", side), ("OnCameraCCDYSize", side)):
        core.setProperty("Camera", name, str(value))
    core.setCameraDevice("Camera")
    _KEPT.append(core)
    return core


def unload_latest() -> None:
    """Unload the devices of the core that was made last, and give back its buffer."""
    for core in _KEPT[-1:]:
        core.unloadAllDevices()
        core.setCircularBufferMemoryFootprint(1)
