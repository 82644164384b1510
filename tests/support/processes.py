"""Processes that tests start, interrupt, kill and look at."""

import contextlib
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any, NamedTuple, Self

import psutil

from support.paths import SHM, environment
from support.waiting import wait_until

LIMIT_S = 120.0
_PROC = Path("/proc")
_COVERAGE = "ignore:Module mmspool was previously imported"  # what coverage says about a script's writer


class Ended(NamedTuple):
    """How a process ended: its exit code and what else it printed."""

    code: int
    out: str
    err: str


class Python:
    """Python in a process and a process group of its own, as a terminal starts it.

    Parameters
    ----------
    *arguments
        What follows the interpreter: a script's path, ``-c`` and source, or ``-m`` and a module, and arguments.
    cwd
        The folder it runs in.
    stdin
        A file to read from; without it, a pipe that `end` closes.
    env
        The whole environment; without it, one in which the tested package is found.
    """

    def __init__(
        self,
        *arguments: object,
        cwd: Path | None = None,
        stdin: IO[Any] | int = subprocess.PIPE,
        env: dict[str, str] | None = None,
    ) -> None:
        program, variables = sys.executable, environment() if env is None else dict(env)
        if sys.platform == "win32" and program != getattr(sys, "_base_executable", program):
            # In a virtual environment it is a launcher, a process of its own, as `Launch.from_here` knows.
            program, variables["__PYVENV_LAUNCHER__"] = sys._base_executable, program
        self.process = subprocess.Popen(
            [program, "-W", _COVERAGE, *map(str, arguments)],
            stdin=stdin,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            encoding="utf-8",
            cwd=cwd,
            env=variables,
            start_new_session=True,
        )
        self.pid = self.process.pid

    def line(self) -> str:
        """Return the next line it prints, an empty string at the end."""
        assert self.process.stdout
        return self.process.stdout.readline()

    def rings(self) -> list[int]:
        """Return the processes that still have the shared memory that it made."""
        return ring_holders(self.pid)

    def interrupt(self) -> None:
        """Press Ctrl-C: every process of the foreground group gets SIGINT."""
        os.killpg(self.pid, signal.SIGINT)

    def kill(self) -> None:
        """Kill it alone, not what it started."""
        self.process.kill()

    def end(self, typed: str | None = None, limit_s: float = LIMIT_S) -> Ended:
        """Type something, wait for the end, and return how it ended."""
        out, err = self.process.communicate(typed, timeout=limit_s)
        return Ended(self.process.returncode, out, err)

    def close(self) -> None:
        """Kill it if it still runs, and wait until none of its shared memory is left."""
        if self.process.poll() is None:
            self.kill()
        if self.process.stdout and not self.process.stdout.closed:
            self.process.communicate()
        wait_until(lambda: not self.rings(), "the writer removes the ring")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def run_python(
    *arguments: object, cwd: Path | None = None, env: dict[str, str] | None = None, limit_s: float = LIMIT_S
) -> Ended:
    """Run Python to its end and return how it ended."""
    with Python(*arguments, cwd=cwd, env=env) as process:
        return process.end(limit_s=limit_s)


def children(pid: int | str = "self") -> Iterator[int]:
    """Yield the child processes of a process, with theirs."""
    if sys.platform != "linux":
        own = os.getpid() if pid == "self" else int(pid)
        yield from (process.pid for process in psutil.Process(own).children(recursive=True))
        return
    with contextlib.suppress(OSError):  # it ended
        for task in list((_PROC / str(pid) / "task").iterdir()):
            for child in (task / "children").read_text(encoding="ascii").split():
                yield int(child)
                yield from children(child)


def command_line(pid: int) -> str:
    """Return a process's command line, an empty string if it is gone or a zombie."""
    try:
        return " ".join(psutil.Process(pid).cmdline())
    except psutil.Error:
        return ""


def ended(pid: int) -> bool:
    """Return whether a process is gone, or is a zombie.

    A killed process's first thread is a zombie while its other threads may still hold files and their locks.
    """
    if os.name == "nt":
        return not psutil.pid_exists(pid)
    if sys.platform != "linux":
        return not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    process = _PROC / str(pid)
    try:
        dead = (process / "stat").read_text(encoding="ascii").rpartition(")")[2].split()[0] in "ZX"
        return dead and len(list((process / "task").iterdir())) <= 1
    except OSError:
        return True


def ring_holders(pid: int) -> list[int]:
    """Return the processes that still have the shared memory which process ``pid`` made."""
    processes = [int(place.name) for place in _PROC.glob("[0-9]*")]
    return [each for each in processes if any(f"memfd:mmspool-{pid} " in str(link) for link in links(each, "fd"))]


def shared_memory_names(*pids: int) -> set[str]:
    """Return the names of the shared memory and semaphores that processes have open or mapped, if they have any."""
    places = {place for pid in pids for folder in ("fd", "map_files") for place in links(pid, folder)}
    return {str(place) for place in places if SHM in place.parents and place.exists()}


def links(pid: int | str, folder: str) -> Iterator[Path]:
    """Yield what the links in a folder of a process in /proc lead to; files may be closed meanwhile."""
    with contextlib.suppress(OSError):  # it ended
        for link in list((_PROC / str(pid) / folder).iterdir()):
            with contextlib.suppress(OSError):
                yield link.readlink()


def other_threads(pid: int) -> list[int]:
    """Return all threads of a process but the first."""
    return [int(task.name) for task in (_PROC / str(pid) / "task").iterdir() if int(task.name) != pid]


def limit_files(pid: int, size_bytes: int | None) -> None:
    """Refuse a process files larger than that, as a full disk would: "file too large" is the error; None lifts it."""
    if sys.platform == "win32":
        name = f"mmspool-limit-{pid}-{psutil.Process(pid).create_time():.2f}"
        limit = Path(tempfile.gettempdir()) / name  # tests/windows/sitecustomize.py reads it
        if size_bytes is None:
            limit.unlink(missing_ok=True)
        else:
            limit.write_text(str(size_bytes), encoding="ascii")
    else:
        hard = psutil.Process(pid).rlimit(psutil.RLIMIT_FSIZE)[1]
        soft = psutil.RLIM_INFINITY if size_bytes is None else size_bytes
        psutil.Process(pid).rlimit(psutil.RLIMIT_FSIZE, (soft, hard))


def kill(*pids: int) -> None:
    """Kill those of the processes that still run."""
    for pid in pids:
        with contextlib.suppress(psutil.NoSuchProcess):
            psutil.Process(pid).kill()


def kill_tree(pid: int) -> None:
    """Kill a process and all that it started, none of which sees another one end."""
    tree = [psutil.Process(each) for each in (pid, *children(pid))]
    for process in tree:
        process.suspend()
    for process in tree:
        process.kill()


def interrupt_this_process() -> None:
    """Press Ctrl-C for this process alone, from any of its threads."""
    if sys.platform == "win32":
        signal.raise_signal(signal.SIGINT)  # the main thread handles it; os.kill would end the process
    else:
        os.kill(os.getpid(), signal.SIGINT)
