"""What the tests of the persistence layer share: numbered frames, small spools, scripts in processes of their own."""

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import numpy.typing as npt
import psutil
import pytest
from support.in_process_writer import InProcessWriter
from support.processes import ring_holders

import mmspool
from mmspool import RecordingError, Spool

Frame = npt.NDArray[Any]

LEDGER = "entry/instrument/detector/ledger"
SMALL_RING = 1 << 20

_COVERAGE = "ignore:Module mmspool was previously imported"  # what coverage says about a script's writer
_PLACES = [str(Path(mmspool.__file__).parents[1]), *filter(None, [os.environ.get("PYTHONPATH")])]
_ENVIRONMENT = {**os.environ, "PYTHONPATH": os.pathsep.join(_PLACES)}


class Frames:
    """Frames whose pixels tell which one they are."""

    shape = (24, 32)

    def __call__(self, index: int, shape: tuple[int, int] = shape, dtype: npt.DTypeLike = "<u2") -> Frame:
        """Make frame ``index``: a gradient that starts at its number, whose first pixel is the number itself."""
        size = shape[0] * shape[1]
        return (np.arange(index, index + size, dtype=np.int64) & 0xFFFF).astype(dtype).reshape(shape)

    def stack(self, count: int, shape: tuple[int, int] = shape, dtype: npt.DTypeLike = "<u2") -> Frame:
        """Make frames 0 to ``count`` ``(T, Y, X)``."""
        return np.stack([self(index, shape, dtype) for index in range(count)])

    def check(self, path: Path, count: int) -> None:
        """Read a recording with h5py alone: it must hold frames 0 to ``count``, each in its place."""
        with h5py.File(path, "r") as file:
            data = file["data"]
            assert data.shape[0] == count
            for index in range(count):
                np.testing.assert_array_equal(data[index], self(index, data.shape[1:], data.dtype))


@pytest.fixture(scope="session")
def frames() -> Frames:
    """Return the maker of numbered frames."""
    return Frames()


class MakeSpool:
    """Makes spools with small rings, and remembers them until the test is over."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._made: list[Spool] = []

    def __call__(self, name: str = "run.h5", /, **options: Any) -> Spool:
        """Make a spool to a file of that name."""
        spool = Spool(self._folder / name, **{"buffer_bytes": SMALL_RING, **options})
        self._made.append(spool)
        return spool

    def forget(self) -> None:
        """Close what is still open, and remember nothing."""
        for spool in self._made:
            with contextlib.suppress(Exception):  # closed already, or failed, as the test had it
                spool.close()
        self._made.clear()


@pytest.fixture
def make_spool(processes: None, tmp_path: Path) -> Iterator[MakeSpool]:
    """Return what makes spools with a small ring; what a failed test leaves open is closed afterwards."""
    make = MakeSpool(tmp_path)
    yield make
    make.forget()


def writer_pid(spool: Spool) -> int:
    """Return the id of the spool's persistence process."""
    pid = spool._client.writer_pid
    assert pid
    return pid


class Writer:
    """The persistence process of a spool, to be disturbed."""

    def __init__(self, spool: Spool) -> None:
        self.process = psutil.Process(writer_pid(spool))

    @contextlib.contextmanager
    def stopped(self) -> Iterator[None]:
        """Have it write nothing in the meantime."""
        self.process.suspend()
        try:
            yield
        finally:
            with contextlib.suppress(psutil.NoSuchProcess):  # killed meanwhile
                self.process.resume()

    def kill(self) -> None:
        """Kill it."""
        self.process.kill()

    def limit_files(self, size_bytes: int) -> None:
        """Refuse it files larger than that, as a full disk would: the kernel says "file too large" then."""
        self.process.rlimit(psutil.RLIMIT_FSIZE, (size_bytes, -1))

    def ended(self) -> bool:
        """Tell whether it is gone."""
        try:
            return self.process.status() == psutil.STATUS_ZOMBIE
        except psutil.NoSuchProcess:
            return True


@pytest.fixture(scope="session")
def writer_of() -> type[Writer]:
    """Return what gets hold of a spool's persistence process."""
    return Writer


@dataclass
class Script:
    """A user's script that runs in a process of its own, in its own process group."""

    process: "subprocess.Popen[str]"

    def rings(self) -> list[int]:
        """Return the processes that still have the shared memory that it made."""
        return ring_holders(self.process.pid)

    def line(self) -> str:
        """Return the next line it prints, an empty string at the end."""
        assert self.process.stdout
        return self.process.stdout.readline()

    def kill(self) -> None:
        """Kill the script, not what it started."""
        self.process.kill()

    def interrupt(self) -> None:
        """Press Ctrl-C: every process of the foreground group gets it."""
        os.killpg(self.process.pid, signal.SIGINT)

    def end(self) -> tuple[str, str]:
        """Wait for its end; return what else it printed, and its errors."""
        return self.process.communicate(timeout=60)


@pytest.fixture
def start_script(
    processes: None, tmp_path: Path, wait_until: Callable[[Callable[[], bool]], None]
) -> Iterator[Callable[..., Script]]:
    """Return a function that starts Python source as a script file, as ``-c`` or through standard input.

    Whatever becomes of the script, none of its shared memory may be left.
    """
    started: list[Script] = []

    def start(source: str, *, way: str = "file") -> Script:
        place = tmp_path / "script.py"
        place.write_text(source, encoding="utf-8")
        arguments = {"file": [str(place)], "option": ["-c", source], "input": ["-"]}[way]
        with place.open() if way == "input" else contextlib.nullcontext() as given:
            process = subprocess.Popen(
                [sys.executable, "-W", _COVERAGE, *arguments],
                stdin=given or subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
                cwd=tmp_path,
                env=_ENVIRONMENT,
                start_new_session=True,
            )
        started.append(Script(process))
        return started[-1]

    yield start
    for script in started:
        if script.process.poll() is None:
            script.kill()
        if script.process.stdout and not script.process.stdout.closed:
            script.end()
        wait_until(lambda: not script.rings())  # noqa: B023 - it is called at once


@pytest.fixture(scope="session")
def ledger_of() -> Callable[[Path], dict[str, Any] | None]:
    """Return a function that reads a recording's ledger with h5py alone; None while the file cannot be read."""

    def read(path: Path) -> dict[str, Any] | None:
        try:
            with h5py.File(path, "r") as file:
                return {name: value[()] for name, value in file[LEDGER].items()} | {"capacity": file["data"].shape[0]}
        except OSError:
            return None

    return read


@pytest.fixture(scope="session")
def state_of() -> Callable[[Path], str]:
    """Return a function that reads a recording's state; an empty string while the file cannot be read."""

    def read(path: Path) -> str:
        try:
            with mmspool.open(path) as recording:
                return recording.state
        except RecordingError:
            return ""

    return read


@pytest.fixture
def make_bench(tmp_path: Path) -> Iterator[Callable[[str | None], InProcessWriter]]:
    """Return a function that makes a ring and its writer in this process; the ring is gone afterwards."""
    with contextlib.ExitStack() as made:

        def make(compression: str | None = None) -> InProcessWriter:
            bench = InProcessWriter(tmp_path / "run.h5", compression)
            made.callback(bench.ring.close)
            return bench

        yield make
