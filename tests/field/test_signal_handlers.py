"""The user's own signal handlers call a spool that they have interrupted: it works, or raises at once."""

import sys

import pytest

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such signals")

CLOSING = """
    from mmspool import SpoolClosedError, SpoolError
    spool = Spool("run.h5", buffer_bytes=int(sys.argv[1]), shape=(24, 32), dtype="u2")
    closed = []
    def end(*_):
        try:
            closed.append(spool.close().frames_written)
        except SpoolError as error:
            assert "interrupted another" in str(error), error
            signal.setitimer(signal.ITIMER_REAL, 0.0003)  # again, a moment later
    signal.signal(signal.SIGALRM, end)
    signal.setitimer(signal.ITIMER_REAL, float(sys.argv[2]))
    index = 0
    try:
        while index < 60_000:  # what its pixels can count
            spool.put(frame(index))
            index += 1
    except SpoolClosedError:
        assert closed
    while not closed:
        time.sleep(0.001)
    assert index <= closed[0] <= index + 1, (index, closed)
    assert spool.close() is spool.result
    print(closed[0], flush=True)
"""


@pytest.mark.parametrize("buffer_bytes", [8 << 20, 1 << 18], ids=["room", "a full ring"])
@pytest.mark.parametrize("delay_s", [0.01, 0.0501, 0.1002, 0.1503, 0.2504, 0.3505])
def test_close_in_a_handler(start, closed, buffer_bytes, delay_s):
    """Whatever put was doing, the handler closes the file; put then says that the spool is closed."""
    done = start(CLOSING, buffer_bytes, delay_s).end(limit_s=60)
    assert (done.code, done.err) == (0, "")
    assert closed() == ("complete", int(done.out))


def test_other_calls_in_a_handler_raise_at_once(start, closed):
    """Each of them works while nothing is interrupted; within a put they raise, and the put goes on."""
    done = start("""
        from mmspool import SpoolError
        spool = Spool("run.h5", buffer_bytes=8 << 20, shape=(24, 32), dtype="u2")
        seen = []
        def look(*_):
            spool.stats, spool.result, spool.shape, spool.durable
            for call in (lambda: spool.record_loss(0, "core"), lambda: spool.put("no frame")):
                try:
                    call()
                except SpoolError as error:
                    seen.append(type(error).__name__)
                except ValueError:
                    seen.append("refused as ever")
        signal.signal(signal.SIGALRM, look)
        signal.setitimer(signal.ITIMER_REAL, 0.001, 0.001)
        for index in range(20_000):
            spool.put(np.full((24, 32), index % 60_000, "u2"))
        signal.setitimer(signal.ITIMER_REAL, 0)
        print(spool.close().state, {"SpoolError", "FrameError"} & set(seen) and "raised", flush=True)
    """).end(limit_s=100)
    assert (done.code, done.out, done.err) == (0, "complete raised\n", "")


def test_declare_in_a_handler_raises_as_put_does(start, closed):
    """A handler that interrupts the first put cannot set a plan any more, and the frame is stored without one."""
    done = start("""
        from mmspool import SpoolError
        spool = Spool("run.h5", buffer_bytes=8 << 20)
        errors = set()
        def call(*_):
            for refused in (lambda: spool.declare(plan=100), lambda: spool.put(frame(0))):
                try:
                    refused()
                except SpoolError as error:
                    errors.add(str(error).partition(" of the spool")[0])
        class Interrupted:
            def __array__(self, dtype=None, copy=None):
                signal.raise_signal(signal.SIGUSR1)
                return frame(0)
        signal.signal(signal.SIGUSR1, call)
        spool.put(Interrupted())
        print(*errors, spool.plan, spool.close().state, sep="; ", flush=True)
    """).end()
    assert (done.code, done.out, done.err) == (0, "this call interrupted another one; None; complete\n", "")
    assert closed() == ("complete", 1)


def test_a_handler_that_interrupts_close(start, closed):
    """A second close inside the first raises at once, as declare does, and the first one closes the file."""
    done = start("""
        from mmspool import SpoolError
        spool = Spool("run.h5", buffer_bytes=8 << 20)
        for index in range(100):
            spool.put(frame(index))
        os.kill(spool._client.writer.pid, signal.SIGSTOP)
        def again(*_):
            if not spool._client.writer.exchanging:  # close has not come so far
                signal.setitimer(signal.ITIMER_REAL, 0.1)
                return
            for call in (spool.close, spool.declare):
                try:
                    call()
                except SpoolError as error:
                    print("interrupted another" in str(error), flush=True)
            os.kill(spool._client.writer.pid, signal.SIGCONT)
        signal.signal(signal.SIGALRM, again)
        signal.setitimer(signal.ITIMER_REAL, 0.3)
        print(spool.close().state, flush=True)
    """).end()
    assert (done.code, done.out) == (0, "True\nTrue\ncomplete\n")
    assert closed() == ("complete", 100)


