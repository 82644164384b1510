"""Starting the writer process, and hearing from it.

It is started as any program is, not by `multiprocessing`: then nothing of the user's script is imported or altered, it
is nobody else's child to wait for, and daemonic processes may have one. Nothing that other children of the script
inherit decides anything: that a process has ended is asked of the system, not read from a pipe's end.
"""

import contextlib
import json
import multiprocessing
import multiprocessing.spawn
import os
import queue
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from multiprocessing.connection import Connection
from multiprocessing.queues import Queue
from pathlib import Path
from typing import Any, Self

import psutil

from ...errors import StorageError, WriterError
from ..hdf5_file.closed_file import FileClosed
from ..shared_ring.ring import Ring
from ..shared_ring.shared_memory import hold
from ..system.os_file import occupy_standard_descriptors
from .messages import ENVIRONMENT, FileReady, Message

_BOOTSTRAP = (
    f"import json, os, sys; sys.path[:] = json.loads(os.environ[{ENVIRONMENT!r}])['path']; "
    "from mmspool.persistence.writer_process.main import main; main()"
)
_LOCKED_S = 0.5  # the queue is locked for microseconds at a time
_LOOK_S = 0.01
_EXIT_S = 10.0  # for a process that has closed its end of the pipe to end
_FAULTS = {"SIGKILL", "SIGSTOP", "SIGSEGV", "SIGBUS", "SIGFPE", "SIGILL", "SIGSYS", "SIGTRAP", "SIGCONT", "SIGCHLD"}

# Of this kind for its semaphores, which then have no names that could be left behind or removed. Nothing is forked.
_context = multiprocessing.get_context("fork" if "fork" in multiprocessing.get_all_start_methods() else "spawn")


class ProcessDiedError(WriterError):
    """The writer process ended without a word: it was killed, or crashed."""


class _MessageQueue(Queue):  # type: ignore[type-arg]  # it has none at run time
    """A multiprocessing Queue whose reading end goes to a process that multiprocessing did not start."""

    def __init__(self) -> None:
        super().__init__(0, ctx=_context)
        self._ignore_epipe = True  # a process that was killed is not a programming error
        self._stuck = False

    @property
    def reader(self) -> Connection:
        return self._reader  # type: ignore[attr-defined, no-any-return]

    def is_stuck(self) -> bool:
        """Return whether an exception that left a signal handler in the midst of a call has left the queue locked.

        Then nothing is sent any more: the process looks into the ring several times a second anyway.
        """
        if not self._stuck:
            self._stuck = not self._notempty.acquire(timeout=_LOCKED_S)  # type: ignore[attr-defined]
            if not self._stuck:
                self._notempty.release()  # type: ignore[attr-defined]
        return self._stuck

    def discard(self) -> None:
        """Close both ends, and end the thread that feeds them if there is one."""
        if self.is_stuck():  # its thread, a daemon, never ends: closing it, or waiting for it at exit, would not either
            for name in ("_close", "_jointhread"):
                finalizer: Any = getattr(self, name)
                if finalizer is not None:
                    finalizer.cancel()
                setattr(self, name, None)
        self._reader.close()  # type: ignore[attr-defined]  # first: then the thread ends although nobody reads
        self.close()
        self.join_thread()
        self._writer.close()  # type: ignore[attr-defined]


@dataclass(frozen=True, kw_only=True)
class Launch:
    """How a writer process is started, as things stood when the spool was made: later changes have no effect."""

    command: tuple[str, ...]
    path: tuple[str, ...]
    environment: dict[str, str]

    @classmethod
    def from_here(cls) -> Self:
        """Return how to start the interpreter, or the frozen application, that runs here.

        Raises
        ------
        StorageError
            No interpreter is known, as where Python is embedded in another program.
        """
        executable, environment = os.fsdecode(multiprocessing.spawn.get_executable() or b""), dict(os.environ)
        if not executable:
            raise StorageError(
                "no Python interpreter is known to start the writer process with: "
                "call multiprocessing.set_executable(...) with the path of one"
            )
        if sys.platform == "win32" and executable == sys.executable != getattr(sys, "_base_executable", executable):
            executable, environment["__PYVENV_LAUNCHER__"] = sys._base_executable, executable
        if getattr(sys, "frozen", False):  # it becomes a writer when it imports mmspool
            command = [executable]
        else:
            flags = subprocess._args_from_interpreter_flags()  # type: ignore[attr-defined]  # as multiprocessing does
            command = [executable, *flags, "-c", _BOOTSTRAP]
        path = list(sys.path)
        with contextlib.suppress(FileNotFoundError):  # the current folder was removed: nothing can be imported from it
            path = [str(Path(folder).absolute()) for folder in path]
        return cls(command=tuple(command), path=tuple(path), environment=environment)


