"""A producer of numbered frames in a process of its own, for tests that kill and disturb it."""

import contextlib
import fcntl
import json
import os
import signal
import subprocess
import sys
import tempfile
import termios
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from enum import IntEnum
from pathlib import Path
from typing import Any, Self

import hdf5plugin  # noqa: F401 - for plain h5py to read what is compressed
import numpy as np
import psutil
from support.paths import environment
from support.processes import LIMIT_S, children, command_line, ended, kill, ring_holders
from support.waiting import wait_until

from mmspool.persistence.writer_process.messages import ENVIRONMENT

_HERE = Path(__file__).parent


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
    in a small recording. With ``hold`` it waits for an order before it closes the spool. With ``columns`` each frame
    has values of its own columns, with ``slots`` every other one is filled in its place.
    """

    path: str
    frames: int
    shape: tuple[int, ...] = (64, 64)
    buffer_bytes: int = 16 << 20
    pauses: tuple[int, ...] = ()
    stop: int = -1
    losses: tuple[int, ...] = ()
    block_bytes: int = 0
    growth_bytes: int = 0
    hold: bool = False
    columns: bool = False
    slots: bool = False
    pace_s: float = 0.0
    options: dict[str, Any] = field(default_factory=dict)


class Producer:
    """A user's script that records numbered frames and says after each how far it is; see producer.py.

    Parameters
    ----------
    plan
        What it records.
    **changes
        Variables of its environment; see `support.paths.environment`.
    """

    def __init__(self, plan: Plan, **changes: str) -> None:
        self.plan = plan
        self._folder = tempfile.TemporaryDirectory(prefix="mmspool-producer-")
        self.folder = Path(self._folder.name)
        counters = self.folder / "counters"
        counters.write_bytes(bytes(8 * len(Slot)))
        self._counters = np.memmap(counters, np.int64, "r+")
        with (self.folder / "errors").open("wb") as errors:
            self.process = subprocess.Popen(
                [sys.executable, "-W", "error", str(_HERE / "producer.py"), str(self.folder), json.dumps(asdict(plan))],
                stdin=subprocess.DEVNULL,
                stdout=errors,
                stderr=errors,
                env=environment(**changes),
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
            self.process.send_signal(signal.SIGUSR1)  # it writes where its threads are
            with contextlib.suppress(AssertionError):
                wait_until(lambda: "most recent call first" in self.errors, "its traceback")
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
        """The present writer process."""
        return self[Slot.WRITER]

    def writers(self) -> list[int]:
        """Return the writer processes that run; during a take-over there may be one of which no one knows yet."""
        return [child for child in children(self.pid) if "writer_process" in command_line(child)]

    def is_told(self, writer: int) -> bool:
        """Return whether a writer process knows what to record: its message is in the pipe, or was read."""
        with contextlib.suppress(OSError, psutil.Error, KeyError):  # it has just begun, or has ended
            process = psutil.Process(writer)
            pipe = json.loads(process.environ()[ENVIRONMENT])["messages"]
            descriptor = os.open(f"/proc/{writer}/fd/{pipe}", os.O_RDONLY | os.O_NONBLOCK)
            try:
                waiting = int.from_bytes(fcntl.ioctl(descriptor, termios.FIONREAD, bytes(4)), sys.byteorder)
            finally:
                os.close(descriptor)
            return waiting > 0 or self.plan.path in {file.path for file in process.open_files()}
        return False

    def kill_all(self) -> None:
        """Kill it and its writer processes at once."""
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
        wait_until(lambda: ended(self.writer), "the writer process ends")
        wait_until(lambda: not ring_holders(self.pid), "the ring is gone")

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
