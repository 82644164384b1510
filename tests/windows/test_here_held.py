"""Files that another program holds and does not share, as virus scanners and indexers do with a new one."""

import errno
import mmap
import msvcrt
import os
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from support.processes import Python

import mmspool
from mmspool import Spool, StorageError
from mmspool.persistence.capacity import probes
from mmspool.persistence.system import os_file, windows_calls, windows_file

pytestmark = pytest.mark.process

SCANNER = """
import ctypes, sys, time
from ctypes import wintypes
kernel = ctypes.WinDLL("kernel32", use_last_error=True)
kernel.CreateFileW.restype = wintypes.HANDLE
numbers = [wintypes.DWORD] * 2
kernel.CreateFileW.argtypes = (wintypes.LPCWSTR, *numbers, ctypes.c_void_p, *numbers, wintypes.HANDLE)
kernel.CloseHandle.argtypes = (wintypes.HANDLE,)
handle = kernel.CreateFileW(sys.argv[1], 0x80000000, 0, None, 3, 0x80, None)
assert handle != wintypes.HANDLE(-1).value, ctypes.get_last_error()
print("holds it", flush=True)
input()
time.sleep(float(sys.argv[2]))
kernel.CloseHandle(handle)
print("let go", flush=True)
input()
"""
"""Opens a file without sharing it, and closes it a while after it gets a line of text."""

FOR_A_MOMENT_S = 0.3


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Record a frame."""
    path = tmp_path / "run.h5"
    with Spool(path, buffer_bytes=4 << 20) as spool:
        spool.put(np.full((8, 8), 1, np.uint16))
    return path


@pytest.fixture
def scan(path: Path) -> Iterator[Callable[[float], Python]]:
    """Return a function that starts a program that holds the recording, and will let go after a time in seconds."""
    scanners: list[Python] = []

    def start(lets_go_after_s: float) -> Python:
        scanners.append(Python("-c", SCANNER, path, lets_go_after_s))
        assert scanners[-1].line() == "holds it\n"
        return scanners[-1]

    yield start
    for scanner in scanners:
        scanner.close()


def type_line(scanner: Python) -> None:
    """Let the program begin to count its time."""
    assert scanner.process.stdin
    scanner.process.stdin.write("\n")
    scanner.process.stdin.flush()


def replace(path: Path) -> None:
    """Record over the file."""
    with Spool(path, overwrite=True, buffer_bytes=4 << 20) as spool:
        spool.put(np.full((8, 8), 2, np.uint16))


ACTIONS = {
    "open to read": lambda path: os.close(os_file.open_file(path, os.O_RDONLY)),
    "open to write": lambda path: os.close(os_file.open_file(path, os.O_RDWR)),
    "open for direct writes": lambda path: os.close(os_file.open_direct(path)),
    "remove": os_file.remove_file,
    "replace": lambda path: os_file.replace_file(Path(path.with_suffix(".part")), path),
    "read a recording": lambda path: mmspool.open(path).close(),
    "record over it": replace,
    "repair": mmspool.repair,
}


@pytest.mark.parametrize("action", ACTIONS)
def test_a_file_that_is_held_for_a_moment(path: Path, scan: Callable[[float], Python], action: str) -> None:
    """Whatever is done with a file waits until a program that held it for a moment has let go."""
    path.with_suffix(".part").touch()
    scanner = scan(FOR_A_MOMENT_S)
    type_line(scanner)
    ACTIONS[action](path)
    assert scanner.line() == "let go\n"


@pytest.mark.parametrize("action", list(ACTIONS)[:5])
def test_a_file_that_stays_held(
    path: Path, scan: Callable[[float], Python], monkeypatch: pytest.MonkeyPatch, action: str
) -> None:
    """The wait ends with an error that has the file's name, and what to do."""
    path.with_suffix(".part").touch()
    scan(FOR_A_MOMENT_S)
    monkeypatch.setattr(windows_file, "holders", lambda _path: ["Scanner (process 4711)"])
    before = time.monotonic()
    with pytest.raises(OSError, match="has it open and does not share it: close it there") as caught:
        ACTIONS[action](path)
    assert time.monotonic() - before >= sum(windows_file._HELD_RETRY_S)
    assert caught.value.errno in (errno.EBUSY, errno.EACCES)
    assert caught.value.strerror.startswith("Scanner (process 4711) has it open")
    assert caught.value.filename == str(path)


