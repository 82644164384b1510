"""Micro-Manager's core and server in a Java process of ours, which ends with this process, however that ends."""

import atexit
import logging
import platform
import socket
import subprocess
import sys
import threading
import time
from collections import deque
from typing import IO

import psutil

from ..errors import ConnectError

_log = logging.getLogger("mmspool")

HOST = "127.0.0.1"
_START_LIMIT_S = 300.0  # drivers of cameras and stages may take minutes to initialize
_END_LIMIT_S = 10.0
_SLICE_S = 0.05
_MAX_HEAP_MB = 2000  # as Micro-Manager itself on Windows
_SAID_LINES = 20

# Ends the process $1 when its own input closes, which the system does when this process is gone.
_KEEPER = (
    'read -r _; kill "$1" 2>/dev/null || exit 0; '
    'for _ in 1 2 3 4 5; do sleep 1; kill -0 "$1" 2>/dev/null || exit 0; done; kill -9 "$1"'
)


class JavaProcess:
    """Micro-Manager's launcher in a Java process.

    It is out of reach of the terminal's Ctrl-C, and ends when this process ends, even by a kill.

    Parameters
    ----------
    folder
        Micro-Manager's folder.
    config
        Hardware configuration file.
    buffer_mb
        Size of the core's circular buffer, MB of 2**20 bytes.
    port
        Where its server is to listen.

    Raises
    ------
    ConnectError
        The port is taken, or there is no Java.
    """

    def __init__(self, folder: str, config: str, *, buffer_mb: int, port: int) -> None:
        if _is_taken(port):
            raise ConnectError(
                f"port {port} is taken: another program, perhaps a Micro-Manager, listens there; connect to that one, "
                "close it, or give another port"
            )
        self._port = port
        self._said: deque[str] = deque(maxlen=_SAID_LINES)
        self._started = threading.Event()
        self._ended = threading.Event()
        command = [_java(folder), "-classpath", f"{folder}/plugins/Micro-Manager/*", "-Dsun.java2d.dpiaware=false"]
        command += [f"-Xmx{_MAX_HEAP_MB}m", "org.micromanager.remote.HeadlessLauncher"]
        command += [str(port), config, str(buffer_mb), ""]
        try:
            self._process = subprocess.Popen(  # noqa: S603 - the launcher of the folder that the user named
                command,
                cwd=folder,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                creationflags=getattr(subprocess, "CREATE_NEW_PROCESS_GROUP", 0),
            )
        except OSError as exc:
            raise ConnectError(
                f"cannot start Java with {command[0]} ({exc.strerror}); a Java 11 is needed: on Windows it comes with "
                "Micro-Manager, elsewhere it has to be on the PATH"
            ) from exc
        self._keeper = _Keeper(self._process)
        self._reader = threading.Thread(target=self._read, name="mmspool-java-output", daemon=True)
        self._reader.start()
        atexit.register(self.close)

    def wait_until_listening(self, timeout_s: float) -> None:
        """Wait until its core is set up, and then, for at most ``timeout_s``, until its server listens.

        Raises
        ------
        ConnectError
            It ended, or does not get there in time; it goes on until `close`.
        """
        limit = time.monotonic() + _START_LIMIT_S
        while not self._started.wait(_SLICE_S):
            if self._ended.is_set() or time.monotonic() > limit:
                what = "ended while it started" if self._ended.is_set() else f"did not start in {_START_LIMIT_S:g} s"
                raise ConnectError(
                    f"Micro-Manager's Java process {what}: load the configuration in Micro-Manager's window to see "
                    f"which device fails. It said: {self._words()}"
                )
        # The launcher says that it has started before its server has bound the port.
        limit = time.monotonic() + timeout_s
        while not self._listens():
            if self._ended.wait(_SLICE_S) or time.monotonic() > limit:
                raise ConnectError(
                    f"Micro-Manager's Java process does not listen on port {self._port} {timeout_s:g} s after it has "
                    f"started: give a larger timeout_s, or another port. It said: {self._words()}"
                )

    def close(self) -> None:
        """End it; idempotent."""
        atexit.unregister(self.close)
        self._keeper.close()
        self._process.terminate()
        try:
            self._process.wait(_END_LIMIT_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._reader.join(_END_LIMIT_S)

    def _read(self) -> None:
        """Take what it says as it comes: a pipe that nobody empties would stop it."""
        output: IO[bytes] | None = self._process.stdout
        assert output is not None  # noqa: S101 - a pipe was asked for
        with output:
            for line in output:
                text = line.decode(errors="replace").rstrip()
                self._said.append(text)
                _log.debug("Micro-Manager: %s", text)
                if "STARTED" in text:
                    self._started.set()
        self._ended.set()

    def _listens(self) -> bool:
        """Return whether the port is its own: another process may have been faster."""
        try:
            process = psutil.Process(self._process.pid)
            # The name of psutil 6 and later.
            connections = getattr(process, "net_connections", None) or process.connections
            return any(
                each.status == psutil.CONN_LISTEN and each.laddr.port == self._port for each in connections("tcp")
            )
        except psutil.Error:
            return False

    def _words(self) -> str:
        return "; ".join(self._said) or "nothing"


def _java(folder: str) -> str:
    return f"{folder}/jre/bin/javaw.exe" if platform.system() == "Windows" else "java"


def _is_taken(port: int) -> bool:
    try:
        socket.create_connection((HOST, port), timeout=1.0).close()
    except TimeoutError:
        return True
    except OSError:
        return False
    except OverflowError as exc:
        raise ConnectError(f"{port} is not a port: expected 1 to 65535") from exc
    return True


if sys.platform == "win32":
    import ctypes
    from ctypes import wintypes

    _KILL_ON_JOB_CLOSE = 0x2000
    _EXTENDED_LIMITS = 9

    class _ExtendedLimits(ctypes.Structure):
        """JOBOBJECT_EXTENDED_LIMIT_INFORMATION, of which only the flags are set."""

        _fields_ = (
            ("times", wintypes.LARGE_INTEGER * 2),
            ("flags", wintypes.DWORD),
            ("working_set", ctypes.c_size_t * 2),
            ("active_processes", wintypes.DWORD),
            ("affinity", ctypes.c_size_t),
            ("classes", wintypes.DWORD * 2),
            ("io_counters", ctypes.c_ulonglong * 6),
            ("memory", ctypes.c_size_t * 4),
        )

    class _Keeper:
        """Ends a process with this one: the system ends the processes of a job when its last handle is closed."""

        def __init__(self, process: subprocess.Popen[bytes]) -> None:
            kernel = ctypes.WinDLL("kernel32", use_last_error=True)
            kernel.CreateJobObjectW.restype = wintypes.HANDLE
            self._close = kernel.CloseHandle
            self._job = wintypes.HANDLE(kernel.CreateJobObjectW(None, None))
            limits = _ExtendedLimits(flags=_KILL_ON_JOB_CLOSE)
            size = ctypes.sizeof(limits)
            if not (
                kernel.SetInformationJobObject(self._job, _EXTENDED_LIMITS, ctypes.byref(limits), size)
                and kernel.AssignProcessToJobObject(self._job, wintypes.HANDLE(int(process._handle)))
            ):
                code = ctypes.get_last_error()
                _log.warning("Micro-Manager would outlive this process (%s)", ctypes.FormatError(code))

        def close(self) -> None:
            """Close the job, and so end the process; idempotent."""
            self._close(self._job)
            self._job = wintypes.HANDLE(0)

else:

    class _Keeper:
        """Ends a process with this one: a shell waits for the end of a pipe that only this process holds open."""

        def __init__(self, process: subprocess.Popen[bytes]) -> None:
            self._shell = subprocess.Popen(  # noqa: S603 - a fixed script and a number
                ["/bin/sh", "-c", _KEEPER, "mmspool-keeper", str(process.pid)],
                stdin=subprocess.PIPE,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                start_new_session=True,
            )

        def close(self) -> None:
            """Stop waiting; idempotent."""
            self._shell.kill()
            self._shell.wait()
            if self._shell.stdin is not None:
                self._shell.stdin.close()
