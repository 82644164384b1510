"""The end of a Windows console or session: what a recording is told of it, and how long Windows waits."""

import threading
from types import SimpleNamespace

import pytest

from mmspool.driver import console_close
from mmspool.driver.console_close import StopOnClose
from mmspool.driver.interrupts import StopOnInterrupt

CTRL_C, CTRL_CLOSE = 0, 2


@pytest.fixture(autouse=True)
def waits(monkeypatch):
    """Return what the console's thread waited for, seconds, instead of letting it wait."""
    waited = []
    monkeypatch.setattr(console_close, "time", SimpleNamespace(sleep=waited.append))
    return waited


def test_windows_waits_although_the_recording_has_ended(waits):
    """The console's thread goes on waiting, since Windows ends the script, which may have more to say, with it."""
    stopped = []
    on_close = StopOnClose(lambda name: (stopped.append(name), on_close.done()))
    assert console_close.handle(CTRL_CLOSE)
    assert stopped == ["console closed"]
    assert 3 < sum(waits) < 5, "Windows waits five seconds"


def test_two_recordings_are_stopped_before_it_waits(waits):
    """All recordings of a script end at once, also with the session."""
    stopped = []
    both = [StopOnClose(lambda name: stopped.append((name, len(waits)))) for _ in range(2)]
    assert console_close.stop_all("user logged off")
    assert stopped == [("user logged off", 0)] * 2
    for each in both:
        each.done()


def test_other_events_are_others(waits):
    """Ctrl-C is a signal and is not taken twice."""
    on_close = StopOnClose(lambda _: pytest.fail("it was asked to stop"))
    assert not console_close.handle(CTRL_C)
    on_close.done()
    on_close.done()
    assert not waits


def test_nothing_waits_for_a_script_that_records_nothing(waits):
    """Outside a recording the end of the console is the script's own."""
    StopOnClose(lambda _: pytest.fail("it was asked to stop")).done()
    assert not console_close.handle(CTRL_CLOSE)
    assert not waits


def test_a_recording_takes_it_like_ctrl_c():
    """While a recording watches for Ctrl-C, the end of the console asks it to stop too."""
    stopped = []
    with StopOnInterrupt() as interrupts:
        interrupts.watch(stopped.append)
        console = threading.Thread(target=console_close.handle, args=(CTRL_CLOSE,))
        console.start()
        console.join(20)
    assert interrupts.asked
    assert stopped == ["console closed"]
