"""System calls that fail, once or for ever, in the writer process: a recording goes on, or ends cleanly."""

import errno
import os
import resource
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import psutil
import pytest
from crash.harness import Phase, Producer, Slot
from support.frames import Pixels, check_frames
from support.processes import ended, other_threads
from support.strace import traced
from support.waiting import wait_until

import mmspool
from mmspool import Loss, Spool, WriterError
from mmspool.persistence import repair, verify
from mmspool.persistence.writer_process import supervisor

Start = Callable[..., Producer]

FRAMES = 200
SMALL: dict[str, Any] = {
    "frames": FRAMES,
    "stop": 30,
    "block_bytes": 64 << 10,
    "growth_bytes": 128 << 10,
    "options": {"grow_frames": 20, "sync_interval_s": 0.02},
}
"""Ten growths, blocks of five frames; it stops for the test after frame 30."""

PASSING = {
    "a write fails once": "pwrite64:error=EIO:when=7",
    "a write finds no room, once": "pwrite64:error=ENOSPC:when=7",
    "every tenth write fails": "pwrite64:error=EIO:when=3+10",
    "every second write is interrupted": "pwrite64:error=EINTR:when=1+2",
    "a sync is interrupted": "fdatasync:error=EINTR:when=1",
    "setting aside is interrupted": "fallocate:error=EINTR:when=1",
    "the file system cannot set aside room": "fallocate:error=EOPNOTSUPP",
    "the kernel cannot set aside room": "fallocate:error=ENOSYS",
    "a write takes 2 s": "pwrite64:delay_enter=2000000:when=7",
    "each sync takes 0.3 s": "fdatasync:delay_enter=300000",
}

ENDING = {
    "writes fail for a while": ("pwrite64:error=EIO:when=5..8", errno.EIO),
    "there is no room for a while": ("pwrite64:error=ENOSPC:when=5..8", errno.ENOSPC),
    "a write is refused": ("pwrite64:error=EPERM:when=5", errno.EPERM),
    "a sync fails": ("fdatasync:error=EIO:when=1", errno.EIO),
    "setting aside room fails": ("fallocate:error=EIO:when=1", errno.EIO),
    "the disk is full": ("fallocate:error=ENOSPC", errno.ENOSPC),
    "the quota is used up": ("fallocate:error=EDQUOT", errno.EDQUOT),
}

STUCK = {
    "no write succeeds any more": "pwrite64:error=EIO:when=5+",
    "no write has room any more": "pwrite64:error=ENOSPC:when=5+",
    "no write takes anything any more": "pwrite64:retval=0:when=5+",
    "no sync succeeds any more": "fdatasync:error=EIO:when=2+",
}


def inject(fault: str) -> tuple[str, ...]:
    """Return strace's arguments for a fault in any thread."""
    return "-f", "-e", f"trace={fault.partition(':')[0]}", "-e", f"inject={fault}"


def run_with(producer: Producer, fault: str, threads: str = "all") -> dict[str, Any]:
    """Record with a fault from frame 30 on, in ``all`` threads of the writer, its ``first``, or the ``others``."""
    producer.wait_for_phase(Phase.READY)
    producer.order()
    producer.wait_for_phase(Phase.STOPPED)
    producer.wait_for(lambda: producer[Slot.WRITTEN] == 30, "all is written")
    victims = other_threads(producer.writer) if threads == "others" else [producer.writer]
    with traced(victims, *inject(fault)[0 if threads == "all" else 1 :]):
        producer.order()
        return producer.result()


def check_whole(path: Path, frames: int = FRAMES) -> None:
    """Look at a recording that is complete."""
    with h5py.File(path, "r") as file:
        assert file["data"].shape[0] == frames
        check_frames(file["data"], frames)
    assert verify(path).complete
    with mmspool.open(path) as recording:
        assert recording.state == "complete"


def check_ended(path: Path, result: dict[str, Any], number: int) -> int:
    """Look at a recording that failed, and was closed: it holds what it counts, says why, and what is lost."""
    assert result["error"] == "WriterError", result
    assert result["cause_errno"] == number, result
    with mmspool.open(path) as recording:
        frames = len(recording)
        assert (recording.frames_counted, recording.state) == (frames, "interrupted")
        assert "the writer failed" in recording.end_reason
        lost = result["returned"] - frames
        assert recording.frames_lost == result["lost"] == lost
        assert recording.losses == ((Loss(frames, lost, "ring"),) if lost else ())
    with h5py.File(path, "r") as file:
        assert file["data"].shape[0] == frames
        check_frames(file["data"], frames)
    assert 30 <= frames <= result["returned"]
    assert verify(path).intact
    assert not repair(path).needed
    return frames


