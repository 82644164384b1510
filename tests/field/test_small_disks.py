"""Small disks: what is asked for is recorded if it fits, and what does not fit ends in a sentence."""

import subprocess
import sys

import pytest
from support.frames import frame
from support.mounts import can_mount
from support.paths import environment

import mmspool
from mmspool import Camera, Spool, StorageError, frame_index

pytestmark = [
    pytest.mark.usefixtures("processes"),
    pytest.mark.skipif(not can_mount("tmpfs"), reason="only a process that may mount can have a small disk"),
]

SIDE = 2048
FRAME_MB = SIDE * SIDE * 2 / 2**20


def check(path, frames):
    """Look at a complete recording of the simulated camera."""
    with mmspool.open(path) as recording:
        assert (recording.state, len(recording)) == ("complete", frames)
        assert [frame_index(image) for image in recording] == list(range(frames))


@pytest.mark.parametrize("compression", [None, "fast"])
@pytest.mark.parametrize("size_mb", [400, 100])
def test_ten_frames(mounted, size_mb, compression):
    """Ten frames of 8 MiB are recorded where 400 MB are free, and where there is hardly room for them."""
    path = mounted("tmpfs", size_mb=size_mb) / "ten.h5"
    with Camera.mock(width=SIDE, height=SIDE) as camera:
        result = camera.record(path, frames=10, compression=compression)
    assert (result.complete, result.frames_written) == (True, 10)
    check(path, 10)


def test_the_command(mounted, tmp_path):
    """`mmspool record` does the same, and its option `--grow-frames` sets by how much the file grows."""
    place = mounted("tmpfs", size_mb=400)
    for name, frames, more in (("ten.h5", 10, ()), ("thirty.h5", 30, ("--grow-frames", "2"))):
        path = place / name
        arguments = ["record", path, "--mock", "--frames", frames, "--exposure", 1, "--quiet", *more]
        command = [sys.executable, "-m", "mmspool", *map(str, arguments)]
        done = subprocess.run(command, cwd=tmp_path, env=environment(), capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        check(path, frames)


@pytest.mark.parametrize("compression", [None, "fast"])
def test_an_open_end(mounted, compression):
    """A recording without a number of frames uses the room there is, though it is less than an increment."""
    path = mounted("tmpfs", size_mb=400) / "run.h5"
    with Spool(path, shape=(SIDE, SIDE), dtype="<u2", buffer_bytes=64 << 20, compression=compression) as spool:
        for index in range(40):
            spool.put(frame(index, (SIDE, SIDE)))
    assert spool.result.complete
    with mmspool.open(path) as recording:
        assert recording[:, 0, 0].tolist() == list(range(40))


def test_too_many_frames(mounted):
    """Frames that do not fit end the recording with an error; those that did are in the file."""
    path = mounted("tmpfs", size_mb=200) / "run.h5"
    spool = Spool(path, shape=(SIDE, SIDE), dtype="<u2", buffer_bytes=64 << 20, expected_frames=40)

    def record():
        for index in range(40):
            spool.put(frame(index, (SIDE, SIDE)))
        spool.close()

    with pytest.raises(mmspool.WriterError, match="there is no room for the next frame") as caught:
        record()
    assert isinstance(caught.value.__cause__, StorageError)
    with mmspool.open(path) as recording:
        assert 20 <= len(recording) < 200 / FRAME_MB
        assert recording[:, 0, 0].tolist() == list(range(len(recording)))
        assert recording.frames_lost == spool.stats.frames_put - len(recording)
