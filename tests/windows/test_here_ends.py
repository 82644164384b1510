"""What ends a script on Windows: console events, the session's end, the editor's job object, a kill of the whole tree.

Wine has no console without a screen, so events come the way in which Windows' console delivers them: a thread that
starts in the process at ``CtrlRoutine``. Windows also ends the process when the handler of a closed console has
returned, or after five seconds; Wine does not, so the tests do. Likewise the messages of a session's end, which Wine
sends to nobody here, are sent as Windows sends them.
"""

import ctypes
import json
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

CTRL_C, CTRL_BREAK, CLOSE = 0, 1, 2
CLOSE_WINDOW, QUERY_END_SESSION, END_SESSION = 0x10, 0x11, 0x16
SHUT_DOWN, CLOSE_PROGRAM, LOG_OFF = 0, 1, 0x80000000
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

PATIENT = """
from mmspool.cli import main
from mmspool.driver import console_close
console_close._PATIENCE_S = 120
main()
"""
"""The command on a Windows that waits for longer, so that a slow machine does not matter."""

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
kernel.WaitForSingleObject.argtypes = (wintypes.HANDLE, wintypes.DWORD)

user = ctypes.WinDLL("user32", use_last_error=True)
ForEachWindow = ctypes.WINFUNCTYPE(wintypes.BOOL, wintypes.HWND, wintypes.LPARAM)
user.EnumWindows.argtypes = (ForEachWindow, wintypes.LPARAM)
user.GetWindowThreadProcessId.argtypes = (wintypes.HWND, ctypes.POINTER(wintypes.DWORD))
user.GetWindowTextW.argtypes = (wintypes.HWND, wintypes.LPWSTR, ctypes.c_int)
user.SendMessageTimeoutW.restype = wintypes.LPARAM
user.SendMessageTimeoutW.argtypes = (
    wintypes.HWND,
    wintypes.UINT,
    wintypes.WPARAM,
    wintypes.LPARAM,
    wintypes.UINT,
    wintypes.UINT,
    ctypes.POINTER(ctypes.c_size_t),
)


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., Python]]:
    """Return a function that starts Python in the test's folder."""
    started: list[Python] = []
    kernel.SetConsoleCtrlHandler(None, False)  # that Ctrl-C is ignored, as a service may have it, is inherited

    def run(*arguments: object) -> Python:
        started.append(Python(*arguments, cwd=tmp_path))
        return started[-1]

    yield run
    for process in started:
        process.close()


def send_event(process: Python, event: int, limit_s: float = LIMIT_S) -> None:
    """Deliver a console event to a process, as the console does; a closed one ends the process once that has let it."""
    routine = kernel.GetProcAddress(kernel.GetModuleHandleW("kernelbase"), b"CtrlRoutine")
    handle: Any = process.process
    thread = kernel.CreateRemoteThread(int(handle._handle), None, 0, routine, event, 0, None)
    assert thread, ctypes.WinError(ctypes.get_last_error())
    if event != CTRL_C:
        returned = kernel.WaitForSingleObject(thread, int(limit_s * 1000)) == 0
        if event == CLOSE or not returned:  # under Wine one in twenty hangs in ExitProcess, called by the routine
            process.kill()
    kernel.CloseHandle(thread)


def window_of(pid: int) -> int | None:
    """Return the window of a process that hears of the session's end, once there is one."""
    found = []
    owner, title = wintypes.DWORD(), ctypes.create_unicode_buffer(20)

    @ForEachWindow
    def look(window: int, _: int) -> bool:
        user.GetWindowThreadProcessId(window, ctypes.byref(owner))
        user.GetWindowTextW(window, title, len(title))
        if (owner.value, title.value) == (pid, "mmspool"):
            found.append(window)
        return True

    assert user.EnumWindows(look, 0)
    return found[0] if found else None


