"""Starting a core in this process, with Micro-Manager's own test cameras or with what a caller loads into it."""

import atexit
import contextlib
from collections.abc import Callable, Iterator
from importlib.metadata import PackageNotFoundError, version
from typing import Any, TypedDict

from ..errors import ConnectError
from .core_adapter import CoreAdapter
from .pycromanager_adapter import PymmcoreAdapter


class DemoKeywords(TypedDict, total=False):
    """The options of `demo`."""

    width: int
    height: int
    pixel_type: str
    buffer_mb: int


_CAMERA = "Camera"
_HUB = "THub"
_DEMO_ADVICE = (
    'install a matching pair with: pip install "mm-test-adapters>=75.20261014,<76" "pymmcore>=12.5.1.75.0,<12.5.1.76"'
)
_DEMO_SETUP_ADVICE = f"check the arguments; if the device itself does not load, {_DEMO_ADVICE}"


def demo(*, width: int = 2048, height: int = 2048, pixel_type: str = "16bit", buffer_mb: int = 512) -> CoreAdapter:
    """Start a real core in this process with Micro-Manager's simulated camera, DemoCamera.

    Parameters
    ----------
    width, height
        Size of the camera's sensor, pixels: 16 to 33000.
    pixel_type
        The camera's ``PixelType``: "8bit", "16bit", "32bit", "32bitRGB" or "64bitRGB".
    buffer_mb
        Size of the core's circular buffer, MB of 2**20 bytes.

    Returns
    -------
    CoreAdapter
        Python backend; the camera's label is "Camera". Close it to unload the devices.

    Raises
    ------
    ConnectError
        The package mm-test-adapters is missing or does not fit pymmcore, or a setting is refused.
    """

    def load(core: Any) -> None:
        core.load_device(_CAMERA, "DemoCamera", "DCam")
        core.initialize_device(_CAMERA)
        for name, value in (("PixelType", pixel_type), ("OnCameraCCDXSize", width), ("OnCameraCCDYSize", height)):
            core.set_property(_CAMERA, name, str(value))
        core.set_camera_device(_CAMERA)

    return start_python(_test_adapters(), None, buffer_mb, _DEMO_SETUP_ADVICE, load)


def sequence_tester(*, width: int = 64, height: int = 64, buffer_mb: int = 64) -> CoreAdapter:
    """Start a real core in this process with Micro-Manager's SequenceTester, whose 8-bit frames come flat out.

    Parameters
    ----------
    width, height
        Size of the frames, pixels: 32 or more.
    buffer_mb
        Size of the core's circular buffer, MB of 2**20 bytes.

    Returns
    -------
    CoreAdapter
        Python backend; the camera's label is "Camera". Close it to unload the devices.

    Raises
    ------
    ConnectError
        The package mm-test-adapters is missing or does not fit pymmcore, or a setting is refused.
    """

    def load(core: Any) -> None:
        core.load_device(_HUB, "SequenceTester", "THub")
        core.initialize_device(_HUB)
        core.load_device(_CAMERA, "SequenceTester", "TCamera-0")
        settings = (("ImageMode", "MachineReadable"), ("ImageWidth", width), ("ImageHeight", height))
        for name, value in settings:
            core.set_property(_CAMERA, name, str(value))
        core.set_parent_label(_CAMERA, _HUB)
        core.initialize_device(_CAMERA)
        core.set_camera_device(_CAMERA)

    return start_python(_test_adapters(), None, buffer_mb, _DEMO_SETUP_ADVICE, load)


def start_python(
    folder: str, config: str | None, buffer_mb: int, advice: str, load: Callable[[Any], None] = lambda _core: None
) -> CoreAdapter:
    """Start a core with the devices of a folder.

    Parameters
    ----------
    folder
        Of the device adapters.
    config
        Hardware configuration file; None for none.
    buffer_mb
        Size of the core's circular buffer, MB of 2**20 bytes.
    advice
        What to do when it fails, for the message.
    load
        Loads devices into the core, where there is no configuration file.

    Raises
    ------
    ConnectError
        The core does not start, or a device cannot be loaded; nothing is left of it.
    """
    with imports():
        from mmpycorex import launcher
    before = list(launcher._PYMMCORES)
    try:
        launcher.create_core_instance(folder, config_file=config, python_backend=True, buffer_size_mb=buffer_mb)
    except Exception as exc:
        raise ConnectError(f"cannot start a core with the devices in {folder}: {exc}; {advice}") from exc
    # The launcher returns nothing; its Core() returns the oldest core, which need not be this one.
    core = next(core for core in launcher._PYMMCORES if not any(core is old for old in before))

    def release() -> None:
        atexit.unregister(release)
        launcher._PYMMCORES[:] = [other for other in launcher._PYMMCORES if other is not core]
        # A running sequence makes unloading fail, and the launcher's own clean-up at exit with it.
        if core.get_camera_device():
            PymmcoreAdapter(core).stop_sequence()
        core.unload_all_devices()
        vars(core).clear()  # the launcher's methods tie it to itself, and its buffer would never be freed

    atexit.register(release)
    try:
        load(core)
    except Exception as exc:
        release()
        raise ConnectError(f"cannot set up the camera: {exc}; {advice}") from exc
    return PymmcoreAdapter(core, release)


@contextlib.contextmanager
def imports() -> Iterator[None]:
    """Turn a package that is missing or broken into a `ConnectError`."""
    try:
        yield
    except ImportError as exc:
        raise ConnectError(f"cannot import {exc.name} ({exc}); install it with: pip install pycromanager") from exc


def _test_adapters() -> str:
    try:
        adapters, core = version("mm-test-adapters"), version("pymmcore")
    except PackageNotFoundError as exc:
        raise ConnectError(f"the package {exc.name} is not installed; {_DEMO_ADVICE}") from exc
    interface = core.split(".")[3:4]
    if adapters.split(".")[:1] != interface:
        raise ConnectError(
            f"mm-test-adapters {adapters} has device interface {adapters.split('.')[0]}, pymmcore {core} has "
            f"{''.join(interface)}, so no device could be loaded; {_DEMO_ADVICE}"
        )
    with imports():
        import mm_test_adapters
    return str(mm_test_adapters.device_adapter_path())
