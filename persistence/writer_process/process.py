"""Starting the persistence process and hearing from it."""

import contextlib
import multiprocessing
import signal
import sys
import threading
from collections.abc import Iterator
from multiprocessing.queues import Queue
from typing import Any

from ...errors import WriterError
from ..shared_ring.ring import Ring
from . import main
from .messages import FileClosed, FileReady, Message

_context = multiprocessing.get_context("spawn")
_starting = threading.Lock()


class ProcessDiedError(WriterError):
    """The persistence process ended without a word: it was killed, or crashed."""


class WriterProcess:
    """The persistence process of one recording, and the two ways to it: a Queue there, a pipe back.

    Parameters
    ----------
    ring
        Where it takes frames from.
    """

    def __init__(self, ring: Ring) -> None:
        self._messages: Queue[Message] = _context.Queue()  # holds at most one descriptor a block of the ring
        self._answers, answers = _context.Pipe(duplex=False)
        lock = ring.share_lock()
        self._process = _context.Process(
            target=main.run,
            args=(ring.name, lock, self._messages, answers),
            name="mmspool-writer",
            daemon=True,
        )
        with _starting, _main_module_hidden(), _sigint_blocked(), _apart():
            self._process.start()
        answers.close()  # the process holds the only other end: its death ends the pipe
        if lock is not None:
            lock.close()

    @property
    def pid(self) -> int | None:
        """The process's id."""
        return self._process.pid

    @property
    def sentinel(self) -> int:
        """What `multiprocessing.connection.wait` takes; ready when the process has ended."""
        return self._process.sentinel

    def is_alive(self) -> bool:
        """Tell whether the process runs."""
        return self._process.is_alive()

    def send(self, message: Message) -> None:
        """Hand over a message; never blocks."""
        self._messages.put(message)

    def receive(self, timeout_s: float) -> FileReady | FileClosed | None:
        """Wait for an answer; None when there was none in time.

        Raises
        ------
        Exception
            What the process failed with.
        ProcessDiedError
            The process ended without a word.
        """
        try:
            if not self._answers.poll(timeout_s):
                self._check_for_death()
                return None
            answer: Any = self._answers.recv()
        except (EOFError, BrokenPipeError):  # on Windows the latter, from poll
            self._process.join()
            raise ProcessDiedError(
                f"the persistence process (pid {self.pid}) died with exit code {self._process.exitcode}"
            ) from None
        if isinstance(answer, Exception):
            raise answer
        return answer  # type: ignore[no-any-return]  # what a pipe carries has no type

    def _check_for_death(self) -> None:
        """Find out what the pipe may not say: on Windows its other end stays open here if the process died at birth."""
        if not self.is_alive() and not self._answers.poll():
            raise EOFError

    def kill(self) -> None:
        """End the process at once."""
        self._process.kill()

    def close(self) -> None:
        """Wait for the process to end, and free what it held; idempotent."""
        self._process.join()
        self._answers.close()
        self._messages.close()
        self._messages.cancel_join_thread()


@contextlib.contextmanager
def _main_module_hidden() -> Iterator[None]:
    """Keep the new process from importing the user's script again (docs/decisions/0003).

    Spawn does that so that functions of the script can be unpickled. The writer needs none of them, and scripts
    without an ``if __name__ == "__main__"`` guard would run a second time.
    """
    main = sys.modules["__main__"]
    hidden = {name: getattr(main, name) for name in ("__spec__", "__file__") if hasattr(main, name)}
    main.__spec__ = None
    if "__file__" in hidden:
        del main.__file__
    try:
        yield
    finally:
        for name, value in hidden.items():
            setattr(main, name, value)


@contextlib.contextmanager
def _apart() -> Iterator[None]:
    """On Windows, start the process so that it outlives the script's console and job."""
    if sys.platform == "win32":
        from .windows_start import apart

        with apart():
            yield
    else:
        yield


@contextlib.contextmanager
def _sigint_blocked() -> Iterator[None]:
    """Let the process be born deaf to Ctrl-C, which reaches the whole foreground group of a terminal."""
    if not hasattr(signal, "pthread_sigmask"):  # Windows: the process ignores it once it runs
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
