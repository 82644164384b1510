"""What the tests of the persistence layer share: numbered frames, small spools, scripts in processes of their own."""

import contextlib
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import numpy.typing as npt
import psutil
import pytest
from support.frames import SHAPE, check_frames, frame, noise, stack
from support.in_process_writer import InProcessWriter
from support.processes import Python, limit_files

import mmspool
from mmspool import RecordingError, Spool

LEDGER = "entry/instrument/detector/ledger"
SMALL_RING = 1 << 20

SINKS = {"test_lifecycle", "test_full_ring", "test_writer_fails", "test_writer_killed", "test_producer_dies"}
"""Modules whose spools are made twice: one stores raw, one compresses."""


COUNTED_IN_BYTES = {"test_writer_fails"}
"""Modules whose disks are full after so many frames: compressed ones are as large as raw ones there."""


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run the tests of a sink over both of them."""
    module = metafunc.module.__name__.rpartition(".")[2]
    if module in SINKS and "frames" in metafunc.fixturenames:
        ways = [(None, True), ("universal", module not in COUNTED_IN_BYTES)]
        metafunc.parametrize("frames", ways, ids=["raw", "compressed"], indirect=True, scope="session")


class Frames:
    """Numbered frames that are stored in one way; compressed ones are large enough to be compressed.

    Those that are not ``compressible`` are noise, in which the codec finds nothing.
    """

    def __init__(self, compression: str | None, *, compressible: bool = True) -> None:
        self.compression = compression
        self._compressible = compressible
        self.shape = SHAPE if compression is None else (160, 160)

    def __call__(
        self, index: int, shape: tuple[int, int] | None = None, dtype: npt.DTypeLike = "<u2"
    ) -> npt.NDArray[Any]:
        """Return frame ``index``; its first pixel is the number itself, unless it is noise."""
        if not self._compressible:
            return noise(index, shape or self.shape)
        return frame(index, shape or self.shape, dtype)

    def stack(self, count: int, shape: tuple[int, int] | None = None, dtype: npt.DTypeLike = "<u2") -> npt.NDArray[Any]:
        """Return frames 0 to ``count`` ``(T, Y, X)``."""
        return stack(0, count, shape or self.shape, dtype)

    def check(self, path: Path, count: int) -> None:
        """Read a recording with h5py alone: it must hold frames 0 to ``count``, each in its place."""
        with h5py.File(path, "r", locking=False) as file:
            assert file["data"].shape[0] == count
            if self._compressible:
                check_frames(file["data"], count)
            for index in range(0 if self._compressible else count):
                np.testing.assert_array_equal(file["data"][index], noise(index, file["data"].shape[1:]))


@pytest.fixture(scope="session")
def frames(request: pytest.FixtureRequest) -> Frames:
    """Return the maker of numbered frames."""
    compression, compressible = getattr(request, "param", (None, True))
    return Frames(compression, compressible=compressible)


class MakeSpool:
    """Makes spools with small rings, and remembers them until the test is over."""

    def __init__(self, folder: Path, **options: Any) -> None:
        self._folder = folder
        self._options = {"buffer_bytes": SMALL_RING, **options}
        self._made: list[Spool] = []

    def __call__(self, name: str = "run.h5", /, **options: Any) -> Spool:
        """Make a spool to a file of that name."""
        spool = Spool(self._folder / name, **{**self._options, **options})
        self._made.append(spool)
        return spool

    def forget(self) -> None:
        """Close what is still open, and remember nothing."""
        for spool in self._made:
            with contextlib.suppress(Exception):  # closed already, or failed, as the test had it
                spool.close()
        self._made.clear()


@pytest.fixture
def make_spool(processes: None, tmp_path: Path, frames: Frames) -> Iterator[MakeSpool]:
    """Return what makes spools with a small ring; what a failed test leaves open is closed afterwards."""
    stored = {"compression": frames.compression, "buffer_bytes": 4 * SMALL_RING} if frames.compression else {}
    make = MakeSpool(tmp_path, **stored)
    yield make
    make.forget()


def writer_pid(spool: Spool) -> int:
    """Return the id of the spool's writer process."""
    pid = spool._client.writer.pid
    assert pid
    return pid


class Writer:
    """The writer process of a spool, to be disturbed."""

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
        limit_files(self.process.pid, size_bytes)

    def ended(self) -> bool:
        """Return whether it is gone."""
        try:
            return self.process.status() == psutil.STATUS_ZOMBIE
        except psutil.NoSuchProcess:
            return True


@pytest.fixture(scope="session")
def writer_of() -> type[Writer]:
    """Return what gets hold of a spool's writer process."""
    return Writer


@pytest.fixture
def start_script(processes: None, tmp_path: Path, frames: Frames) -> Iterator[Callable[..., Python]]:
    """Return a function that starts Python source as a script file, as ``-c`` or through standard input.

    The source finds `Spool`, which stores as `frames` says, and ``frame(index)``. Whatever becomes of the script, none
    of its shared memory may be left.
    """
    given = {"compression": frames.compression} if frames.compression else {}
    preamble = f"""
from functools import partial
from support.frames import frame
from mmspool import Spool
frame, Spool = partial(frame, shape={frames.shape}), partial(Spool, **{given})
"""
    with contextlib.ExitStack() as started:

        def start(source: str, *, way: str = "file") -> Python:
            place = tmp_path / "script.py"
            place.write_text(preamble + source, encoding="utf-8")
            arguments = {"file": [place], "option": ["-c", preamble + source], "input": ["-"]}[way]
            with place.open() if way == "input" else contextlib.nullcontext() as typed:
                return started.enter_context(Python(*arguments, cwd=tmp_path, stdin=typed or subprocess.PIPE))

        yield start


@pytest.fixture(scope="session")
def ledger_of() -> Callable[[Path], dict[str, Any] | None]:
    """Return a function that reads a recording's ledger with h5py alone; None while the file cannot be read."""

    def read(path: Path) -> dict[str, Any] | None:
        try:
            with h5py.File(path, "r", locking=False) as file:
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
