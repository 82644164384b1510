"""The user's script ends as it should not: the writer process saves what was put and closes the file."""

import numpy as np
import psutil
import pytest

import mmspool


def gone(pid):
    """Return whether a process is gone."""
    try:
        return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def check_interrupted(path, frames, reason, count=None):
    """Read a file that was closed after an interruption: it says why, and holds its frames; return how many."""
    with mmspool.open(path) as recording:
        assert recording.state == "interrupted"
        assert reason in recording.end_reason
        held = len(recording)
    assert count is None or held == count
    frames.check(path, held)
    return held


@pytest.mark.parametrize("buffer_bytes", [300_000, 8 << 20])
def test_killed(start_script, frames, tmp_path, wait_until, state_of, buffer_bytes):
    """After SIGKILL every frame whose `put` had returned is in the file, and the writer ends."""
    script = start_script(f"""
spool = Spool("run.h5", buffer_bytes={buffer_bytes})
print(spool._client.writer.pid, flush=True)
index = 0
while True:
    spool.put(frame(index))
    print(index, flush=True)
    index += 1
""")
    writer_pid = int(script.line())
    while int(script.line()) < 300:
        pass
    script.kill()
    printed = script.end().out
    last = int((printed.rpartition("\n")[0] or "300").rpartition("\n")[2])
    wait_until(lambda: state_of(tmp_path / "run.h5") == "interrupted")
    wait_until(lambda: gone(writer_pid))
    assert check_interrupted(tmp_path / "run.h5", frames, "the recording process died") >= last + 1
    with mmspool.open(tmp_path / "run.h5") as recording:
        assert (recording.frame_table()["sequence_number"] == np.arange(len(recording))).all()


WRITERS_WAIT = """
import dataclasses

def waiting(launch):
    *command, code = launch.command
    wait = "import os, time\\nwhile not os.path.exists('go'): time.sleep(0.01)\\n"
    return dataclasses.replace(launch, command=(*command, wait + code))
"""
"""What starts writer processes that do nothing until there is a file ``go``."""


def kill_and_let_the_writer_go(script, folder, wait_until):
    """Kill a script that has printed the id of its waiting writer process, then let that one run to its end."""
    writer_pid = int(script.line())
    script.kill()
    script.process.wait(60)
    (folder / "go").touch()
    wait_until(lambda: gone(writer_pid))


def test_killed_while_the_first_writer_starts(start_script, tmp_path, wait_until):
    """A script that is killed before its writer process has attached to the ring leaves no writer behind."""
    script = start_script(f"""{WRITERS_WAIT}
from mmspool.persistence.writer_process import client
client.Launch = type("Launch", (), {{"from_here": lambda launch=client.Launch.from_here(): waiting(launch)}})
spool = Spool("run.h5", buffer_bytes=1 << 20)
print(spool._client.writer.pid, flush=True)
input()
""")
    kill_and_let_the_writer_go(script, tmp_path, wait_until)


def test_killed_while_a_new_writer_starts(start_script, frames, tmp_path, wait_until, state_of):
    """A process that takes over from a killed writer saves every frame of a script that was killed meanwhile."""
    script = start_script(f"""{WRITERS_WAIT}
import time
spool = Spool("run.h5", buffer_bytes=8 << 20, shape={frames.shape}, dtype="<u2", metadata={{"notes": "long" * 50_000}})
writer = spool._client.writer
writer._launch = waiting(writer._launch)
for index in range(20):
    spool.put(frame(index))
killed = writer.pid
writer.kill()
while writer.pid == killed:
    time.sleep(0.001)
for index in range(20, 40):
    spool.put(frame(index))
print(writer.pid, flush=True)
input()
""")
    kill_and_let_the_writer_go(script, tmp_path, wait_until)
    assert state_of(tmp_path / "run.h5") == "interrupted"
    check_interrupted(tmp_path / "run.h5", frames, "the recording process died", 40)


def test_killed_before_the_first_frame(start_script, tmp_path, wait_until):
    """A script that is killed before its first frame leaves no writer behind."""
    script = start_script("""
spool = Spool("run.h5", buffer_bytes=1 << 20)
print(spool._client.writer.pid, flush=True)
input()
""")
    writer_pid = int(script.line())
    script.kill()
    script.end()
    wait_until(lambda: gone(writer_pid))


def test_killed_while_the_writer_is_behind(start_script, frames, tmp_path, wait_until, state_of):
    """A full ring is written out after its producer's death."""
    script = start_script(f"""
spool = Spool("run.h5", buffer_bytes=1 << 20, shape={frames.shape}, dtype="<u2")
print(spool._client.writer.pid, flush=True)
input()
for index in range(spool.stats.ring_frames):
    spool.put(frame(index))
print(spool.stats.frames_put, spool.stats.frames_written, flush=True)
input()
""")
    writer = psutil.Process(int(script.line()))
    writer.suspend()
    try:
        script.process.stdin.write("\n")
        script.process.stdin.flush()
        put, written = map(int, script.line().split())
        script.kill()
        script.process.wait(60)
    finally:
        writer.resume()
    assert written == 0
    wait_until(lambda: state_of(tmp_path / "run.h5") == "interrupted")
    wait_until(lambda: gone(writer.pid))
    check_interrupted(tmp_path / "run.h5", frames, "the recording process died", put)


