"""Other processes of the same script: nothing of theirs is altered, and none of ours is theirs."""

import multiprocessing.spawn
import os
import signal
import stat
import sys

import pytest
from support.paths import environment
from support.processes import Python

from mmspool import Spool, StorageError


def test_the_main_module_is_never_altered(start):
    """Not for a moment, while spools are made in another thread."""
    done = start("""
        import __main__
        kept = {name: vars(__main__)[name] for name in ("__spec__", "__file__", "__name__", "__loader__")}
        changes, ended = [], threading.Event()
        def make():
            for turn in range(5):
                Spool(f"run{turn}.h5", buffer_bytes=1 << 20).close()
            ended.set()
        threading.Thread(target=make).start()
        while not ended.is_set():
            for name, value in kept.items():
                if vars(__main__).get(name) is not value:
                    changes.append(name)
        print(changes, flush=True)
    """).end()
    assert (done.code, done.out) == (0, "[]\n"), done.err


def test_it_is_nobody_elses_child_to_wait_for(tmp_path):
    """The writer is not among multiprocessing's children, which tools join or terminate at the end."""
    with Spool(tmp_path / "run.h5", buffer_bytes=1 << 20) as spool:
        assert not multiprocessing.active_children()
        spool.put([[1]])


def test_scripts_own_processes_start_while_spools_are_made(start):
    """Processes that the script starts by spawn find its functions."""
    done = start("""
        import multiprocessing
        def square(x):
            return x * x
        if __name__ == "__main__":
            stop = threading.Event()
            def make():
                while not stop.is_set():
                    Spool("run.h5", buffer_bytes=1 << 20).close()
            thread = threading.Thread(target=make)
            thread.start()
            try:
                with multiprocessing.get_context("spawn").Pool(2) as pool:
                    print(pool.map(square, range(6)), flush=True)
            finally:
                stop.set()
                thread.join()
    """).end()
    assert (done.code, done.out) == (0, "[0, 1, 4, 9, 16, 25]\n"), done.err


@pytest.mark.parametrize("method", multiprocessing.get_all_start_methods())
def test_in_a_daemonic_process(start, closed, method):
    """A worker of a Pool records like any other process."""
    done = start(
        """
        import multiprocessing
        def record(path):
            with Spool(path, buffer_bytes=1 << 20) as spool:
                for index in range(20):
                    spool.put(frame(index))
            return spool.result.state
        if __name__ == "__main__":
            with multiprocessing.get_context(sys.argv[1]).Pool(1) as pool:
                print(pool.apply(record, ("run.h5",)), flush=True)
        """,
        method,
    ).end()
    assert (done.code, done.out) == (0, "complete\n"), done.err
    assert closed() == ("complete", 20)


FROZEN = """
import sys, os
sys.frozen = True
with open("starts", "a") as log:
    log.write("x")
import multiprocessing
multiprocessing.set_executable(os.environ["APP"])
import numpy as np
from mmspool import Spool
with Spool("run.h5", buffer_bytes=1 << 20) as spool:
    for index in range(10):
        spool.put(np.full((24, 32), index, "u2"))
print(spool.result.state, flush=True)
"""


@pytest.mark.skipif(os.name == "nt", reason="the imitated application is a shell script")
def test_a_frozen_application_without_freeze_support(tmp_path, closed):
    """It is started once more, to write, and becomes the writer where it imports mmspool."""
    app, launcher = tmp_path / "app.py", tmp_path / "app"
    app.write_text(FROZEN)
    launcher.write_text(f'#!/bin/sh\nexec "{sys.executable}" "{app}" "$@"\n')
    launcher.chmod(launcher.stat().st_mode | stat.S_IXUSR)
    with Python(app, cwd=tmp_path, env=environment(APP=str(launcher))) as process:
        done = process.end()
    assert (done.code, done.out) == (0, "complete\n"), done.err
    assert (tmp_path / "starts").read_text() == "xx"
    assert closed() == ("complete", 10)


def test_python_inside_another_program(tmp_path, monkeypatch):
    """Where no interpreter is known, the error says what to call."""
    monkeypatch.setattr(multiprocessing.spawn, "_python_exe", None)
    with pytest.raises(StorageError, match=r"call multiprocessing.set_executable"):
        Spool(tmp_path / "run.h5")
    assert not list(tmp_path.iterdir())


def test_an_interpreter_that_is_not_there(tmp_path, monkeypatch):
    """A program that cannot be started is an error with the system's reason, and leaves nothing."""
    monkeypatch.setattr(multiprocessing.spawn, "_python_exe", os.fsencode(tmp_path / "none"))
    with pytest.raises(StorageError, match=r"the writer process could not be started: .*No such file"):
        Spool(tmp_path / "run.h5")
    assert not list(tmp_path.iterdir())


def test_the_current_folder_and_the_environment_change(start, closed):
    """A new writer starts as the first one did, although the script has changed both, and removed its folder."""
    done = start("""
        import shutil
        os.mkdir("elsewhere")
        spool = Spool("run.h5", buffer_bytes=1 << 20)
        spool.put(frame(0))
        os.chdir("elsewhere")
        os.rmdir("../elsewhere")
        os.environ.clear()
        sys.path.clear()
        os.kill(spool._client.writer.pid, signal.SIGKILL)
        for index in range(1, 40):
            spool.put(frame(index))
        print(spool.close().state, spool.result.stats.writer_restarts, flush=True)
    """).end()
    assert (done.code, done.out) == (0, "complete 1\n"), done.err
    assert closed() == ("complete", 40)


def test_what_reads_the_output_of_a_killed_script_does_not_wait(start, closed):
    """The writer does not hold the script's standard output: a program that reads it sees the end at once."""
    script = start("""
        spool = Spool("run.h5", buffer_bytes=1 << 20)
        spool.put(frame(0))
        os.kill(spool._client.writer.pid, signal.SIGSTOP)
        print(spool._client.writer.pid, flush=True)
        time.sleep(300)
    """)
    writer = int(script.line())
    script.kill()
    assert script.line() == ""
    os.kill(writer, signal.SIGCONT)
    assert closed() == ("interrupted", 1)
