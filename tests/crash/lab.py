"""What the crash tests share: numbered frames, a producer in a process of its own, ways to disturb its processes."""

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from enum import IntEnum
from pathlib import Path
from typing import Any, Self

import hdf5plugin  # noqa: F401 - for plain h5py to read what is compressed
import numpy as np
import numpy.typing as npt

import mmspool

Pixels = npt.NDArray[Any]

LIMIT_S = 120.0
"""How long anything may take that must come; a loaded machine needs some of it."""

SHM = Path("/dev/shm")

_HERE = Path(__file__).parent
_MULTIPLIER = 40503  # odd, so that neighbouring frames differ everywhere


class Slot(IntEnum):
    """Places of the int64 counters through which a producer and its test see each other."""

    PHASE = 0
    ORDERS = 1
    RETURNED = 2
    WRITER = 3
    WRITTEN = 4
    RESTARTS = 5
    RING_FRAMES = 6


class Phase(IntEnum):
    """How far a producer is."""

    STARTING = 0
    READY = 1
    STOPPED = 2
    ALL_PUT = 3
    ENDED = 4


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What a producer records.

    ``pauses`` are frames before which it waits until all is written, so that the block before stays partly filled;
    before frame ``stop`` it waits for an order. ``losses`` are frames before which it records a loss of three.
    ``block_bytes`` and ``growth_bytes`` replace the sizes of persistence/block_layout.py, for many blocks and growths
    in a small recording. With ``hold`` it waits for an order before it closes the spool.
    """

    path: str
    frames: int
    shape: tuple[int, int] = (64, 64)
    buffer_bytes: int = 16 << 20
    pauses: tuple[int, ...] = ()
    stop: int = -1
    losses: tuple[int, ...] = ()
    block_bytes: int = 0
    growth_bytes: int = 0
    hold: bool = False
    pace_s: float = 0.0
    options: dict[str, Any] = field(default_factory=dict)


def frame(index: int, shape: tuple[int, int]) -> Pixels:
    """Return frame ``index`` ``(Y, X)``, uint16, unlike any other."""
    return stack(index, 1, shape)[0]


def stack(first: int, count: int, shape: tuple[int, int]) -> Pixels:
    """Return frames ``first`` to ``first + count`` ``(T, Y, X)``: each starts with its index, in 64 bits."""
    size = shape[0] * shape[1]
    index = np.arange(first, first + count, dtype=np.int64)
    pixels = (index * _MULTIPLIER).astype(np.uint16)[:, None] + np.arange(size, dtype=np.uint16)
    pixels[:, :4] = index.view(np.uint16).reshape(-1, 4)
    return pixels.reshape(count, *shape)


def check_pixels(data: Any, count: int) -> None:
    """Compare frames 0 to ``count`` of a dataset ``(T, Y, X)``, every pixel."""
    shape = data.shape[1:]
    step = max(1, (8 << 20) // (2 * shape[0] * shape[1]))
    for first in range(0, count, step):
        part = data[first : min(count, first + step)]
        right = part == stack(first, len(part), shape)
        if not right.all():
            wrong = np.flatnonzero(~right.all(axis=(1, 2))) + first
            raise AssertionError(f"{len(wrong)} of {count} frames have wrong pixels: {wrong[:5]}")


def wait_until(condition: Callable[[], bool], what: str, limit_s: float = LIMIT_S) -> None:
    """Poll until something holds."""
    limit = time.monotonic() + limit_s
    while not condition():
        if time.monotonic() > limit:
            raise AssertionError(f"not within {limit_s:g} s: {what}")
        time.sleep(0.0005)


def ended(pid: int) -> bool:
    """Tell whether a process is gone, or is a zombie.

    A killed process's first thread is a zombie while the other ones may still hold its files and their locks.
    """
    process = Path(f"/proc/{pid}")
    try:
        dead = (process / "stat").read_text(encoding="ascii").rpartition(")")[2].split()[0] in "ZX"
        return dead and len(list((process / "task").iterdir())) <= 1
    except OSError:
        return True


def _command(pid: str) -> bytes:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:  # it ended meanwhile
        return b""


def other_threads(pid: int) -> list[int]:
    """Return all threads of a process but the first."""
    return [int(task.name) for task in Path(f"/proc/{pid}/task").iterdir() if int(task.name) != pid]


def kill(*pids: int) -> None:
    """Kill processes, as many as still are, at once."""
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


def need_strace() -> str:
    """Return where strace is; a machine without it, or without ptrace, cannot run these tests."""
    strace = shutil.which("strace")
    if strace is None:
        raise RuntimeError("the crash tests need strace: apt-get install strace")
    probe = [strace, "-qq", "-e", "trace=none", "-o", os.devnull, "true"]
    done = subprocess.run(probe, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"strace does not work here; ptrace must be allowed: {done.stderr.strip()}")
    return strace


@contextlib.contextmanager
def traced(threads: Sequence[int], *arguments: str) -> Iterator[Path]:
    """Attach strace to threads; it lets go when they end or at the end of the block. Yields where its log goes."""
    with tempfile.TemporaryDirectory(prefix="mmspool-strace-") as folder:
        log, said = Path(folder, "log"), Path(folder, "said")
        with said.open("wb") as errors:
            places = [word for thread in threads for word in ("-p", str(thread))]
            process = subprocess.Popen([need_strace(), "-o", str(log), *arguments, *places], stderr=errors)
        try:
            wait_until(
                lambda: process.poll() is not None or said.read_bytes().count(b" attached") >= len(threads),
                f"strace attaches to {threads}",
            )
            assert process.poll() is None or said.read_bytes().count(b" attached"), said.read_text()
            yield log
        finally:
            if process.poll() is None:
                process.send_signal(signal.SIGINT)  # it detaches
            process.wait(LIMIT_S)


class Producer:
    """A user's script that records numbered frames and says after each how far it is; see producer.py.

    Parameters
    ----------
    plan
        What it records.
    environment
        What its environment has besides.
    """

    def __init__(self, plan: Plan, environment: dict[str, str] | None = None) -> None:
        self.plan = plan
        self._folder = tempfile.TemporaryDirectory(prefix="mmspool-producer-")
        self.folder = Path(self._folder.name)
        counters = self.folder / "counters"
        counters.write_bytes(bytes(8 * len(Slot)))
        self._counters = np.memmap(counters, np.int64, "r+")
        environment = environment or {}
        paths = [environment.get("PYTHONPATH"), str(Path(mmspool.__file__).parents[1]), os.environ.get("PYTHONPATH")]
        path = {"PYTHONPATH": os.pathsep.join(filter(None, paths))}
        with (self.folder / "errors").open("wb") as errors:
            self.process = subprocess.Popen(
                [sys.executable, "-W", "error", str(_HERE / "producer.py"), str(self.folder), json.dumps(asdict(plan))],
                stdin=subprocess.DEVNULL,
                stdout=errors,
                stderr=errors,
                env={**os.environ, **environment, **path},
            )
        self.pid = self.process.pid

    def __getitem__(self, slot: Slot) -> int:
        return int(self._counters[slot])

    def order(self) -> None:
        """Let it go on."""
        self._counters[Slot.ORDERS] += 1

    def wait_for(self, condition: Callable[[], bool], what: str) -> None:
        """Poll until something holds, or the producer has died of an error."""
        try:
            wait_until(lambda: self.process.poll() is not None or condition(), what)
        except AssertionError as exc:
            self.process.send_signal(signal.SIGUSR1)
            time.sleep(0.5)  # it writes where its threads are
            raise AssertionError(f"{exc}\n{self.errors}") from None
        assert condition(), f"the producer ended before: {what}\n{self.errors}"

    def wait_for_phase(self, phase: Phase) -> None:
        """Wait until it is so far."""
        self.wait_for(lambda: self[Slot.PHASE] >= phase, f"phase {phase.name}")

    @property
    def errors(self) -> str:
        """What it and its processes said."""
        return (self.folder / "errors").read_text(encoding="utf-8", errors="replace")

    @property
    def writer(self) -> int:
        """The present persistence process."""
        return self[Slot.WRITER]

    def writers(self) -> list[int]:
        """Return the persistence processes that run; during a take-over there may be one of which no one knows yet."""
        children: list[str] = []
        with contextlib.suppress(OSError):  # it ended meanwhile
            for task in Path(f"/proc/{self.pid}/task").iterdir():
                children += (task / "children").read_text(encoding="ascii").split()
        return [int(child) for child in children if b"spawn_main" in _command(child)]

    def kill_all(self) -> None:
        """Kill it and its persistence processes at once."""
        with contextlib.suppress(ProcessLookupError):
            self.process.send_signal(signal.SIGSTOP)  # it starts no other one meanwhile
        writers = {*self.writers(), *filter(None, [self.writer])}
        kill(self.pid, *writers)
        wait_until(lambda: all(map(ended, writers)), "the killed processes end")

    def result(self) -> dict[str, Any]:
        """Wait for its end and return what its spool said then."""
        try:
            self.process.wait(LIMIT_S)
            return json.loads((self.folder / "result").read_bytes())  # type: ignore[no-any-return]
        except (OSError, ValueError, subprocess.TimeoutExpired) as exc:
            raise AssertionError(f"the producer did not end as it should: {exc}\n{self.errors}") from exc

    def wait_for_nothing_left(self) -> None:
        """Wait until its processes and its ring are gone."""
        wait_until(lambda: ended(self.writer), "the persistence process ends")
        wait_until(lambda: not any(SHM.glob(f"mmspool-{self.pid}-*")), "the ring is removed")

    def close(self) -> None:
        """End everything that is left."""
        if self.process.poll() is None:
            with contextlib.suppress(ProcessLookupError):
                self.process.send_signal(signal.SIGCONT)
            self.kill_all()
        self.process.wait(LIMIT_S)
        if self.writer:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.writer, signal.SIGCONT)
            if not ended(self.writer):
                kill(self.writer)
        self.wait_for_nothing_left()
        del self._counters
        self._folder.cleanup()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: object, exc: BaseException | None, trace: object) -> None:
        if exc is not None:
            exc.add_note(f"The producer: {self._counters}\n{self.errors}")
        self.close()