class WriterProcess:
    """The writer process of one recording, and the two ways to it: a Queue there, a pipe back.

    Parameters
    ----------
    launch
        How to start it.
    ring
        Where it takes frames from.
    first
        The message that comes before all others, in the pipe before the process starts if it is short.

    Raises
    ------
    OSError, RuntimeError
        The system has no more memory for another process, descriptor or thread.
    """

    def __init__(self, launch: Launch, ring: Ring, first: Message | None = None) -> None:
        occupy_standard_descriptors()
        with contextlib.ExitStack() as undo:
            self._messages = _MessageQueue()
            undo.callback(self._messages.discard)
            if first is not None:
                self.send(first)
                self._messages.reader.poll(_LOCKED_S)  # a thread sends it, which ends with this process
            self._answers, answers = multiprocessing.Pipe(duplex=False)
            undo.callback(self._answers.close)
            with contextlib.closing(answers), _signals_withheld():
                self._process = _start(launch, ring, self._messages.reader, answers)
            undo.pop_all()

    @property
    def pid(self) -> int:
        """The process's id."""
        return self._process.pid

    def is_alive(self) -> bool:
        """Return whether the process runs."""
        return self._process.poll() is None and not (self._is_locked() and self._is_zombie())

    def send(self, message: Message) -> None:
        """Hand over a message; never blocks. What an ended process does not get, its successor finds in the ring."""
        if not self._messages.is_stuck():
            with contextlib.suppress(ValueError, queue.Full):  # closed meanwhile
                self._messages.put(message, block=False)

    def receive(self, timeout_s: float) -> FileReady | FileClosed | None:
        """Wait for an answer; None when there was none in time.

        Raises
        ------
        Exception
            What the process failed with.
        ProcessDiedError
            The process ended without a word.
        """
        alive = self.is_alive()  # before the look at what it has said
        try:
            answer: Any = self._answers.recv() if self._answers.poll(timeout_s if alive else 0.0) else None
        except (EOFError, OSError):  # its end of the pipe is closed
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(_EXIT_S)
            alive, answer = False, None
        if answer is None and not alive:
            raise ProcessDiedError(f"the writer process (pid {self.pid}) died with exit code {self._process.poll()}")
        if isinstance(answer, Exception):
            raise answer
        return answer  # type: ignore[no-any-return]  # what a pipe carries has no type

    def kill(self) -> None:
        """End the process at once."""
        self._process.kill()

    def wait(self) -> None:
        """Wait for the process to end."""
        while self.is_alive():
            if self._is_locked():
                time.sleep(_LOOK_S)
            else:
                self._process.wait()

    def _is_locked(self) -> bool:
        """Return whether `subprocess` is locked: for good, if a signal handler has raised in the midst of a poll."""
        lock = getattr(self._process, "_waitpid_lock", None)
        return lock is not None and lock.locked()

    def _is_zombie(self) -> bool:
        try:
            return bool(psutil.Process(self.pid).status() == psutil.STATUS_ZOMBIE)
        except psutil.NoSuchProcess:
            return True
        except (psutil.Error, OSError):  # the system does not say
            return False

    def disown(self) -> None:
        """Free what leads to the process, and leave it alone; idempotent."""
        self._answers.close()
        self._messages.discard()

    def forget(self) -> None:
        """Leave the process to the parent of this fork."""
        if self._process.returncode is None:
            self._process.returncode = 0  # subprocess would complain that nobody waited for it


def _start(launch: Launch, ring: Ring, messages: Connection, answers: Connection) -> "subprocess.Popen[bytes]":
    """Start the process; its ends of the pipes, and the ring, are inherited by it alone."""
    ends = [messages.fileno(), answers.fileno()]
    given = {"path": launch.path, "messages": ends[0], "answers": ends[1], "ring": ring.handle, "producer": os.getpid()}
    if sys.platform == "win32":
        import _winapi

        from . import windows_start

        producer = given["producer"] = windows_start.own_handle()
        environment = {**launch.environment, ENVIRONMENT: json.dumps(given)}
        try:
            with hold(str(ring.handle)) as memory:  # then it lasts, should this process end before that one attaches
                return windows_start.start(launch.command, environment, [*ends, producer, memory])
        finally:
            _winapi.CloseHandle(producer)
    return subprocess.Popen(  # noqa: S603 - this interpreter
        launch.command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,  # who reads what the script prints does not wait for its writer
        env={**launch.environment, ENVIRONMENT: json.dumps(given)},
        pass_fds=(*ends, int(ring.handle)),
    )


@contextlib.contextmanager
def _signals_withheld() -> Iterator[None]:
    """Block in this thread, and so in the process it starts, all signals that end a process but for its own faults.

    A terminal that is closed, Ctrl-C and a service that is stopped signal the whole group: the writer stays, and drains
    the ring. It inherits the mask and keeps it. Windows has no such signals.
    """
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    faults = {getattr(signal, name) for name in _FAULTS if hasattr(signal, name)}
    before = signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals() - faults)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