@pytest.mark.parametrize("fault", PASSING.values(), ids=PASSING)
@pytest.mark.parametrize("direct", [True, False], ids=["direct", "buffered"])
def test_faults_that_pass_are_survived(start: Start, tmp_path: Path, fault: str, direct: bool, strace: str) -> None:
    """A fault that passes costs no frame."""
    producer = start(**{**SMALL, "options": {**SMALL["options"], "direct": direct}})
    result = run_with(producer, fault)
    assert result == {"frames": FRAMES, "lost": 0, "state": "complete", "restarts": 0, "durable": FRAMES}
    check_whole(tmp_path / "run.h5")


@pytest.mark.parametrize("compression", [None, "fast"], ids=["as it is", "compressed"])
@pytest.mark.parametrize(("fault", "number"), ENDING.values(), ids=ENDING)
def test_faults_that_stay_end_the_recording_cleanly(
    start: Start, tmp_path: Path, fault: str, number: int, compression: str | None, strace: str
) -> None:
    """The cause is raised, the file is closed, exact, and says why."""
    producer = start(**{**SMALL, "options": {**SMALL["options"], "compression": compression}})
    if compression:  # its first thread also does what otherwise only growing needs
        threads = "first" if fault.startswith(("pwrite64", "fdatasync")) else "others"
    else:
        threads = "all" if fault.startswith("pwrite64") else "others"
    result = run_with(producer, fault, threads)
    if compression and number in (errno.ENOSPC, errno.EDQUOT) and fault.startswith("fallocate"):
        check_whole(tmp_path / "run.h5")  # in the room that was allocated for frames that compress less
        return
    frames = check_ended(tmp_path / "run.h5", result, number)
    if "fallocate:error=ENOSPC" in fault:
        assert f"{frames:,} frames were written" in result["message"]
        assert frames % 20 == 0, "all that there was room for"


def run_failing_and_killed(producer: Producer, kill: str) -> dict[str, Any]:
    """Record to a disk that is full from frame 30 on, and kill the writer's first thread at a later call."""
    producer.wait_for_phase(Phase.READY)
    producer.order()
    producer.wait_for_phase(Phase.STOPPED)
    producer.wait_for(lambda: producer[Slot.WRITTEN] == 30, "all is written")
    others, full = other_threads(producer.writer), inject("fallocate:error=ENOSPC")[1:]
    with traced(others, *full), traced([producer.writer], *inject(kill)[1:]):
        producer.order()
        return producer.result()


BEFORE_IT_SAYS_SO = {
    "while the file is ended": "fdatasync:signal=SIGKILL:when=2",
    "after that": "write:signal=SIGKILL:when=1",
}
"""The kill: the writer's first thread syncs to end the file, and then writes to a pipe.

Compressed frames fit in the room that is left when a growth fails: such a recording does not fail there.
"""


@pytest.mark.parametrize("kill", BEFORE_IT_SAYS_SO.values(), ids=BEFORE_IT_SAYS_SO)
def test_a_writer_that_failed_is_killed_before_it_says_so(start: Start, tmp_path: Path, kill: str, strace: str) -> None:
    """The next one writes no frame that is in the ledger as lost: it says that the recording failed, and why."""
    producer = start(**{**SMALL, "losses": (25,)})
    result = run_failing_and_killed(producer, kill)
    assert (result["error"], result["cause"]) == ("WriterError", "WriterError"), result
    assert "the disk is full" in result["message"]
    with mmspool.open(tmp_path / "run.h5") as recording:
        frames, lost = len(recording), result["returned"] - len(recording)
        assert recording.state == "interrupted"
        assert "the disk is full" in recording.end_reason
        assert recording.end_reason.count("the writer failed") == 1
        assert recording.frames_lost == result["lost"] == 3 + lost
        assert recording.losses == (Loss(25, 3, "core"), Loss(frames, lost, "ring"))
        check_frames(recording, frames)
        assert recording.file["entry/instrument/detector/ledger/writer_restarts"][()] == 1
    assert verify(tmp_path / "run.h5").intact
    assert not repair(tmp_path / "run.h5").needed


def put_until_it_fails(spool: Spool, image: Pixels) -> None:
    """Put the same frame again and again."""
    while True:
        spool.put(image)