def test_nobody_knows_who_holds_it(path: Path, scan: Callable[[float], Python]) -> None:
    """Where Windows names no program, the error says that it is another one."""
    scan(FOR_A_MOMENT_S)
    with pytest.raises(OSError, match="another program has it open and does not share it"):
        os_file.open_file(path, os.O_RDWR)


def test_a_recording_that_stays_held_is_not_replaced(path: Path, scan: Callable[[float], Python]) -> None:
    """A recording over a file that another program holds is refused with a sentence, and the file stays."""
    before = path.read_bytes()
    scanner = scan(FOR_A_MOMENT_S)
    with pytest.raises(StorageError, match="does not share it: close it there"):
        replace(path)
    type_line(scanner)
    assert scanner.line() == "let go\n"
    assert path.read_bytes() == before


def open_sharing_all(path: Path) -> int:
    """Open a file as considerate scanners do, which let others remove it meanwhile; return the descriptor."""
    handle = windows_calls.kernel.CreateFileW(os.fspath(path), 0x80000000, 0x7, None, 3, 0x80, None)
    windows_calls.check(handle != windows_file._INVALID_HANDLE, path)
    return msvcrt.open_osfhandle(handle, os.O_RDONLY)


def test_a_name_that_is_not_free_at_once(path: Path) -> None:
    """A removed file keeps its name while a program that allowed that has it open: a recording waits for the name."""
    descriptor = open_sharing_all(path)
    threading.Timer(FOR_A_MOMENT_S, os.close, (descriptor,)).start()
    replace(path)
    with mmspool.open(path) as recording:
        assert recording[0, 0, 0] == 2


def map_to_read(path: Path) -> mmap.mmap:
    """Map the whole file, as `np.memmap` does."""
    with path.open("r+b") as file:
        return mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)


@pytest.mark.parametrize("action", ["shorten", "remove", "replace"])
def test_a_file_that_is_mapped_for_a_moment(path: Path, action: str) -> None:
    """A file that a program has mapped into its memory is shortened, removed or replaced once it no longer is."""
    path.with_suffix(".part").touch()
    descriptor = os_file.open_file(path, os.O_RDWR)
    mapped = map_to_read(path)
    threading.Timer(FOR_A_MOMENT_S, mapped.close).start()
    if action == "shorten":
        os_file.truncate(descriptor, 100)
        assert os.fstat(descriptor).st_size == 100
    os.close(descriptor)
    if action != "shorten":
        ACTIONS[action](path)
    assert mapped.closed


def test_a_file_that_stays_mapped(path: Path) -> None:
    """A file that stays mapped cannot be shortened, and the error says what to do."""
    descriptor = os_file.open_file(path, os.O_RDWR)
    with map_to_read(path), pytest.raises(OSError, match="has it open and does not share it: close it") as caught:
        os_file.truncate(descriptor, 100)
    os.close(descriptor)
    assert caught.value.errno == errno.EBUSY


def test_what_a_killed_disk_test_has_left(tmp_path: Path) -> None:
    """The scratch file of a disk test that was killed is removed by the next one, and that of one that runs is not."""
    left, running = (tmp_path / f"{probes.SCRATCH_PREFIX}{name}" for name in ("1-dead", "2-running"))
    left.touch()
    descriptor = os_file.open_file(running, os.O_RDWR | os.O_CREAT | os.O_EXCL)
    probes.measure_disk(tmp_path, seconds=60.0, max_bytes=32 << 20)
    os.close(descriptor)
    assert list(tmp_path.iterdir()) == [running]