def test_never_closed(start_script, frames, tmp_path):
    """A script that forgets to close has its file closed at its end, without a word on its error output."""
    script = start_script("""
spool = Spool("run.h5", buffer_bytes=1 << 20)
for index in range(40):
    spool.put(frame(index))
""")
    code, _, errors = script.end()
    assert (code, errors) == (0, "")
    check_interrupted(tmp_path / "run.h5", frames, "the script ended without closing", 40)


def test_never_closed_and_never_used(start_script, tmp_path):
    """A spool that was only made leaves nothing."""
    script = start_script("spool = Spool('run.h5', buffer_bytes=1 << 20)")
    code, _, errors = script.end()
    assert (code, errors) == (0, "")
    assert not (tmp_path / "run.h5").exists()


def test_an_exception_in_the_script(start_script, frames, tmp_path):
    """An uncaught exception outside a ``with`` block ends the script with that traceback only."""
    script = start_script("""
spool = Spool("run.h5", buffer_bytes=1 << 20)
spool.put(frame(0))
raise LookupError("lost the sample")
""")
    code, _, errors = script.end()
    assert code == 1
    assert errors.count("Traceback") == 1
    assert errors.endswith("LookupError: lost the sample\n")
    check_interrupted(tmp_path / "run.h5", frames, "the script ended without closing", 1)


def test_an_exception_in_a_with_block(make_spool, frames):
    """The exception comes out of the block as it was, and the file names it."""

    def record(spool):
        with spool:
            spool.put(frames(0))
            raise LookupError("lost the sample")

    spool = make_spool()
    with pytest.raises(LookupError, match="lost the sample") as caught:
        record(spool)
    assert not getattr(caught.value, "__notes__", [])
    assert spool.close().state == "interrupted"
    check_interrupted(spool.path, frames, "LookupError: lost the sample", 1)


def test_an_exception_without_text(make_spool, frames):
    """An exception that says nothing is named by its type."""

    def record(spool):
        with spool:
            spool.put(frames(0))
            raise KeyboardInterrupt

    spool = make_spool()
    with pytest.raises(KeyboardInterrupt):
        record(spool)
    assert spool.close().end_reason == "KeyboardInterrupt"
    check_interrupted(spool.path, frames, "KeyboardInterrupt", 1)


def test_a_reason_that_does_not_fit(make_spool, frames):
    """A reason of any length and script is stored as far as there is room for it."""
    with make_spool() as spool:
        spool.put(frames(0))
        result = spool.close(interrupted=True, end_reason="Fehler: µ" + "x" * 1000)
    assert result.state == "interrupted"
    assert len(result.end_reason) == 1009
    check_interrupted(spool.path, frames, r"Fehler: \xb5xxx", 1)


def test_ctrl_c(start_script, frames, tmp_path, wait_until):
    """Ctrl-C reaches every process of the terminal; the script gets its exception, the writer finishes the file."""
    script = start_script("""
with Spool("run.h5", buffer_bytes=1 << 20) as spool:
    for index in range(10**9):
        spool.put(frame(index))
        if index == 100:
            print(spool._client.writer.pid, flush=True)
""")
    writer_pid = int(script.line())
    script.interrupt()
    errors = script.end().err
    assert errors.count("Traceback") == 1
    assert errors.endswith("KeyboardInterrupt\n")
    assert gone(writer_pid)
    assert check_interrupted(tmp_path / "run.h5", frames, "KeyboardInterrupt") > 100


@pytest.mark.parametrize("way", ["file", "option", "input"])
def test_a_script_without_a_guard_runs_once(start_script, frames, tmp_path, way):
    """The writer does not import the script, so without a main guard it runs once all the same, however given."""
    script = start_script(
        """
with open("runs.txt", "a") as runs:
    runs.write("run ")
with Spool("run.h5", buffer_bytes=1 << 20) as spool:
    for index in range(20):
        spool.put(frame(index))
import __main__
print(__name__, __main__.__spec__, getattr(__main__, "__file__", None))
""",
        way=way,
    )
    code, printed, errors = script.end()
    assert (code, errors) == (0, "")
    assert (tmp_path / "runs.txt").read_text() == "run "
    assert printed.split()[:2] == ["__main__", "None"]
    assert printed.split()[2].endswith("script.py") == (way == "file")
    frames.check(tmp_path / "run.h5", 20)


def test_a_forked_child_does_not_touch_the_recording(start_script, frames, tmp_path):
    """A child of `os.fork` that ends, or tries to put, leaves its parent's recording alone."""
    script = start_script("""
import os, sys
from mmspool import SpoolClosedError
spool = Spool("run.h5", buffer_bytes=1 << 20)
spool.put(frame(0))
if os.fork() == 0:
    try:
        spool.put(frame(7))
    except SpoolClosedError as error:
        print(error, flush=True)
    sys.exit(0)
os.wait()
for index in range(1, 30):
    spool.put(frame(index))
print(spool.close().state)
""")
    code, printed, _ = script.end()  # multiprocessing itself complains in the child
    assert code == 0
    assert "forked" in printed
    assert printed.endswith("complete\n")
    frames.check(tmp_path / "run.h5", 30)