def test_nothing_is_lost_twice_when_the_disk_answers_after_all(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, strace: str
) -> None:
    """A producer that waited too long for what a failed writer says leaves the frames in the ring to that writer."""
    spool = Spool(tmp_path / "run.h5", buffer_bytes=16 << 20, sync_interval_s=0.02)
    image = np.zeros((64, 64), np.uint16)
    spool.put(image)
    wait_until(lambda: spool.durable == 1, "a sync")  # by then all its threads are there
    writer = spool._client.writer.pid
    monkeypatch.setattr(supervisor, "ANSWER_TIMEOUT_S", 0.2)
    hanging, failing = "fdatasync:delay_enter=3000000:when=1", "pwrite64:error=EPERM:when=2+"
    with traced(other_threads(writer), "-e", "trace=desc", "-e", f"inject={hanging}", "-e", f"inject={failing}"):
        spool.put(image)
        wait_until(lambda: spool.stats.frames_written == 2, "a write, after which the writer syncs before the next")
        with pytest.raises(WriterError, match="has not said why"):
            put_until_it_fails(spool, image)
        wait_until(lambda: ended(writer), "it ends")
    stats = spool.stats
    with mmspool.open(tmp_path / "run.h5") as recording:
        lost = stats.frames_put - len(recording)
        assert recording.losses == (Loss(len(recording), lost, "ring"),)
        assert recording.state == "interrupted"


def test_a_writer_that_failed_is_killed_before_it_ends_the_file(start: Start, tmp_path: Path, strace: str) -> None:
    """If a failed writer is killed before it closes the file, its successor writes the remaining frames."""
    result = run_failing_and_killed(start(**SMALL), "fdatasync:signal=SIGKILL:when=1")
    assert (result["frames"], result["lost"], result["restarts"]) == (FRAMES, 0, 1), result
    check_whole(tmp_path / "run.h5")


@pytest.mark.parametrize("fault", STUCK.values(), ids=STUCK)
def test_a_dead_disk_leaves_what_was_written(start: Start, tmp_path: Path, fault: str, strace: str) -> None:
    """When not even closing works any more, the error says to repair, and what was counted is there."""
    path = tmp_path / "run.h5"
    result = run_with(start(**SMALL), fault)
    assert (result["error"], result["cause"], result["cause_errno"] in (errno.EIO, errno.ENOSPC)) == (
        "WriterError",
        "OSError",
        True,
    ), result
    with mmspool.open(path) as recording:
        counted = len(recording)
        assert recording.state == "recording"
        check_frames(recording, counted)
    assert counted >= 30
    report = repair(path)
    assert counted <= report.frames_written <= result["returned"]
    with mmspool.open(path) as recording:
        check_frames(recording, report.frames_written)
    assert verify(path).intact
    assert not repair(path).needed


@pytest.mark.parametrize("compression", [None, "fast"], ids=["as it is", "compressed"])
def test_a_file_that_cannot_be_cut_has_all_frames(
    start: Start, tmp_path: Path, compression: str | None, strace: str
) -> None:
    """A file that cannot be trimmed keeps every frame; the error names the leftover space, and repair frees it."""
    path = tmp_path / "run.h5"
    producer = start(**{**SMALL, "options": {**SMALL["options"], "compression": compression}})
    result = run_with(producer, "ftruncate:error=EIO:when=1", "first")
    assert (result["error"], result["cause_errno"], result["lost"]) == ("WriterError", errno.EIO, 0), result
    size = path.stat().st_size
    assert repair(path).frames_written == FRAMES
    assert path.stat().st_size < size
    check_whole(path)
    assert not repair(path).needed


CREATING = {
    "no room": ("fallocate:error=ENOSPC", "StorageError"),
    "setting aside fails": ("fallocate:error=EIO", "StorageError"),
    "writing fails": ("pwrite64:error=EIO:when=3+", "StorageError"),
    "syncing fails": ("fdatasync:error=EIO:when=1", "StorageError"),
}


@pytest.mark.parametrize(("fault", "error"), CREATING.values(), ids=CREATING)
def test_a_file_that_cannot_be_made_is_not_left(
    start: Start, tmp_path: Path, fault: str, error: str, strace: str
) -> None:
    """The first put says why, and no empty file stays behind."""
    producer = start(**SMALL)
    producer.wait_for_phase(Phase.READY)
    with traced([producer.writer], *inject(fault)):
        producer.order()
        result = producer.result()
    assert (result["error"], result["returned"]) == (error, 0), result
    assert not (tmp_path / "run.h5").exists()


