"""Following a recording: each frame as it is recorded, by this process or another, never one that is not there."""

import itertools
import subprocess
import sys

import numpy as np
import pytest
from support.paths import environment
from support.processes import kill_tree
from support.waiting import wait_until

import mmspool
from mmspool import Spool
from mmspool.persistence.reading import file_snapshot, following

pytestmark = pytest.mark.usefixtures("processes")

SHAPE = (64, 96)

SCRIPT = """
import sys, time
import numpy as np
from mmspool import Spool
shape = ({height}, {width})
with Spool(sys.argv[1], shape=shape, dtype="u2", buffer_bytes=32 << 20, sync_interval_s=0.1, **{options}) as spool:
    print("ready", flush=True)
    for index in range(400):
        spool.put(np.full(shape, index, "u2"))
        time.sleep({pause_s})
    if sys.argv[2] == "abandon":
        time.sleep(600)
"""


def start(path, shape=SHAPE, options=None, then="close", pause_s=0.002):
    """Start a process that records 400 frames, and wait until the file is there."""
    source = SCRIPT.format(height=shape[0], width=shape[1], options=options or {}, pause_s=pause_s)
    process = subprocess.Popen(
        [sys.executable, "-c", source, str(path), then],
        stdout=subprocess.PIPE,
        env=environment(),
        start_new_session=True,
    )
    assert process.stdout.readline().strip() == b"ready"
    return process


@pytest.mark.parametrize("options", [{}, {"compression": "fast"}], ids=["raw", "fast"])
@pytest.mark.parametrize("shape", [(24, 32), (1024, 768)], ids=str)
def test_another_process(tmp_path, shape, options):
    """All frames come, in order and whole, while another process records them, until it closes the file."""
    path = tmp_path / "run.h5"
    with start(path, shape, options) as process, mmspool.open(path) as recording:
        seen = []
        for frame in recording.follow():
            assert (frame == frame[0, 0]).all()
            seen.append(int(frame[0, 0]))
        assert seen == list(range(400))
        assert (recording.state, len(recording)) == ("complete", 400)
        assert process.wait(60) == 0


@pytest.mark.parametrize("options", [{}, {"compression": "fast"}], ids=["raw", "fast"])
def test_at_full_rate(tmp_path, options):
    """All frames come, in order and whole, of a process that records as fast as it can; it records all of them."""
    path = tmp_path / "run.h5"
    with start(path, (1024, 1024), options, pause_s=0) as process, mmspool.open(path) as recording:
        for index, frame in enumerate(recording.follow()):
            assert (frame == index).all()
        assert index == 399
        assert (recording.state, recording.frames_lost) == ("complete", 0)
        assert process.wait(60) == 0


def test_from_the_newest_on(tmp_path):
    """Whoever is interested in new frames only starts behind those that are there."""
    with Spool(tmp_path / "run.h5", buffer_bytes=8 << 20) as spool:
        for index in range(10):
            spool.put(np.full(SHAPE, index, "u2"))
        wait_until(lambda: spool.stats.frames_written >= 10, "they are in the file")
        with mmspool.open(spool.path) as recording:
            newer = recording.follow(start=len(recording))
            for index in range(10, 15):
                spool.put(np.full(SHAPE, index, "u2"))
                assert next(newer)[0, 0] == index
            spool.close()
            assert list(newer) == []


def test_a_closed_recording(tmp_path):
    """A recording that has ended is followed to its end."""
    with Spool(tmp_path / "run.h5", buffer_bytes=8 << 20) as spool:
        for index in range(10):
            spool.put(np.full(SHAPE, index, "u2"))
    with mmspool.open(spool.path) as recording:
        assert [int(frame[0, 0]) for frame in recording.follow(start=7)] == [7, 8, 9]


def test_no_frame_comes(tmp_path):
    """A limit ends it when no frame comes for so long, though the recording goes on."""
    path = tmp_path / "run.h5"
    with Spool(path, shape=SHAPE, dtype="u2", buffer_bytes=8 << 20), mmspool.open(path) as recording:
        assert list(recording.follow(timeout_s=0.2)) == []
        assert recording.state == "recording"


def test_whoever_recorded_is_gone(tmp_path, monkeypatch):
    """When all processes of a recording were killed, its frames come and then it ends."""
    monkeypatch.setattr(mmspool.persistence.reading.following, "_ABANDONED_S", 0.5)
    path = tmp_path / "run.h5"
    with start(path, then="abandon") as process, mmspool.open(path) as recording:
        frames = recording.follow()
        assert [int(frame[0, 0]) for frame in itertools.islice(frames, 400)] == list(range(400))
        kill_tree(process.pid)
        assert list(frames) == []
        assert recording.state == "recording"


