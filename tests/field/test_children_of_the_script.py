"""Processes that the user's script forks inherit its descriptors, memory and exit handlers: they decide nothing."""

import contextlib
import os
import signal
import sys

import pytest
from support.waiting import wait_until

from mmspool import Spool
from mmspool.persistence.system.os_file import is_locked

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="Windows does not fork")

WAYS = {
    "os.fork": """
        child = os.fork()
        if child == 0:
            time.sleep(300)
            os._exit(0)
    """,
    "multiprocessing": """
        import multiprocessing
        process = multiprocessing.get_context("fork").Process(target=time.sleep, args=(300,))
        process.start()
        child = process.pid
    """,
    "a pool": """
        import multiprocessing
        read, write = os.pipe()
        def be_busy():
            os.write(write, b".")
            time.sleep(300)
        pool = multiprocessing.get_context("fork").Pool(1)
        child = pool.apply(os.getpid)
        pool.apply_async(be_busy)
        os.read(read, 1)  # an idle worker of a pool would end with the script
    """,
    "subprocess with preexec_fn": """
        import subprocess
        child = subprocess.Popen(["sleep", "300"], preexec_fn=lambda: None, close_fds=False).pid
    """,
    "a fork of a fork": """
        read, write = os.pipe()
        if os.fork() == 0:
            if (child := os.fork()) == 0:
                time.sleep(300)
                os._exit(0)
            os.write(write, str(child).encode())
            os._exit(0)
        os.wait()
        child = int(os.read(read, 20))
    """,
}


def record(way: str) -> str:
    """Return a script that records, forks, records on and reports its child."""
    lines = [line[8:] for line in WAYS[way].splitlines()]
    return "\n".join(
        [
            "spool = Spool('run.h5', buffer_bytes=1 << 20)",
            "for index in range(20): spool.put(frame(index))",
            *lines,
            "for index in range(20, 40): spool.put(frame(index))",
            "print(child, flush=True)",
            "input()",
            "print(spool.close().state, flush=True)",
            "input()",
            "with Spool('run.h5', buffer_bytes=1 << 20, overwrite=True) as spool: spool.put(frame(0))",
            "print('recorded again', flush=True)",
        ]
    )


@pytest.mark.parametrize("way", WAYS)
def test_the_script_is_killed_while_its_child_lives(start, closed, tmp_path, way):
    """The writer sees that its producer is gone, closes the file, and nobody holds it any more."""
    script = start(record(way))
    child = int(script.line())
    try:
        script.kill()
        script.process.wait()
        assert closed() == ("interrupted", 40)
        wait_until(lambda: not is_locked(tmp_path / "run.h5"), "the file is nobody's")
        os.kill(child, 0)
    finally:
        os.kill(child, signal.SIGKILL)


@pytest.mark.parametrize("way", WAYS)
def test_the_script_closes_while_its_child_lives(start, closed, way):
    """`close` waits for nobody else, and the path is free for the next recording."""
    script = start(record(way))
    child = int(script.line())
    try:
        script.process.stdin.write("\n")
        script.process.stdin.flush()
        assert script.line() == "complete\n"
        assert closed() == ("complete", 40)
        os.kill(child, 0)
        script.process.stdin.write("\n")
        script.process.stdin.flush()
        assert script.line() == "recorded again\n"  # not looked for by reading: a reader locks the file meanwhile
        assert closed() == ("complete", 1)
    finally:
        with contextlib.suppress(ProcessLookupError):  # a pool ends its workers with the script
            os.kill(child, signal.SIGKILL)


def test_the_writer_is_killed_while_a_child_lives(start, closed):
    """The ends of the pipes that the child has inherited do not hide the writer's death."""
    script = start("""
        spool = Spool("run.h5", buffer_bytes=1 << 20)
        spool.put(frame(0))
        if os.fork() == 0:
            time.sleep(300)
        os.kill(spool._client.writer.pid, signal.SIGKILL)
        for index in range(1, 60):
            spool.put(frame(index))
        result = spool.close()
        print(result.state, result.stats.writer_restarts, flush=True)
        os.killpg(0, signal.SIGKILL)
    """)
    assert script.line() == "complete 1\n"
    assert closed() == ("complete", 60)


def test_children_exit_in_every_way(start, closed):
    """A child that returns, exits, raises or collects garbage leaves the recording alone, and says nothing."""
    script = start("""
        import gc
        spool = Spool("run.h5", buffer_bytes=1 << 20)
        for index in range(50):
            spool.put(frame(index))
            child = os.fork()
            if child == 0:
                if index % 5 == 0:
                    sys.exit(0)
                if index % 5 == 1:
                    del spool
                    gc.collect()
                    os._exit(0)
                if index % 5 == 2:
                    spool.stats
                    try:
                        spool.close()
                    except Exception as error:
                        sys.exit(0 if "forked" in str(error) else 1)
                if index % 5 == 3:
                    break
                os._exit(0)
            assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0, index
        else:
            print(spool.close().state, flush=True)
    """)
    done = script.end()
    assert (done.code, done.out, done.err) == (0, "complete\n", "")
    assert closed() == ("complete", 50)


def test_forks_at_every_moment(start, closed):
    """While one thread makes spools and puts, another forks all the time: no child hangs, nothing is lost."""
    script = start("""
        ended = threading.Event()
        def record():
            for turn in range(4):
                with Spool(f"run{turn}.h5", buffer_bytes=1 << 20) as spool:
                    for index in range(200):
                        spool.put(frame(index))
            ended.set()
        thread = threading.Thread(target=record)
        thread.start()
        while not ended.is_set():
            child = os.fork()
            if child == 0:
                sys.exit(0)
            assert os.waitpid(child, 0)[1] == 0
        thread.join()
    """)
    assert script.end().code == 0
    for turn in range(4):
        assert closed(f"run{turn}.h5") == ("complete", 200)


def test_a_child_records_too(start, closed):
    """A forked child makes a spool of its own, while its parent records on."""
    script = start("""
        spool = Spool("run.h5", buffer_bytes=1 << 20)
        spool.put(frame(0))
        child = os.fork()
        with spool if child else Spool("child.h5", buffer_bytes=1 << 20) as own:
            for index in range(1 if child else 0, 100):
                own.put(frame(index))
        if child:
            assert os.waitpid(child, 0)[1] == 0
    """)
    assert script.end().code == 0
    assert closed() == closed("child.h5") == ("complete", 100)


def test_a_forked_child_cannot_use_its_parents_spool(tmp_path):
    """Every call that would touch the recording says whose it is."""
    with Spool(tmp_path / "run.h5", buffer_bytes=1 << 20) as spool:
        read, write = os.pipe()
        child = os.fork()
        if child == 0:
            said = b""
            for call in (lambda: spool.put([[1]]), lambda: spool.record_loss(1, "core"), spool.close):
                try:
                    call()
                except Exception as exc:  # noqa: BLE001
                    said += f"{type(exc).__name__} {'forked' in str(exc)},".encode()
            os.write(write, said)
            os._exit(0)
        os.waitpid(child, 0)
        assert os.read(read, 1000) == b"SpoolClosedError True," * 3
        os.close(read)
        os.close(write)
