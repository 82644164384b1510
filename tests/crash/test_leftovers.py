"""What dead runs leave in shared memory, and recordings beside each other."""

import os
import signal
import threading
from collections.abc import Callable
from pathlib import Path

import h5py
from crash.harness import Phase, Producer, Slot
from support.frames import check_frames, stack
from support.processes import ended, kill, ring_holders, shared_memory_names
from support.waiting import wait_until

import mmspool
from mmspool import Spool
from mmspool.persistence import verify

Start = Callable[..., Producer]

RING_BYTES = 4 << 20


def kill_everything(producer: Producer) -> None:
    """Kill a run with all its children, so that nobody is left to clean up."""
    os.kill(producer.pid, signal.SIGSTOP)
    tasks = Path(f"/proc/{producer.pid}/task").iterdir()
    children = [int(child) for task in tasks for child in (task / "children").read_text(encoding="ascii").split()]
    assert children == [producer.writer], "recording starts one process, and no other"
    kill(*children, producer.pid)
    wait_until(lambda: all(map(ended, children)), "all are dead")
    producer.process.wait()


def record_here(path: Path, frames: int = 50) -> None:
    """Record in this process."""
    with Spool(path, buffer_bytes=RING_BYTES) as spool:
        for image in stack(0, frames, (64, 64)):
            spool.put(image)
    with mmspool.open(path) as recording:
        assert recording.state == "complete"
        check_frames(recording, frames)


def test_nothing_is_left_of_a_run_that_was_killed_whole(start: Start) -> None:
    """After a SIGKILL of everything no process has the ring, which never had a name that could be left."""
    producer = start(1000, stop=100, buffer_bytes=RING_BYTES)
    producer.wait_for_phase(Phase.READY)
    producer.order()
    producer.wait_for_phase(Phase.STOPPED)
    assert producer.pid in ring_holders(producer.pid)
    assert not shared_memory_names(producer.pid, producer.writer), "a name that somebody could remove"
    kill_everything(producer)
    assert not ring_holders(producer.pid)


def test_the_ring_of_a_live_run_stays(start: Start, tmp_path: Path) -> None:
    """Another Spool touches neither a ring in use nor one that its writer process still empties."""
    producer = start(1000, stop=100, hold=True, buffer_bytes=16 << 20)
    producer.wait_for_phase(Phase.READY)
    producer.order()
    producer.wait_for_phase(Phase.STOPPED)
    os.kill(producer.writer, signal.SIGSTOP)
    producer.order()
    producer.wait_for_phase(Phase.ALL_PUT)
    record_here(tmp_path / "beside.h5")
    assert ring_holders(producer.pid)
    kill(producer.pid)
    producer.process.wait()
    record_here(tmp_path / "after.h5")
    assert ring_holders(producer.pid)
    os.kill(producer.writer, signal.SIGCONT)
    producer.wait_for_nothing_left()
    with mmspool.open(tmp_path / "run.h5") as recording:
        assert (len(recording), recording.state) == (1000, "interrupted")
        check_frames(recording, 1000)


def test_the_ring_stays_while_a_new_persistence_process_starts(start: Start, tmp_path: Path) -> None:
    """The producer is killed before the process that takes over has mapped the ring: it still empties it."""
    producer = start(100_000, pace_s=0.0005, buffer_bytes=16 << 20)
    producer.wait_for_phase(Phase.READY)
    producer.order()
    producer.wait_for(lambda: producer[Slot.WRITTEN] > 0, "it writes")
    old = producer.writer
    kill(old)
    new: list[int] = []

    def started() -> bool:
        new[:] = [pid for pid in producer.writers() if pid != old]
        return bool(new)

    wait_until(started, "a new one starts")
    os.kill(new[0], signal.SIGSTOP)
    told = producer[Slot.RETURNED] + 200
    producer.wait_for(lambda: producer[Slot.RETURNED] >= told, "it is told what to take over")
    assert producer.writer == new[0]
    kill(producer.pid)
    producer.process.wait()
    returned = producer[Slot.RETURNED]
    record_here(tmp_path / "beside.h5")
    assert ring_holders(producer.pid)
    os.kill(new[0], signal.SIGCONT)
    producer.wait_for_nothing_left()
    with mmspool.open(tmp_path / "run.h5") as recording:
        assert recording.state == "interrupted"
        assert returned <= len(recording) <= returned + 1
        check_frames(recording, len(recording))


def test_a_persistence_process_killed_before_the_first_frame_is_replaced(start: Start, tmp_path: Path) -> None:
    """The spool was made, nothing was put yet: the first frame finds a new process."""
    producer = start(300)
    producer.wait_for_phase(Phase.READY)
    kill(producer.writer)
    producer.order()
    result = producer.result()
    assert (result["frames"], result["state"], result["restarts"]) == (300, "complete", 1), result
    with h5py.File(tmp_path / "run.h5", "r") as file:
        check_frames(file["data"], 300)


def test_recordings_are_independent(start: Start, tmp_path: Path) -> None:
    """A killed writer process and a killed producer do not affect the other recordings on the machine."""
    names = ("undisturbed", "writer", "producer")
    runs = {
        name: start(3000, path=str(tmp_path / f"{name}.h5"), stop=1000, buffer_bytes=RING_BYTES, pace_s=0.0001)
        for name in names
    }
    for run in runs.values():
        run.wait_for_phase(Phase.READY)
        run.order()
    here = [
        threading.Thread(target=record_here, args=(tmp_path / f"here-{number}.h5", 2000 + number))
        for number in range(4)
    ]
    for thread in here:
        thread.start()
    for run in runs.values():
        run.wait_for_phase(Phase.STOPPED)
    kill(runs["writer"].writer, runs["producer"].pid)
    for name in ("undisturbed", "writer"):
        runs[name].order()
        result = runs[name].result()
        assert (result["frames"], result["state"], result["restarts"]) == (3000, "complete", int(name == "writer"))
    for thread in here:
        thread.join()
    runs["producer"].process.wait()
    runs["producer"].wait_for_nothing_left()
    expected = {"undisturbed": 3000, "writer": 3000, "producer": 1000}
    expected |= {f"here-{number}": 2000 + number for number in range(4)}
    for name, frames in expected.items():
        path = tmp_path / f"{name}.h5"
        with h5py.File(path, "r") as file:
            assert file["data"].shape[0] == frames
            check_frames(file["data"], frames)
        assert verify(path).intact