@pytest.mark.parametrize("compression", [None, "fast"])
def test_opened_while_its_writer_closes_it(make_spool, frames, mocker, compression):
    """A file that is trimmed between two looks of a reader is looked at again, and is whole."""
    spool = make_spool(shape=frames.shape, dtype="<u2", compression=compression)
    for index in range(20):
        spool.put(frames(index))
    closed = []

    def validate(file, file_size):
        if not closed:
            file["data"].shape  # noqa: B018 - HDF5 keeps what it has read
            closed.append(spool.close())
        return real(file, file_size)

    real = file_snapshot.validate_structure
    mocker.patch.object(file_snapshot, "validate_structure", validate)
    with mmspool.open(spool.path) as recording:
        assert (recording.state, len(recording)) == ("complete", 20)
    frames.check(spool.path, 20)


@pytest.mark.parametrize(
    "read",
    [
        lambda recording: recording[:],
        lambda recording: recording[:, 0, :2],
        lambda recording: recording[list(range(len(recording)))],
        lambda recording: np.stack(list(recording)),
    ],
    ids=["stack", "trace", "list", "iteration"],
)
def test_trimmed_while_it_is_read(tmp_path, read):
    """A stack, a trace, a list and an iteration are whole where the writer changes the index and closes meanwhile."""
    with Spool(tmp_path / "run.h5", shape=(128, 256), dtype="u2", compression="fast", buffer_bytes=32 << 20) as spool:
        for index in range(230):
            spool.put(np.full((128, 256), index, "u2"))
        wait_until(lambda: spool.stats.frames_written >= 230, "they are in the file")
        with mmspool.open(spool.path) as recording:
            assert recording[0][0, 0] == 0  # HDF5 keeps this part of the index, which is changed now
            for index in range(230, 270):
                spool.put(np.full((128, 256), index, "u2"))
            spool.close()
            frames = read(recording)
    assert (frames.reshape(len(frames), -1) == np.arange(len(frames))[:, None]).all()
    assert len(frames) >= 230


class Clock:
    """Counts 20 ms for each pause, and does something during one of them."""

    def __init__(self, during=None, do=None):
        self.pauses, self.during, self.do = 0, during, do

    def monotonic(self):
        """Return the time, seconds."""
        return self.pauses * 0.02

    def sleep(self, seconds):
        """Let time pass."""
        self.pauses += 1
        if self.pauses == self.during:
            self.do()


def set_put(recording, frames):
    """Write into the file that so many frames were put."""
    with recording.path.open("r+b") as file:
        file.seek(recording._file.snapshot.put_offset)
        file.write(frames.to_bytes(8, "little"))


@pytest.fixture
def behind(tmp_path):
    """Return an open recording of 5 frames, and how many in the ring are too many."""
    with Spool(tmp_path / "run.h5", buffer_bytes=8 << 20) as spool:
        for index in range(5):
            spool.put(np.full(SHAPE, index, "u2"))
        wait_until(lambda: spool.stats.frames_durable >= 5, "they are in the file")
        with mmspool.open(spool.path) as recording:
            yield recording, max(2 * recording.chunks[0], recording._file.snapshot.ring_frames // 16) + 1


def test_waits_while_the_writer_is_behind(behind, monkeypatch):
    """While more than a sixteenth of the ring waits to be written nothing is read, and then every frame comes."""
    recording, many = behind
    set_put(recording, 5 + many)
    clock = Clock(during=7, do=lambda: set_put(recording, 5 + many - 1))
    monkeypatch.setattr(following, "time", clock)
    assert [int(frame[0, 0]) for frame in itertools.islice(recording.follow(), 5)] == list(range(5))
    assert clock.pauses == 7


def test_a_frame_a_second_while_the_writer_stays_behind(behind, monkeypatch):
    """Whoever follows gets on, slowly, where the writer never catches up."""
    recording, many = behind
    set_put(recording, 5 + many)
    clock = Clock()
    monkeypatch.setattr(following, "time", clock)
    assert [int(frame[0, 0]) for frame in itertools.islice(recording.follow(), 5)] == list(range(5))
    assert clock.pauses == pytest.approx(5 / 0.02, abs=5)


def test_reads_at_once_what_a_killed_recording_left(tmp_path, monkeypatch):
    """A ring that nobody empties any more holds up nobody."""
    clock = Clock()
    path = tmp_path / "run.h5"
    with start(path, then="abandon") as process, mmspool.open(path) as recording:
        wait_until(lambda: not recording.refresh_if_grown() and len(recording) >= 400, "they are in the file")
        kill_tree(process.pid)
        wait_until(lambda: not following._is_in_use(path), "the system has closed it")
        set_put(recording, 400 + recording._file.snapshot.ring_frames)
        monkeypatch.setattr(following, "time", clock)
        assert len(list(itertools.islice(recording.follow(), 400))) == 400
    assert clock.pauses == 0
