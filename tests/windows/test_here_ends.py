"""What ends a script on Windows: console events, the editor's job object, a kill of the whole tree.

Wine has no console without a screen, so events come the way in which Windows' console delivers them: a thread that
starts in the process at ``CtrlRoutine``. Windows also ends the process when the handler of a closed console has
returned, or after five seconds; Wine does not, so the test of plain scripts does.
"""

import ctypes
import json
import subprocess
from collections.abc import Callable, Iterator
from ctypes import wintypes
from pathlib import Path
from typing import Any

import h5py
import psutil
import pytest
from support.processes import Python, kill_tree

import mmspool

pytestmark = pytest.mark.process

CTRL_C, CTRL_BREAK, CLOSE, LOGOFF, SHUTDOWN = 0, 1, 2, 5, 6
KILL_ON_CLOSE, BREAKAWAY_OK = 0x2000, 0x800
LIMIT_S = 120.0
SYSTEM_LIMIT_S = 5.0  # after which Windows ends a process whose console was closed

RECORD = [
    "record",
    "run.h5",
    "--mock",
    "--roi",
    "0,0,64,64",
    "--exposure",
    "5",
    "--buffer-mb",
    "16",
    "--json",
]

SCRIPT = """
import sys
import numpy as np
from mmspool import Spool
sys.stdin.readline()
spool = Spool("run.h5", shape=(64, 64), dtype="u2", buffer_bytes=4 << 20)
for index in range(100):
    spool.put(np.full((64, 64), index, "u2"))
print(spool._client.writer.pid, flush=True)
sys.stdin.readline()
"""
"""Records 100 frames after a line of input, and waits for another one with the spool open."""

BREAK = """
import pathlib, signal, threading, time
def wait():
    while not pathlib.Path("break").exists():
        time.sleep(0.05)
    signal.raise_signal(signal.SIGBREAK)
threading.Thread(target=wait, daemon=True).start()
from mmspool.cli import main
main()
"""
"""The command, with Ctrl-Break when there is a file of that name: Wine's C runtime makes no signal of the event."""

kernel = ctypes.WinDLL("kernel32", use_last_error=True)
kernel.GetModuleHandleW.restype = kernel.GetProcAddress.restype = ctypes.c_void_p
kernel.GetProcAddress.argtypes = (ctypes.c_void_p, ctypes.c_char_p)
kernel.CreateRemoteThread.restype = kernel.CreateJobObjectW.restype = wintypes.HANDLE
kernel.CreateRemoteThread.argtypes = (
    wintypes.HANDLE,
    ctypes.c_void_p,
    ctypes.c_size_t,
    ctypes.c_void_p,
    ctypes.c_void_p,
    wintypes.DWORD,
    ctypes.c_void_p,
)
kernel.SetInformationJobObject.argtypes = (wintypes.HANDLE, ctypes.c_int, ctypes.c_void_p, wintypes.DWORD)
kernel.AssignProcessToJobObject.argtypes = (wintypes.HANDLE, wintypes.HANDLE)
kernel.TerminateJobObject.argtypes = (wintypes.HANDLE, wintypes.UINT)
kernel.CloseHandle.argtypes = (wintypes.HANDLE,)


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., Python]]:
    """Return a function that starts Python in the test's folder."""
    started: list[Python] = []

    def run(*arguments: object) -> Python:
        started.append(Python(*arguments, cwd=tmp_path))
        return started[-1]

    yield run
    for process in started:
        process.close()


def send_event(process: Python, event: int) -> None:
    """Deliver a console event to a process, as the console does."""
    routine = kernel.GetProcAddress(kernel.GetModuleHandleW("kernelbase"), b"CtrlRoutine")
    handle: Any = process.process
    thread = kernel.CreateRemoteThread(int(handle._handle), None, 0, routine, event, 0, None)
    assert thread, ctypes.WinError(ctypes.get_last_error())
    kernel.CloseHandle(thread)


def put_into_job(process: Python, limits: int) -> int:
    """Put a process into a new job object, as editors do, and return the job."""
    job = kernel.CreateJobObjectW(None, None)
    information = (ctypes.c_uint32 * 36)()  # JOBOBJECT_EXTENDED_LIMIT_INFORMATION, whose limits are at byte 16
    information[4] = limits
    handle: Any = process.process
    assert kernel.SetInformationJobObject(job, 9, information, ctypes.sizeof(information))
    assert kernel.AssignProcessToJobObject(job, int(handle._handle))
    return int(job)


def type_line(process: Python) -> None:
    """Type a line into a process."""
    assert process.process.stdin
    process.process.stdin.write("\n")
    process.process.stdin.flush()


def begin(process: Python) -> psutil.Process:
    """Let the script record, and return its writer process."""
    type_line(process)
    return psutil.Process(int(process.line()))


