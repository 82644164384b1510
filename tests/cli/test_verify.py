"""``mmspool verify`` and ``mmspool repair``."""

import json

import h5py
import psutil

import mmspool
from mmspool import Faults, frame_index


def spoil(path):
    """Change one byte of the first frame's pixels."""
    with h5py.File(path) as file:
        at = file["data"].id.get_chunk_info(0).byte_offset
    with path.open("r+b") as file:
        file.seek(at + 1000)
        byte = file.read(1)[0]
        file.seek(at + 1000)
        file.write(bytes([byte ^ 1]))


def kill_all(pid):
    """Kill a process and its children at once; one that saw the other die would close the file or start it anew.

    Only multiprocessing's resource tracker stays, which gives back the shared memory.
    """
    process = psutil.Process(pid)
    process.suspend()
    for each in (*process.children(), process):
        if "resource_tracker" not in " ".join(each.cmdline()):
            each.kill()


class TestVerify:
    """Whether a file holds what was recorded."""

    def test_complete(self, record, run, tmp_path):
        """`verify` prints one line for a complete recording and exits with code 0."""
        record("-n", 30)
        result = run("verify", tmp_path / "run.h5")
        assert result.exit_code == 0, result.output
        assert result.stdout.splitlines()[-1] == (
            f"{tmp_path / 'run.h5'}: 30 of 30 frames checked, intact and complete"
        )

    def test_frames_are_missing(self, record, mocked, run, tmp_path):
        """Exit code 3: what is there is right."""
        mocked(faults=Faults(image_number_jumps={5: 3}))
        record("-n", 30)
        result = run("verify", tmp_path / "run.h5")
        assert result.exit_code == 3, result.output
        assert "missing: " in result.stdout
        assert result.stdout.endswith("intact, but not complete\n")

    def test_damaged(self, record, run, tmp_path):
        """Exit code 1, with the frame that is not what was recorded."""
        record("-n", 30)
        spoil(tmp_path / "run.h5")
        result = run("verify", tmp_path / "run.h5")
        assert result.exit_code == 1, result.output
        assert "damage: " in result.stdout
        assert result.stdout.endswith("damaged\n")

    def test_json(self, record, run, tmp_path):
        """`verify --json` prints the report for programs."""
        record("-n", 30)
        report = json.loads(run("verify", "--json", tmp_path / "run.h5").stdout)
        assert report["path"] == str(tmp_path / "run.h5")
        assert (report["intact"], report["frames_written"], report["damage"]) == (True, 30, [])

    def test_no_recording(self, run, tmp_path):
        """A file that is not a recording is one message and exit code 1."""
        (tmp_path / "a.h5").write_text("hello")
        result = run("verify", tmp_path / "a.h5")
        assert result.exit_code == 1
        assert "Error: " in result.stderr
        assert "Traceback" not in result.output


class TestRepair:
    """Making a file exact."""

    def test_closed_file_needs_none(self, record, run, tmp_path):
        """`repair` does not change a recording that was closed."""
        record("-n", 30)
        before = (tmp_path / "run.h5").read_bytes()
        result = run("repair", tmp_path / "run.h5")
        assert result.exit_code == 0, result.output
        assert result.stdout == f"{tmp_path / 'run.h5'}: nothing to repair, it was closed (complete), 30 frames\n"
        assert (tmp_path / "run.h5").read_bytes() == before

    def test_no_recording(self, run, tmp_path):
        """A file that is not a recording is one message and exit code 1."""
        result = run("repair", tmp_path / "a.h5")
        assert result.exit_code == 1
        assert "Traceback" not in result.output

    def test_after_everything_was_killed(self, command, under_way, run, tmp_path):
        """The camera's process and the writer process die at once; every frame that was written is kept."""
        path = tmp_path / "run.h5"
        process = command("record", "run.h5", "--mock", "--roi", "0,0,128,64", "--exposure", 1, "--buffer-mb", 16)
        under_way()
        kill_all(process.process.pid)
        process.end()
        assert "state" in run("info", path).stdout
        before = path.read_bytes()
        result = run("repair", "--dry-run", path)
        assert result.exit_code == 0, result.output
        assert "would keep" in result.stdout
        assert path.read_bytes() == before
        assert "kept" in run("repair", path).stdout
        assert run("verify", path).exit_code == 3
        with mmspool.open(path) as recording:
            assert [frame_index(frame) for frame in recording] == list(range(len(recording)))
            assert len(recording) >= 10
            assert recording.state == "repaired"
