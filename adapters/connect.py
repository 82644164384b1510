"""Ways to a core. What pycromanager brings is imported here and in the Java bridge's modules, when it is used."""

import atexit
import contextlib
import socket
from collections.abc import Callable, Iterator
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, Literal, TypedDict

from ..errors import ConnectError
from .camel_case_core import CamelCaseCore, has_camel_case
from .core_adapter import CoreAdapter
from .java_bridge_adapter import JavaBridgeAdapter
from .java_bridge_guard import ServerWatch, guard, watch_over
from .java_process import HOST, JavaProcess
from .mock import MockCore
from .pycromanager_adapter import PymmcoreAdapter

DEFAULT_PORT = 4827
"""The port of Micro-Manager's ZMQ server."""


class DemoKeywords(TypedDict, total=False):
    """The options of `demo`."""

    width: int
    height: int
    pixel_type: str
    buffer_mb: int


class HeadlessKeywords(TypedDict, total=False):
    """The options of `headless`."""

    backend: Literal["python", "java"]
    buffer_mb: int
    port: int
    timeout_s: float
    frame_pump: bool


_WRAP_TIMEOUT_S = 5.0

_CAMERA = "Camera"
_HUB = "THub"
_DEMO_ADVICE = (
    "install a matching pair with: pip install 'mm-test-adapters>=75.20261014,<76' 'pymmcore>=12.5.1.75.0,<12.5.1.76'"
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

    return _start_python(_test_adapters(), None, buffer_mb, load, _DEMO_SETUP_ADVICE)


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

    return _start_python(_test_adapters(), None, buffer_mb, load, _DEMO_SETUP_ADVICE)


def headless(
    mm_dir: str | Path,
    config: str | Path,
    *,
    backend: Literal["python", "java"] = "python",
    buffer_mb: int = 1024,
    port: int = DEFAULT_PORT,
    timeout_s: float = 5.0,
    frame_pump: bool = True,
) -> CoreAdapter:
    """Start Micro-Manager's core without its windows.

    Parameters
    ----------
    mm_dir
        Micro-Manager's folder, with its device adapters.
    config
        Hardware configuration file; a relative path is looked up in `mm_dir`, then in the working directory.
    backend
        "python": the core runs in this process (fast). "java": in a Java process of its own, which ends with this one.
    buffer_mb
        Size of the core's circular buffer, MB of 2**20 bytes.
    port, timeout_s
        Where the Java process listens, and how long to wait for its answer once it has started, s.
    frame_pump
        As for `connect`.

    Raises
    ------
    ConnectError
        The folder, the file or Java is missing, a device cannot be loaded or the port is taken; the message says which.
    """
    folder = Path(mm_dir).expanduser()
    if not folder.is_dir():
        raise ConnectError(f"{folder} is not a folder; give the folder that Micro-Manager is installed in")
    candidates = (folder / Path(config).expanduser(), Path(config).expanduser().absolute())
    file = next((path for path in candidates if path.is_file()), None)
    if file is None:
        places = " and ".join(dict.fromkeys(map(str, candidates)))
        raise ConnectError(
            f"no configuration file {places}; save one with Micro-Manager's Hardware Configuration Wizard"
        )
    if backend == "python":
        advice = "the adapters' device interface has to be that of the installed pymmcore, and the hardware switched on"
        return _start_python(str(folder), str(file), buffer_mb, _nothing_to_load, advice)
    if backend == "java":
        return _start_java(str(folder), str(file), buffer_mb, port, timeout_s, frame_pump=frame_pump)
    raise ConnectError(f"backend is {backend!r}; expected 'python' or 'java'")


def connect(port: int = DEFAULT_PORT, *, timeout_s: float = 5.0, frame_pump: bool = True) -> CoreAdapter:
    """Connect to a running Micro-Manager on this computer.

    Parameters
    ----------
    port
        Where its server listens.
    timeout_s
        How long to wait for it to answer, s.
    frame_pump
        Take the frames through memory shared with Micro-Manager, several times as fast as over the bridge; False takes
        them over the bridge, as happens where shared memory is not to be had.

    Returns
    -------
    CoreAdapter
        Java backend. Closing it leaves Micro-Manager running.

    Raises
    ------
    ConnectError
        Nothing answers there.
    """
    return JavaBridgeAdapter(_remote_core(port, timeout_s), frame_pump=frame_pump)


def _remote_core(port: int, timeout_s: float) -> Any:
    advice = (
        f"start Micro-Manager, tick Tools > Options > Run server on port {DEFAULT_PORT}, and restart it; "
        "give port= if it listens elsewhere"
    )
    try:
        socket.create_connection((HOST, port), timeout=timeout_s).close()
    except (OSError, OverflowError) as exc:
        raise ConnectError(f"no Micro-Manager answers on port {port} ({exc}): {advice}") from exc
    with _imports():
        from mmpycorex.core import ZMQRemoteMMCoreJ
        from pyjavaz.bridge import Bridge
    # Before the bridge: without a server, the bridge's thread would die with a traceback.
    watch = ServerWatch(HOST, port)
    if not watch.start(timeout_s):
        raise ConnectError(f"port {port} is open, but what listens there is not Micro-Manager's server: {advice}")
    limit_ms = round(timeout_s * 1000)
    bridge = Bridge.create_or_get_existing_bridge(port=port, timeout=limit_ms)
    guard(bridge, watch)
    try:
        # pycromanager's Core() would return a core of this process in preference to the one at the port.
        return ZMQRemoteMMCoreJ(port=port, timeout=limit_ms)
    except Exception as exc:
        if not bridge._java_objects:
            bridge.close()
        raise ConnectError(f"port {port} is open, but no Micro-Manager core answers there ({exc}): {advice}") from exc


def wrap(core: Any) -> CoreAdapter:
    """Make the adapter for a core that exists already.

    Parameters
    ----------
    core
        What ``pycromanager.Core()`` returned, of either backend, a ``pymmcore_plus.CMMCorePlus``, a
        ``pymmcore.CMMCore`` or an object with its methods, or a `MockCore`. It stays the caller's: closing the adapter
        does not stop it.

    Raises
    ------
    ConnectError
        It is neither, or its Micro-Manager is gone.
    """
    if isinstance(core, MockCore):
        return JavaBridgeAdapter(core) if core.backend == "java" else PymmcoreAdapter(core)
    ancestors = {cls.__name__ for cls in type(core).__mro__}
    if "_JavaObjectShadow" in ancestors and hasattr(core, "pop_next_tagged_image"):
        if (bridge := getattr(core, "_bridge", None)) and not watch_over(bridge, _WRAP_TIMEOUT_S):
            raise ConnectError(f"the core's Micro-Manager on port {bridge.port} is gone; start it and connect again")
        return JavaBridgeAdapter(core)
    if "CMMCore" in ancestors and hasattr(core, "pop_next_tagged_image"):
        return PymmcoreAdapter(core)
    if has_camel_case(core):
        return PymmcoreAdapter(CamelCaseCore(core))
    raise ConnectError(
        f"{type(core).__module__}.{type(core).__qualname__} is not a Micro-Manager core; expected what "
        "pycromanager.Core() returns, a pymmcore_plus.CMMCorePlus, a pymmcore.CMMCore, or a MockCore"
    )


@contextlib.contextmanager
def _imports() -> Iterator[None]:
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
    with _imports():
        import mm_test_adapters
    return str(mm_test_adapters.device_adapter_path())


def _nothing_to_load(_core: Any) -> None:
    """Everything is in the configuration file."""


def _start_python(
    folder: str, config: str | None, buffer_mb: int, load: Callable[[Any], None], advice: str
) -> CoreAdapter:
    with _imports():
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
        vars(core).clear()  # the launcher's methods tie it to itself, and its buffer would stay for ever

    atexit.register(release)
    try:
        load(core)
    except Exception as exc:
        release()
        raise ConnectError(f"cannot set up the camera: {exc}; {advice}") from exc
    return PymmcoreAdapter(core, release)


def _start_java(
    folder: str, config: str, buffer_mb: int, port: int, timeout_s: float, *, frame_pump: bool
) -> CoreAdapter:
    process = JavaProcess(folder, config, buffer_mb=buffer_mb, port=port)
    try:
        process.wait_until_listening(timeout_s)
        return JavaBridgeAdapter(_remote_core(port, timeout_s), process.close, frame_pump=frame_pump)
    except BaseException:
        process.close()
        raise
