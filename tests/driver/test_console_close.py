"""The end of a Windows console: what a recording is told of it, and how long Windows waits."""

import threading

import pytest

from mmspool.driver import console_close
from mmspool.driver.console_close import StopOnClose
from mmspool.driver.interrupts import StopOnInterrupt

CTRL_C, CTRL_CLOSE, LOGOFF, SHUTDOWN = 0, 2, 5, 6


@pytest.mark.parametrize("event", [CTRL_CLOSE, LOGOFF, SHUTDOWN])
def test_windows_waits_for_the_end(event):
    """The recording is asked to stop, and the console's thread waits until it has."""
    asked = threading.Event()
    on_close = StopOnClose(lambda _: asked.set())
    answers = []
    console = threading.Thread(target=lambda: answers.append(on_close.handle(event)))
    console.start()
    assert asked.wait(20)
    assert console.is_alive()
    on_close.done()
    console.join(20)
    assert answers == [True]


def test_it_does_not_wait_for_ever(monkeypatch):
    """A recording that does not end in time is left to the writer process."""
    monkeypatch.setattr(console_close, "_PATIENCE_S", 0.01)
    on_close = StopOnClose(lambda _: None)
    assert on_close.handle(CTRL_CLOSE)
    on_close.done()


def test_other_events_are_others():
    """Ctrl-C is a signal and is not taken twice."""
    on_close = StopOnClose(lambda _: pytest.fail("it was asked to stop"))
    assert not on_close.handle(CTRL_C)
    on_close.done()
    on_close.done()


def test_a_recording_takes_it_like_ctrl_c():
    """While a recording watches for Ctrl-C, the end of the console asks it to stop too."""
    stopped = []
    with StopOnInterrupt() as interrupts:
        interrupts.watch(stopped.append)
        console = threading.Thread(target=interrupts._on_close.handle, args=(CTRL_CLOSE,))
        console.start()
        while not stopped:
            console.join(0.01)
    console.join(20)
    assert interrupts.asked
    assert stopped == ["console closed"]
