"""A terminal that is closed, a service that is stopped, a batch system that warns: they signal the whole group."""

import os
import signal
import sys

import psutil
import pytest

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such signals")

DEADLY = sorted(
    signal.valid_signals()
    - {getattr(signal, name) for name in ("SIGKILL", "SIGSTOP", "SIGSEGV", "SIGBUS", "SIGFPE", "SIGILL", "SIGSYS")}
    - {getattr(signal, name) for name in ("SIGTRAP", "SIGCONT", "SIGCHLD", "SIGURG", "SIGWINCH")}
    - {getattr(signal, name) for name in ("SIGTSTP", "SIGTTIN", "SIGTTOU", "SIGPIPE", "SIGXFSZ")}
)
"""What ends a process by default, but for its own faults; some a Python process ignores."""
FEW = [number for number in DEADLY if number < signal.SIGRTMIN + 2 or number == signal.SIGRTMAX]

RECORD = """
    for number in signal.valid_signals():
        if number not in (signal.SIGKILL, signal.SIGSTOP) and callable(signal.getsignal(number)):
            signal.signal(number, signal.SIG_DFL)
    spool = Spool("run.h5", buffer_bytes=1 << 20)
    for index in range(50):
        spool.put(frame(index))
    print(spool._client.writer.pid, flush=True)
    time.sleep(300)
"""


@pytest.mark.parametrize("number", FEW, ids=lambda number: getattr(number, "name", str(number)))
def test_every_signal_leaves_the_writer_to_close_the_file(start, closed, gone, number):
    """The script dies of the signal; what it had put is in the file, which says that it was interrupted."""
    script = start(RECORD)
    writer = int(script.line())
    os.killpg(script.pid, number)
    assert script.process.wait(60) == -number
    assert closed() == ("interrupted", 50)
    gone(writer)


def test_all_of_them_to_the_writer_alone(start, closed):
    """Whoever sends signals to everything that is called Python does not reach the writer either."""
    script = start("""
        spool = Spool("run.h5", buffer_bytes=1 << 20)
        for index in range(20):
            spool.put(frame(index))
        print(spool._client.writer.pid, flush=True)
        input()
        for index in range(20, 40):
            spool.put(frame(index))
        print(spool.close().stats.writer_restarts, flush=True)
    """)
    writer = int(script.line())
    for number in DEADLY:
        os.kill(writer, number)
    assert script.end("\n").out == "0\n"
    assert closed() == ("complete", 40)


def test_stopped_and_continued_by_the_terminal(start, closed):
    """Ctrl-Z stops the script; the writer empties the ring meanwhile, and both go on."""
    script = start("""
        signal.signal(signal.SIGTSTP, signal.SIG_DFL)
        with Spool("run.h5", buffer_bytes=1 << 20) as spool:
            for index in range(50):
                spool.put(frame(index))
            print(spool._client.writer.pid, flush=True)
            input()
    """)
    writer = psutil.Process(int(script.line()))
    os.killpg(script.pid, signal.SIGTSTP)
    assert writer.status() != psutil.STATUS_STOPPED
    os.killpg(script.pid, signal.SIGCONT)
    assert script.end("\n").code == 0
    assert closed() == ("complete", 50)


def test_the_signals_of_the_script_stay_as_they_were(start):
    """Making a spool changes neither handlers nor the mask of any signal."""
    script = start("""
        def look():
            handlers = [signal.getsignal(number) for number in sorted(signal.valid_signals())]
            return handlers, signal.pthread_sigmask(signal.SIG_BLOCK, ())
        before = look()
        with Spool("run.h5", buffer_bytes=1 << 20) as spool:
            spool.put(frame(0))
            assert look() == before
        assert look() == before
    """)
    assert script.end().code == 0
