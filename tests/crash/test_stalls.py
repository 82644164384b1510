"""Disks and processes that stand still for a while: the ring absorbs it, then the user's choice applies."""

import os
import signal
from collections.abc import Callable
from pathlib import Path

import numpy as np
from crash.harness import Phase, Producer, Slot
from support.frames import check_frames, frame
from support.waiting import wait_until

import mmspool
from mmspool.persistence import repair, verify

Start = Callable[..., Producer]

FRAMES = 5000
RING_BYTES = 4 << 20


def stop_writer(producer: Producer) -> None:
    """Bring a recording to frame 100, then have its writer process stand still."""
    producer.wait_for_phase(Phase.READY)
    producer.order()
    producer.wait_for_phase(Phase.STOPPED)
    producer.wait_for(lambda: producer[Slot.WRITTEN] == 100, "all is written")
    os.kill(producer.writer, signal.SIGSTOP)


def go_on(producer: Producer) -> None:
    """Let the writer process go on."""
    os.kill(producer.writer, signal.SIGCONT)


def check(path: Path, frames: int, state: str) -> None:
    """Look at a recording that was closed and has lost nothing."""
    with mmspool.open(path) as recording:
        assert (len(recording), recording.state, recording.frames_lost) == (frames, state, 0)
        check_frames(recording, frames)
    assert verify(path).intact
    assert not repair(path).needed


def test_a_stall_loses_nothing_with_wait(start: Start, tmp_path: Path) -> None:
    """The ring takes what it can, then put waits, then everything is written."""
    producer = start(FRAMES, stop=100, buffer_bytes=RING_BYTES)
    stop_writer(producer)
    producer.order()
    ring = producer[Slot.RING_FRAMES]
    producer.wait_for(lambda: producer[Slot.RETURNED] >= ring, "the ring is full")
    assert 100 < ring <= producer[Slot.RETURNED] <= ring + 100 < FRAMES
    go_on(producer)
    result = producer.result()
    assert (result["frames"], result["lost"], result["state"], result["restarts"]) == (FRAMES, 0, "complete", 0), result
    check(tmp_path / "run.h5", FRAMES, "complete")


def test_a_computer_that_was_suspended_goes_on(start: Start, tmp_path: Path) -> None:
    """A recording continues after both of its processes were stopped and resumed."""
    producer = start(FRAMES, stop=100, buffer_bytes=RING_BYTES)
    stop_writer(producer)
    os.kill(producer.pid, signal.SIGSTOP)
    producer.order()
    go_on(producer)
    os.kill(producer.pid, signal.SIGCONT)
    assert producer.result()["state"] == "complete"
    check(tmp_path / "run.h5", FRAMES, "complete")


def test_a_stall_with_drop_counts_and_locates_what_is_lost(start: Start, tmp_path: Path) -> None:
    """With on_full='drop', a stall leaves each frame in the file or in the ledger, and the sequence numbers match."""
    producer = start(FRAMES, stop=100, buffer_bytes=RING_BYTES, options={"on_full": "drop"})
    stop_writer(producer)
    producer.order()
    producer.wait_for(lambda: producer[Slot.RETURNED] == FRAMES, "nothing waits")
    go_on(producer)
    result = producer.result()
    assert result["state"] == "incomplete"
    assert result["lost"] > 0
    assert result["frames"] + result["lost"] == FRAMES
    with mmspool.open(tmp_path / "run.h5") as recording:
        sequence = recording.frame_table()["sequence_number"]
        assert len(np.unique(sequence)) == len(recording) == result["frames"]
        for index, number in enumerate(sequence.tolist()):
            np.testing.assert_array_equal(recording[index], frame(number, (64, 64)))
        assert sum(loss.count for loss in recording.losses) == result["lost"]
    assert verify(tmp_path / "run.h5").intact


def test_a_stall_with_raise_says_how_many_frames_wait(start: Start, tmp_path: Path) -> None:
    """The first frame without room is refused; the writer process saves the others when it can."""
    producer = start(FRAMES, stop=100, buffer_bytes=RING_BYTES, options={"on_full": "raise", "timeout_s": 0.5})
    stop_writer(producer)
    producer.order()
    producer.wait_for_phase(Phase.ENDED)
    ring, returned = producer[Slot.RING_FRAMES], producer[Slot.RETURNED]
    go_on(producer)
    result = producer.result()
    assert result["error"] == "RingFullError"
    assert f"{ring:,} frames wait for the disk, 100 are written" in result["message"]
    producer.wait_for_nothing_left()
    with mmspool.open(tmp_path / "run.h5") as recording:
        assert (len(recording), recording.state, recording.frames_lost) == (returned, "interrupted", 1)
        check_frames(recording, returned)


def test_a_stall_beyond_the_limit_is_an_error_with_figures(start: Start, tmp_path: Path) -> None:
    """A put that waited in vain says how long and for what."""
    producer = start(FRAMES, stop=100, buffer_bytes=RING_BYTES, options={"timeout_s": 0.5})
    stop_writer(producer)
    producer.order()
    producer.wait_for_phase(Phase.ENDED)
    result_is_there = producer.folder / "result"
    wait_until(result_is_there.exists, "it says so")
    go_on(producer)
    result = producer.result()
    assert result["error"] == "RingFullError"
    assert "full for 0.5 s" in result["message"]
    producer.wait_for_nothing_left()
    with mmspool.open(tmp_path / "run.h5") as recording:
        assert len(recording) == result["returned"]
        check_frames(recording, len(recording))


def test_a_stall_while_closing_is_an_error_and_the_file_is_closed_later(start: Start, tmp_path: Path) -> None:
    """Close says how many frames wait; the writer process writes them when the disk goes on."""
    producer = start(300, stop=100, options={"timeout_s": 0.5})
    stop_writer(producer)
    producer.order()
    producer.wait_for_phase(Phase.ENDED)
    go_on(producer)
    result = producer.result()
    assert result["error"] == "WriterError"
    assert "no data could be written for 0.5 s" in result["message"]
    assert "200 frames wait in the ring" in result["message"]
    producer.wait_for_nothing_left()
    check(tmp_path / "run.h5", 300, "complete")
