"""Two cameras that are recorded together, and processes of theirs that are killed."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from support.processes import LIMIT_S, Python, children, command_line, ended, kill, kill_tree
from support.waiting import wait_until

import mmspool
from mmspool import CameraSet, frame_index
from mmspool.persistence import repair, verify

SCRIPT = """
import sys
from pathlib import Path
import mmspool
from mmspool import Camera, MockCore

class Core(MockCore):
    def pop_next_tagged_image(self):
        image = super().pop_next_tagged_image()
        if self.calls["pop_next_tagged_image"] == 100:
            print("under way", flush=True)
        return image

cameras = {"left": Camera(Core(width=64, height=64)), "right": Camera(Core(width=96, height=32))}
for camera in cameras.values():
    camera.exposure_ms = 1
end = Path(sys.argv[1]).with_name("end")
result = mmspool.record_cameras(sys.argv[1], cameras, until=end.exists, buffer_bytes=16 * 10**6)
print(result.complete, [each.stats.spool.writer_restarts for each in result.results.values()], flush=True)
"""


@pytest.fixture
def recording(tmp_path: Path) -> Iterator[Python]:
    """Yield a process that has recorded a hundred frames of each camera, and goes on."""
    with Python("-c", SCRIPT, tmp_path / "run.h5") as process:
        assert [process.line() for _camera in range(2)] == ["under way\n"] * 2
        yield process


def writers(process: Python) -> list[int]:
    """Return the two writer processes."""
    return [pid for pid in children(process.pid) if "writer_process" in command_line(pid)]


def check(master: Path, *, complete: bool) -> None:
    """Look at what is left: each file is intact with its frames in order, and pairs are of equal frames."""
    with CameraSet(master) as run:
        for each in run.values():
            assert [frame_index(frame) for frame in each] == list(range(len(each)))
            assert (each.state == "complete") == complete
        pairs = run.pairs()
        assert len(pairs) == max(map(len, run.values()))
        for left, right in pairs[(pairs >= 0).all(axis=1)]:
            assert frame_index(run["left"][left]) == frame_index(run["right"][right])
    for name in ("left", "right"):
        assert verify(master.with_name(f"run_{name}.h5")).intact


def test_one_writer_is_killed(recording: Python, tmp_path: Path) -> None:
    """A new process takes over the file of its camera, and neither camera loses a frame."""
    before = writers(recording)
    kill(before[0])
    wait_until(lambda: bool(set(writers(recording)) - set(before)), "a new writer starts", LIMIT_S)
    (tmp_path / "end").touch()
    assert recording.line() in ("True [1, 0]\n", "True [0, 1]\n")
    assert recording.end().code == 0
    check(tmp_path / "run.h5", complete=True)


def test_the_producer_is_killed(recording: Python, tmp_path: Path) -> None:
    """Both writers store what their rings hold and close their files, each for itself."""
    left = writers(recording)
    kill(recording.pid)
    wait_until(lambda: all(map(ended, left)), "the writers end", LIMIT_S)
    check(tmp_path / "run.h5", complete=False)
    with mmspool.open(tmp_path / "run.h5") as run:
        assert {each.state for each in run.values()} == {"interrupted"}


def test_all_are_killed(recording: Python, tmp_path: Path) -> None:
    """The master file opens as it is; each camera's file is repaired by itself, and the pairs are right again."""
    kill_tree(recording.pid)
    wait_until(lambda: ended(recording.pid), "the producer ends", LIMIT_S)
    with mmspool.open(tmp_path / "run.h5") as run:
        counted = {name: len(each) for name, each in run.items()}
        assert {each.state for each in run.values()} == {"recording"}
    for name in ("left", "right"):
        report = repair(tmp_path / f"run_{name}.h5")
        assert report.frames_written >= counted[name]
    check(tmp_path / "run.h5", complete=False)
