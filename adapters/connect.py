"""Ways to a core: a running Micro-Manager, one that is started without its windows, and one that exists already."""

import socket
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
from .python_core import imports, start_python

DEFAULT_PORT = 4827
"""The port of Micro-Manager's ZMQ server."""


class HeadlessKeywords(TypedDict, total=False):
    """The options of `headless`."""

    backend: Literal["python", "java"]
    buffer_mb: int
    port: int
    timeout_s: float
    frame_pump: bool


_WRAP_TIMEOUT_S = 5.0
_DEVICE_ADVICE = (
    "switch the device on, and close what else uses it, such as Micro-Manager's window. Where interface versions "
    "differ, install the pymmcore whose fourth number the adapters have"
)


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
        looked_at = " and ".join(dict.fromkeys(map(str, candidates)))
        raise ConnectError(
            f"no configuration file {looked_at}; check its name, or save one with Micro-Manager's Hardware "
            "Configuration Wizard"
        )
    if backend == "python":
        return start_python(str(folder), str(file), buffer_mb, _DEVICE_ADVICE)
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
        them over the bridge, as happens where shared memory is unavailable.

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
    with imports():
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
