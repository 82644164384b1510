"""``on_event``: a script hears of the start, of losses and of the end of its recording."""

import logging
import threading

import pytest

import mmspool
from mmspool import CoreError, Faults


@pytest.fixture
def heard():
    """Return the list of events that `hear` fills, and the threads that it was called from."""
    return []


@pytest.fixture
def hear(heard):
    """Return a function for ``on_event``."""
    return heard.append


def test_start_and_end(mock, start, heard, hear):
    """Both are reported once, with the file, the figures and the result, before `wait` returns."""
    result = start(mock(), frames=20, on_event=hear).wait()
    assert [event.kind for event in heard] == ["start", "end"]
    assert {event.path for event in heard} == {result.path}
    assert heard[-1].result == result
    assert heard[-1].error is None
    assert heard[-1].stats.frames_received == 20


def test_losses(mock, start, heard, hear):
    """Losses are reported as they are found, each frame once; the end has all of them."""
    faults = Faults(dropped_in_camera=frozenset({5, 6, 15}))
    start(mock(camera_counter=True, faults=faults), frames=20, on_event=hear).wait()
    losses = [event for event in heard if event.kind == "loss"]
    assert losses
    assert sum(event.frames_lost for event in losses) == heard[-1].frames_lost == 3


def test_failure(mock, start, heard, hear):
    """Of a recording that failed the end has the error, which `wait` raises too."""
    camera = mock(faults=Faults(errors={"pop_next_tagged_image": {7: "no light"}}))
    with pytest.raises(CoreError, match="no light"):
        start(camera, frames=20, on_event=hear).wait()
    assert heard[-1].kind == "end"
    assert heard[-1].result is None
    assert isinstance(heard[-1].error, CoreError)


def test_an_exception_ends_nothing(mock, start, caplog):
    """What it raises is logged with its event, and the next event is reported all the same."""
    calls = []

    def fail(event):
        calls.append(event.kind)
        raise ZeroDivisionError(event.kind)

    with caplog.at_level(logging.WARNING, "mmspool"):
        assert start(mock(), frames=20, on_event=fail).wait().complete
    assert calls == ["start", "end"]
    assert [message for message in caplog.messages if "on_event failed at the start" in message]


def test_it_may_use_the_recording(mock, start):
    """It is called without a lock, from a thread of its own: it may stop the recording, and wait for its end."""
    ready, ends = threading.Event(), []

    def use(event):
        ready.wait(30)
        if event.kind == "start":
            recording.stop()
        else:
            ends.append(recording.wait() == event.result)
        assert threading.current_thread() is not threading.main_thread()

    recording = start(mock(), on_event=use)
    ready.set()
    result = recording.wait()
    assert (ends, result.end_reason) == ([True], mmspool.EndReason.STOPPED)


def test_one_that_takes_long_slows_no_frame(mock, start):
    """All frames are stored while the script is still at the start's event."""
    go_on = threading.Event()
    recording = start(mock(), frames=50, on_event=lambda _event: go_on.wait(60))
    assert recording.join(0.0) is False
    while recording.running:
        recording.join(0.05)
    assert recording.stats.spool.frames_written == 50
    go_on.set()
    assert recording.wait().complete


def test_several_cameras(mock, processes, tmp_path, heard, hear):
    """With several cameras the event says whose file it is about."""
    cameras = {"left": mock(), "right": mock()}
    mmspool.record_cameras(tmp_path / "run.h5", cameras, frames=5, buffer_bytes=16 * 10**6, on_event=hear)
    ends = sorted(event.path.name for event in heard if event.kind == "end")
    assert ends == ["run_left.h5", "run_right.h5"]
