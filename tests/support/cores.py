"""Real cores with Micro-Manager's demo devices."""

from typing import Any

import mm_test_adapters

_loaded: list[Any] = []
_kept: list[Any] = []
"""They live as long as the tests: pymmcore crashes, then or later, when one is destroyed soon after its sequences."""


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
    """Unload the devices of all these cores, and give back their buffers."""
    while _loaded:
        core = _loaded.pop()
        core.unloadAllDevices()
        core.setCircularBufferMemoryFootprint(1)
        _kept.append(core)
