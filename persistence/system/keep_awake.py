"""Keeping the computer from going to sleep while a recording runs."""

import logging
import os
import shutil
import subprocess
import sys
import threading
from pathlib import Path

_log = logging.getLogger("mmspool")

_CONTINUOUS, _SYSTEM_REQUIRED = 0x80000000, 0x00000001  # ES_... of Windows
_END_S = 5.0


class KeepAwake:
    """Asks the system to stay awake, from now until `close`, or until this process ends in whatever way.

    The screen may still go dark. What the user does by hand (closing a lid, choosing sleep) is not prevented.

    Parameters
    ----------
    path
        The recording, for the log and for the system's list of what keeps it awake.
    """

    def __init__(self, path: Path) -> None:
        self._process: subprocess.Popen[bytes] | None = None
        self._thread: threading.Thread | None = None
        self._closing = threading.Event()
        if sys.platform == "win32":
            asked = self._ask_windows()
        else:
            command = _command(path)
            asked = command is not None and self._start(command)
        if asked:
            _log.info("asked the system not to go to sleep while %s is recorded", path)
        else:
            _log.info("this system cannot be asked not to go to sleep while %s is recorded", path)

    def close(self) -> None:
        """Let the system sleep again; idempotent."""
        self._closing.set()
        if self._thread is not None:
            self._thread.join(_END_S)
        if self._process is not None:
            process, self._process = self._process, None
            try:
                process.communicate(timeout=_END_S)  # closes its input, at which it ends
            except subprocess.TimeoutExpired:  # a forked process of the script has that input too
                process.kill()
                process.wait()

    def _ask_windows(self) -> bool:
        """Set the execution state, which lasts as long as the thread that sets it."""
        answers: list[int] = []
        asked = threading.Event()

        def hold() -> None:
            import ctypes

            set_state = ctypes.windll.kernel32.SetThreadExecutionState  # type: ignore[attr-defined,unused-ignore]
            answers.append(set_state(_CONTINUOUS | _SYSTEM_REQUIRED))
            asked.set()
            self._closing.wait()
            set_state(_CONTINUOUS)

        self._thread = threading.Thread(target=hold, name="mmspool-awake", daemon=True)
        self._thread.start()
        asked.wait(_END_S)
        return bool(answers and answers[0])

    def _start(self, command: list[str]) -> bool:
        try:
            self._process = subprocess.Popen(  # noqa: S603 - the system's command, found on the path
                command,
                stdin=subprocess.PIPE,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                start_new_session=True,  # Ctrl-C in the terminal is not for it
            )
        except OSError:
            return False
        return True


def can_keep_awake() -> bool:
    """Return whether this system can be asked not to go to sleep."""
    return sys.platform == "win32" or _command(Path()) is not None


def _command(path: Path) -> list[str] | None:
    """Return the command that keeps the system awake until its input ends or this process does; None without one."""
    if sys.platform == "darwin" and shutil.which("caffeinate"):
        return ["caffeinate", "-i", "-s", "-w", str(os.getpid()), "cat"]
    inhibit = shutil.which("systemd-inhibit")
    if inhibit is None or not Path("/run/systemd/system").is_dir():  # a container has the command, and nobody to ask
        return None
    return [inhibit, "--what=sleep:idle", "--who=mmspool", f"--why=recording {path.name}", "--mode=block", "cat"]