@pytest.mark.parametrize("number", ["EINVAL", "EOPNOTSUPP"])
def test_refused_direct_io_is_done_without(start: Start, tmp_path: Path, number: str, strace: str) -> None:
    """Where O_DIRECT is refused the page cache is used."""
    path = tmp_path / "run.h5"
    producer = start(**SMALL | {"stop": -1})
    producer.wait_for_phase(Phase.READY)
    fault = inject(f"openat:error={number}:when=2")  # of this file: the first one is without O_DIRECT
    with traced([producer.writer], *fault, "-P", str(path)) as log:
        producer.order()
        result = producer.result()
        opened = [line for line in log.read_text().splitlines() if "INJECTED" in line]
    assert len(opened) == 1
    assert "O_DIRECT" in opened[0]
    assert (result["frames"], result["state"]) == (FRAMES, "complete"), result
    check_whole(path)


@pytest.mark.parametrize("when", [1, 2, 3])
def test_a_file_that_cannot_be_opened_is_an_error(start: Start, tmp_path: Path, when: int, strace: str) -> None:
    """An error of open reaches the user with its cause."""
    path = tmp_path / "run.h5"
    producer = start(**SMALL)
    producer.wait_for_phase(Phase.READY)
    with traced([producer.writer], *inject(f"openat:error=EIO:when={when}"), "-P", str(path)):
        producer.order()
        result = producer.result()
    assert (result["error"], result["returned"]) == ("StorageError", 0), result
    assert os.strerror(errno.EIO) in result["message"]
    assert not path.exists()


# A disk that fills.

KINDS = ["limit", "tmpfs"] if os.geteuid() == 0 else ["limit"]
"""Only root may mount; the other way is a limit of file sizes, at which the kernel refuses in the same calls."""

DISK_BYTES = 64 << 20


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """Mount a file system of 64 MiB."""
    place = tmp_path / "disk"
    place.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={DISK_BYTES}", "mmspool-test", str(place)], check=True)
    try:
        yield place
    finally:
        subprocess.run(["umount", str(place)], check=True)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("shape", "growth_bytes"),
    [((64, 64), 0), ((64, 64), 1 << 20), ((1003, 777), 1 << 20)],
    ids=["small", "often", "large"],
)
def test_a_disk_that_fills_ends_the_recording_with_an_exact_file(
    start: Start, request: pytest.FixtureRequest, tmp_path: Path, kind: str, shape: tuple[int, int], growth_bytes: int
) -> None:
    """The error comes when there is no place for the next frame, and every frame before it is there."""
    folder = request.getfixturevalue("small_disk") if kind == "tmpfs" else tmp_path
    path = folder / "run.h5"
    size = 2 * shape[0] * shape[1]
    producer = start(
        2 * DISK_BYTES // size, path=str(path), shape=shape, growth_bytes=growth_bytes, options={"grow_frames": 8}
    )
    producer.wait_for_phase(Phase.READY)
    if kind == "limit":
        psutil.Process(producer.writer).rlimit(resource.RLIMIT_FSIZE, (DISK_BYTES, -1))
    producer.order()
    result = producer.result()
    frames = check_ended(path, result, errno.EFBIG if kind == "limit" else errno.ENOSPC)
    assert "the disk is full" in result["message"]
    assert f"{frames:,} frames were written" in result["message"]
    assert frames * size > DISK_BYTES // 3


def test_the_last_byte_of_a_disk_may_be_taken_by_others(start: Start, request: pytest.FixtureRequest) -> None:
    """What was set aside can be filled and the file closed, although the disk has no byte left."""
    if KINDS == ["limit"]:
        pytest.skip("only root may mount a disk to fill")
    folder = request.getfixturevalue("small_disk")
    producer = start(3000, path=str(folder / "run.h5"), stop=300, growth_bytes=4 << 20, options={"grow_frames": 20})
    producer.wait_for_phase(Phase.READY)
    producer.order()
    producer.wait_for_phase(Phase.STOPPED)
    producer.wait_for(lambda: producer[Slot.WRITTEN] == 300, "all is written")
    with pytest.raises(OSError, match="No space left"):
        (folder / "others").write_bytes(bytes(DISK_BYTES))
    producer.order()
    result = producer.result()
    frames = check_ended(folder / "run.h5", result, errno.ENOSPC)
    assert frames >= 300
