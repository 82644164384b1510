"""``mmspool info``."""

import json
import re

import numpy as np
import pytest

import mmspool
from mmspool import Camera, Faults, Spool


@pytest.fixture
def recorded(record, mocked, tmp_path):
    """Record 30 frames with a loss, and return the file."""
    mocked(faults=Faults(image_number_jumps={5: 3}))
    assert record("-n", 30, "--exposure", 20).exit_code == 3
    return tmp_path / "run.h5"


class TestText:
    """For people."""

    def test_says_what_matters(self, run, recorded):
        """Frames, state, losses, rate, camera and properties, each on its line."""
        result = run("info", recorded)
        assert result.exit_code == 0, result.output
        said = dict(re.split(r" {2,}", line.strip() + "  ", maxsplit=1) for line in result.stdout.splitlines())
        said = {name: value.strip() for name, value in said.items()}
        assert said["file"] == str(recorded)
        assert said["state"] == "incomplete"
        assert said["end reason"] == "completed"
        assert said["frames written"] == "30"
        assert said["shape"] == "30 x 64 x 96 (T, Y, X)"
        assert said["dtype"] == "<u2"
        assert said["frames lost"] == "3"
        assert said["losses"] == "3 before frame 5 (core)"
        assert float(said["mean rate fps"]) > 0
        assert said["label"] == "Camera"
        assert said["roi"] == "x 0, y 0, width 96, height 64"
        assert said["properties"].endswith(": shown by --all")
        assert "PixelType" not in said
        assert re.search(r"^  PixelType +16bit$", run("info", recorded, "--all").stdout, re.MULTILINE)
        assert max(map(len, result.stdout.splitlines())) < 120 + len(str(recorded))
        assert said["metadata"] == "-"

    @pytest.mark.usefixtures("processes")
    def test_of_a_recording_without_a_camera(self, run, tmp_path):
        """What is not known is a dash."""
        with Spool(tmp_path / "a.h5", buffer_bytes=16 * 10**6, metadata={"power [mW]": 5}) as spool:
            spool.put(np.zeros((4, 6), np.float32))
        result = run("info", tmp_path / "a.h5")
        said = {line[:16].strip(): line[16:] for line in result.stdout.splitlines()}
        assert (said["detector"], said["properties"], said["losses"]) == ("-", "-", "-")
        assert said["mean rate fps"] == "-"
        assert re.search(r"^  power \[mW\] +5$", result.stdout, re.MULTILINE)


class TestJson:
    """For programs."""

    def test_parses(self, run, recorded):
        """`info --json` prints the facts of `info`, with numbers as numbers."""
        result = run("info", "--json", recorded)
        assert result.exit_code == 0, result.output
        facts = json.loads(result.stdout)
        assert facts["file"] == str(recorded)
        assert (facts["frames_written"], facts["frames_lost"], facts["state"]) == (30, 3, "incomplete")
        assert facts["losses"] == [{"before_frame": 5, "count": 3, "stage": "core"}]
        assert facts["detector"]["count_time_s"] == pytest.approx(0.02, rel=0.01)
        assert facts["camera"]["roi"] == {"x": 0, "y": 0, "width": 96, "height": 64}
        assert facts["properties"]["PixelType"] == "16bit"
        assert facts["file_bytes"] == recorded.stat().st_size
        assert facts["start_time"] < facts["end_time"]


class TestErrors:
    """Exit code 1: a message, no traceback."""

    @pytest.mark.parametrize("kind", ["missing", "folder", "text"])
    def test_no_recording(self, run, tmp_path, kind):
        """Whatever it is, it is not a recording."""
        path = tmp_path / "a.h5"
        if kind == "folder":
            path.mkdir()
        elif kind == "text":
            path.write_text("hello")
        result = run("info", path)
        assert result.exit_code == 1
        assert result.stderr.startswith(f"Error: {path}")
        assert "Traceback" not in result.output

    def test_without_a_file(self, run):
        """`info` without a file is a usage error."""
        assert run("info").exit_code == 2


@pytest.fixture
def pair(processes, tmp_path):
    """Record two simulated cameras, and return their master file."""
    cameras = {"left": Camera.mock(width=96, height=64), "right": Camera.mock(width=64, height=48)}
    mmspool.record_cameras(tmp_path / "pair.h5", cameras, leader="right", frames=5, buffer_bytes=16 * 10**6)
    return tmp_path / "pair.h5"


class TestSeveralCameras:
    """The master file of several cameras."""

    def test_info(self, run, pair):
        """`info` shows each camera under its name."""
        result = run("info", pair)
        assert result.exit_code == 0, result.output
        head, left, right = re.split(r"^(?:left|right)$", result.stdout, flags=re.MULTILINE)
        assert re.search(r"^leader +right$", head, re.MULTILINE)
        assert "5 x 64 x 96 (T, Y, X)" in left
        assert "5 x 48 x 64 (T, Y, X)" in right

    def test_json(self, run, pair):
        """`info --json` has the facts of each camera by its name."""
        facts = json.loads(run("info", pair, "--json").stdout)
        assert (facts["leader"], list(facts["cameras"])) == ("right", ["left", "right"])
        assert facts["cameras"]["left"]["frames_written"] == 5

    @pytest.mark.parametrize(
        "command", ["verify", "repair", "watch", "export {} x.npy", "compress {} x.h5", "join x.h5 {}"]
    )
    def test_others_name_the_files(self, run, pair, monkeypatch, command):
        """A command that takes one recording names those of the cameras."""
        monkeypatch.chdir(pair.parent)
        name, *arguments = command.split()
        result = run(name, *(each.format(pair.name) for each in arguments or ["{}"]))
        assert result.exit_code == 1
        assert "it is the master file of several cameras: name one of their files, pair_left.h5, pair_right.h5" in (
            result.output
        )