def check(path: Path, states: set[str], frames: int) -> None:
    """Check that all frames are in the file, in order, and how it ended."""
    with mmspool.open(path) as run:
        assert run.state in states
        assert len(run) == frames
        assert [int(run[index][0, 0]) for index in range(frames)] == list(range(frames))


@pytest.mark.parametrize(
    ("event", "reason"),
    [
        (CTRL_C, "stopped by the user"),
        (None, "stopped by the user (SIGBREAK)"),
        (CLOSE, "stopped by the user (console closed)"),
        (LOGOFF, "stopped by the user (user logged off)"),
        (SHUTDOWN, "stopped by the user (computer shut down)"),
    ],
)
def test_a_console_event_ends_the_command(
    start: Callable[..., Python], tmp_path: Path, wait_until: Callable[..., None], event: int | None, reason: str
) -> None:
    """`mmspool record` stops the camera and closes the file, and says in it what ended the recording."""
    process = start("-m", "mmspool", *RECORD) if event is not None else start("-c", BREAK, *RECORD)
    wait_until(lambda: frames_in(tmp_path / "run.h5") >= 20)
    if event is not None:
        send_event(process, event)
    else:
        (tmp_path / "break").touch()
    ended = process.end(limit_s=LIMIT_S)
    assert ended.out, ended.err
    result = json.loads(ended.out)
    with mmspool.open(tmp_path / "run.h5") as run:
        assert result["end_reason"] == "stopped by the user"
        assert (run.end_reason, run.state) == (reason, "complete")
        assert len(run) == result["frames_written"] >= 20
        assert run.frames_lost == 0


def frames_in(path: Path) -> int:
    """Return how many frames are in a file that may not be there yet."""
    try:
        with h5py.File(path, "r", locking=False) as file:
            return int(file["entry/instrument/detector/ledger/frames_written"][()])
    except (OSError, KeyError):
        return 0


@pytest.mark.parametrize("event", [CTRL_BREAK, CLOSE, LOGOFF, SHUTDOWN])
def test_a_console_event_ends_a_plain_script(start: Callable[..., Python], tmp_path: Path, event: int) -> None:
    """A script without handlers is ended at once; its writer process empties the ring and closes the file."""
    process = start("-c", SCRIPT)
    writer = begin(process)
    send_event(process, event)
    try:  # with its input open, for the end of which it waits too
        process.process.wait(LIMIT_S if event == CTRL_BREAK else SYSTEM_LIMIT_S)
    except subprocess.TimeoutExpired:  # under Wine one in twenty hangs while it ends
        assert event != CTRL_BREAK
        process.process.kill()  # as Windows does
    writer.wait(LIMIT_S)
    check(tmp_path / "run.h5", {"interrupted"}, 100)


def test_the_writer_has_no_console(start: Callable[..., Python]) -> None:
    """The writer process belongs to no console, whose end would reach it."""
    process = start("-c", SCRIPT.replace("np.full", "(np.full)"))
    writer = begin(process)
    attached = kernel.AttachConsole(writer.pid)
    assert not attached
    assert process.end("\n", limit_s=LIMIT_S).code == 0


def test_an_editor_s_job_ends(start: Callable[..., Python], tmp_path: Path) -> None:
    """When the job object that a script runs in is ended, the writer process, which left it, closes the file."""
    process = start("-c", SCRIPT)
    job = put_into_job(process, KILL_ON_CLOSE | BREAKAWAY_OK)
    writer = begin(process)
    assert kernel.TerminateJobObject(job, 1)
    process.process.wait(LIMIT_S)
    writer.wait(LIMIT_S)
    check(tmp_path / "run.h5", {"interrupted"}, 100)
    kernel.CloseHandle(job)


def test_a_job_that_none_may_leave(start: Callable[..., Python], tmp_path: Path) -> None:
    """A job object that no process may leave ends both: the file opens, and `repair` makes it exact."""
    process = start("-c", SCRIPT)
    job = put_into_job(process, KILL_ON_CLOSE)
    writer = begin(process)
    kernel.CloseHandle(job)
    process.process.wait(LIMIT_S)
    writer.wait(LIMIT_S)
    mmspool.repair(tmp_path / "run.h5")
    with mmspool.open(tmp_path / "run.h5") as run:
        assert [int(frame[0, 0]) for frame in run[:]] == list(range(len(run)))
    assert mmspool.verify(tmp_path / "run.h5").intact


def test_the_whole_tree_is_ended(start: Callable[..., Python], tmp_path: Path) -> None:
    """The task manager's "End process tree" leaves a file that opens, and that `repair` makes exact."""
    process = start("-c", SCRIPT)
    writer = begin(process)
    kill_tree(process.pid)
    writer.wait(LIMIT_S)
    process.end(limit_s=LIMIT_S)
    mmspool.repair(tmp_path / "run.h5")
    with mmspool.open(tmp_path / "run.h5") as run:
        assert [int(frame[0, 0]) for frame in run[:]] == list(range(len(run)))
    assert mmspool.verify(tmp_path / "run.h5").intact
