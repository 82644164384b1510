"""Real cores with Micro-Manager's demo devices."""

from typing import Any

import mm_test_adapters

_loaded: list[Any] = []


def with_demo_camera(core: Any, side: int) -> Any:
    """Load the devices of `mmspool.adapters.demo`, with ``side`` pixels a side, into a core with the C++ names."""
    core.setDeviceAdapterSearchPaths([str(mm_test_adapters.device_adapter_path())])
    core.setCircularBufferMemoryFootprint(64)
    core.loadDevice("Camera", "DemoCamera", "DCam")
    core.initializeDevice("Camera")
    for name, value in (("PixelType", "16bit"), ("OnCameraCCDXSize", side), ("OnCameraCCDYSize", side)):
        core.setProperty("Camera", name, str(value))
    core.setCameraDevice("Camera")
    _loaded.append(core)
    return core


def unload_cores() -> None:
    """Unload the devices of all these cores: one destroyed with a camera whose sequence just ended crashes pymmcore."""
    while _loaded:
        _loaded.pop().unloadAllDevices()