def test_ctrl_c_in_close(start, closed):
    """A close that an exception leaves can be called again, and nothing can be put in between."""
    done = start("""
        from mmspool import SpoolClosedError
        spool = Spool("run.h5", buffer_bytes=8 << 20)
        for index in range(100):
            spool.put(frame(index))
        os.kill(spool._client.writer.pid, signal.SIGSTOP)
        threading.Timer(0.3, os.kill, (os.getpid(), signal.SIGINT)).start()
        try:
            spool.close()
        except KeyboardInterrupt:
            print("interrupted", flush=True)
        try:
            spool.put(frame(100))
        except SpoolClosedError:
            print("refused", flush=True)
        os.kill(spool._client.writer.pid, signal.SIGCONT)
        print(spool.close().state, flush=True)
    """).end()
    assert done.out.split() == ["interrupted", "refused", "complete"]
    assert closed() == ("complete", 100)


CHILDREN = {
    "ignored": "signal.signal(signal.SIGCHLD, signal.SIG_IGN)",
    "reaped by the script": """
def reap(*_):
    try:
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass
    except ChildProcessError:
        pass
signal.signal(signal.SIGCHLD, reap)
""",
    "default": "",
}


@pytest.mark.parametrize("way", CHILDREN)
def test_a_writer_that_dies_is_replaced_however_children_are_waited_for(start, closed, way):
    """Its death is noticed although nothing is put, the new one has all frames, and nothing spins."""
    done = start(
        CHILDREN[way].strip()
        + """
spool = Spool("run.h5", buffer_bytes=1 << 20)
for turn in range(2):
    for index in range(50):
        spool.put(frame(50 * turn + index))
    os.kill(spool._client.writer.pid, signal.SIGKILL)
    limit = time.monotonic() + 100
    while spool.stats.writer_restarts == turn or spool.stats.frames_written < 50 * (turn + 1):
        assert time.monotonic() < limit
        time.sleep(0.01)
before = time.process_time()
time.sleep(1)
print(time.process_time() - before < 0.5, spool.close().state, flush=True)
"""
    ).end()
    assert (done.code, done.out) == (0, "True complete\n"), done.err
    assert closed() == ("complete", 100)


def test_close_in_a_handler_under_asyncio(start, closed):
    """A handler of the event loop closes the spool that a coroutine puts into."""
    done = start("""
        import asyncio
        from mmspool import SpoolClosedError
        async def main():
            spool = Spool("run.h5", buffer_bytes=1 << 20)
            asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, spool.close)
            asyncio.get_running_loop().call_later(0.3, os.kill, os.getpid(), signal.SIGTERM)
            index = 0
            try:
                while True:
                    spool.put(frame(index))
                    index += 1
                    await asyncio.sleep(0)
            except SpoolClosedError:
                print(spool.result.frames_written == index, flush=True)
        asyncio.run(main())
    """).end()
    assert (done.code, done.out) == (0, "True\n")
    assert closed()[0] == "complete"


def test_a_handler_that_raises_in_put(start, closed):
    """An exception out of a handler leaves the spool usable, and every frame that was put is in the file."""
    done = start("""
        class Stop(Exception):
            pass
        def stop(*_):
            raise Stop
        signal.signal(signal.SIGALRM, stop)
        index = stops = 0
        with Spool("run.h5", buffer_bytes=1 << 20, shape=(24, 32), dtype="u2") as spool:
            while stops < 50 or index < 100:
                try:
                    signal.setitimer(signal.ITIMER_REAL, 0.002)
                    while True:
                        spool.put(frame(index))
                        index = spool.stats.frames_put
                except Stop:
                    stops += 1
                    index = spool.stats.frames_put
            signal.setitimer(signal.ITIMER_REAL, 0)
        print(spool.result.frames_written == index, flush=True)
    """).end()
    assert (done.code, done.out) == (0, "True\n"), done.err
    assert closed()[0] == "complete"
