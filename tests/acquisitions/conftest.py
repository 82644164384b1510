"""pycromanager's own acquisition engine on its Python backend, with the real core and the demo devices."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import mm_test_adapters
import pycromanager
import pytest

_SETTINGS = {"PixelType": "16bit", "OnCameraCCDXSize": 128, "OnCameraCCDYSize": 128, "FastImage": 1}


@pytest.fixture(scope="session")
def only_core() -> Iterator[Any]:
    """Start a core with Micro-Manager's demo configuration: pycromanager's engine keeps the first one of a process."""
    folder = Path(mm_test_adapters.device_adapter_path())
    pycromanager.start_headless(str(folder), str(folder / "MMConfig_demo.cfg"), python_backend=True, buffer_size_mb=64)
    yield pycromanager.Core()
    pycromanager.stop_headless()


@pytest.fixture
def core(only_core: Any) -> Any:
    """Return the core with its camera at 128x128 pixels of 16 bits and 1 ms."""
    only_core.set_circular_buffer_memory_footprint(64)
    for name, value in _SETTINGS.items():
        only_core.set_property("Camera", name, str(value))
    only_core.clear_roi()
    only_core.set_exposure(1.0)
    return only_core