def send_message(window: int, message: int, number: int, how: int) -> int | None:
    """Send a message as Windows does and return the answer; None if the process ended instead."""
    answer = ctypes.c_size_t()
    sent = user.SendMessageTimeoutW(window, message, number, how, 0, int(LIMIT_S * 1000), ctypes.byref(answer))
    return answer.value if sent else None


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
    ],
)
def test_a_console_event_ends_the_command(
    start: Callable[..., Python], tmp_path: Path, wait_until: Callable[..., None], event: int | None, reason: str
) -> None:
    """`mmspool record` stops the camera and closes the file, and says in it what ended the recording."""
    process = start("-c", PATIENT if event is not None else BREAK, *RECORD)
    wait_until(lambda: frames_in(tmp_path / "run.h5") >= 20 or process.process.poll() is not None)
    assert process.process.poll() is None, process.end()
    if event is not None:
        send_event(process, event)
    else:
        (tmp_path / "break").touch()
    check_stopped(process, tmp_path / "run.h5", reason)


@pytest.mark.parametrize(("how", "name"), [(SHUT_DOWN, "computer shut down"), (LOG_OFF, "user logged off")])
def test_the_end_of_the_session_ends_the_command(
    start: Callable[..., Python], tmp_path: Path, wait_until: Callable[..., None], how: int, name: str
) -> None:
    """`mmspool record` lets Windows wait until it has closed the file, said so and ended."""
    process = start("-c", PATIENT, *RECORD)
    wait_until(lambda: frames_in(tmp_path / "run.h5") >= 20 or process.process.poll() is not None)
    assert process.process.poll() is None, process.end()
    wait_until(lambda: window_of(process.pid), "the window")
    window = window_of(process.pid)
    assert window
    assert send_message(window, CLOSE_WINDOW, 0, 0) == 0  # `taskkill`
    assert send_message(window, QUERY_END_SESSION, 0, CLOSE_PROGRAM) == 0  # an installer's question: no
    assert send_message(window, QUERY_END_SESSION, 0, how) == 1
    assert send_message(window, END_SESSION, 0, how) == 0  # somebody prevented it
    assert process.process.poll() is None
    assert send_message(window, QUERY_END_SESSION, 0, how) == 1
    send_message(window, END_SESSION, 1, how)
    process.kill()
    check_stopped(process, tmp_path / "run.h5", f"stopped by the user ({name})")


def check_stopped(process: Python, path: Path, reason: str) -> None:
    """Check what the command printed, and that the file says the same, and why the recording ended."""
    ended = process.end(limit_s=LIMIT_S)
    assert ended.out, ended.err
    result = json.loads(ended.out)
    with mmspool.open(path) as run:
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


@pytest.mark.parametrize("event", [CTRL_BREAK, CLOSE])
def test_a_console_event_ends_a_plain_script(start: Callable[..., Python], tmp_path: Path, event: int) -> None:
    """A script without handlers is ended at once; its writer process empties the ring and closes the file."""
    process = start("-c", SCRIPT)
    writer = begin(process)
    send_event(process, event, SYSTEM_LIMIT_S)
    process.process.wait(LIMIT_S)
    writer.wait(LIMIT_S)
    check(tmp_path / "run.h5", {"interrupted"}, 100)


def test_the_end_of_the_session_waits_for_the_writer(
    start: Callable[..., Python], tmp_path: Path, wait_until: Callable[..., None]
) -> None:
    """Windows ends a script without a window at once, and waits for its writer until it has closed the file."""
    process = start("-c", SCRIPT)
    writer = begin(process)
    wait_until(lambda: window_of(writer.pid))
    window = window_of(writer.pid)
    assert window
    assert window_of(process.pid) is None
    assert send_message(window, QUERY_END_SESSION, 0, SHUT_DOWN) == 1
    process.process.kill()
    assert send_message(window, END_SESSION, 1, SHUT_DOWN) is None
    check(tmp_path / "run.h5", {"interrupted"}, 100)
    writer.wait(LIMIT_S)


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
