"""``mmspool preflight``."""

import contextlib
import errno
import json
import os
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from mmspool import Faults
from mmspool.cli import preflight as command_module
from mmspool.cli.preflight_report import print_report
from mmspool.driver.preflight import measure as preflight_measure
from mmspool.driver.preflight.measure import CameraRate, Measured
from mmspool.driver.preflight.verdict import FrameLoad, Measurements, judge
from mmspool.persistence.capacity import probes
from mmspool.persistence.capacity.disk_rate import DiskRate
from mmspool.persistence.hdf5_file import direct_file, output_path
from mmspool.persistence.shared_ring import buffer_size

MB = 10**6
SHORT = ("--seconds", "0.01")
DISK = DiskRate(
    bytes_per_s=2000.0 * MB,
    cache_bytes=None,
    cached_bytes_per_s=None,
    falling=False,
    slowest_s=0.04,
    direct=True,
    size_bytes=20_000 * MB,
    seconds=10.0,
)
FIGURES = Measurements(
    disk_bytes_per_s=2000.0 * MB,
    disk_free_bytes=5_000_000 * MB,
    copy_s=0.001,
    pop_s=0.002,
    core_frames=128,
    ring_default_bytes=1 << 30,
    ring_largest_bytes=6 << 30,
)
CAMERA = CameraRate(frames=200, fps=100.0, pop_s=0.002, core_frames=128)
SCMOS = FrameLoad(shape=(2048, 2048), dtype=np.dtype("uint16"), fps=100.0)


@pytest.fixture(autouse=True)
def short(monkeypatch):
    """Measure copies and cameras for a moment."""
    monkeypatch.setattr(probes, "_COPY_S", 1e-9)
    monkeypatch.setattr(probes, "_COPY_SOURCE_BYTES", 1)
    monkeypatch.setattr(probes, "_COPY_RING_BYTES", 64 << 20)
    monkeypatch.setattr(preflight_measure, "_SEQUENCE_S", 0.05)


@pytest.fixture
def preflight(run, mocked, tmp_path):
    """Return a function that runs ``mmspool preflight`` in an empty folder, where it must leave nothing."""
    yield lambda *arguments: run("preflight", tmp_path, *SHORT, *arguments)
    assert list(tmp_path.iterdir()) == []


@pytest.fixture
def judged(mocker, monkeypatch, preflight):
    """Return a function that runs the command on figures that a test makes up."""

    def run(*arguments, load=SCMOS, disk=DISK, camera=CAMERA, **figures):
        found = Measured(load=load, figures=replace(FIGURES, **figures), disk=disk, camera=camera)
        monkeypatch.setattr(command_module, "measure", lambda *_, **__: found)
        return preflight(*arguments)

    return run


def said(result):
    """Return the lines by their names, later lines of one name joined."""
    lines, name = {}, ""
    for line in result.stdout.splitlines():
        name = line[:15].strip() or name
        lines.setdefault(name, []).append(line[15:])
    return {name: "\n".join(texts) for name, texts in lines.items()}


class TestAnswers:
    """What it says of figures that are known."""

    def test_it_can(self, judged):
        """For how long, what the limit is, and what the buffers carry."""
        result = judged("--mock")
        assert result.exit_code == 0, result.output
        lines = said(result)
        assert lines["disk"] == (
            "2,000 MB/s sustained, synced, past the page cache (20.00 GB in 10.0 s, longest write 40 ms)"
        )
        assert lines["disk free"].startswith(f"5,000.0 GB in {Path.cwd().anchor}")
        assert lines["shared memory"] == "room for a ring of 6,442 MB"
        assert lines["copy"] == "8,389 MB/s, 1 ms a frame, into shared memory"
        assert lines["core"] == "4,194 MB/s, 2 ms a frame, out of its buffer, which holds 128 frames"
        assert lines["frames"] == "Camera, 9.99734 ms: 2048x2048 uint16 at 100 frames/s, 839 MB/s"
        assert lines["verdict"] == "can be recorded here, for 99 minutes: then the disk is full"
        assert lines["bottleneck"] == "the disk's rate, which allows 215 frames/s with 10% in reserve"
        assert lines["buffers"].splitlines() == [
            "the ring that `record` makes (1,074 MB) survives a stall of the disk of 1.3 s",
            "the core's buffer adds 1.3 s, and alone serves a script that is held up; "
            "each 800 of --core-buffer-mb is a second",
            "--core-buffer-mb 808 is proposed: alone it survives 1.0 s",
        ]
        assert lines["stalls"].splitlines() == [
            "1 s of a stalled disk: --buffer-mb 856",
            "2 s of a stalled disk: --buffer-mb 1695",
            "5 s of a stalled disk: --buffer-mb 4212",
            "10 s of a stalled disk: --buffer-mb 8406, for which there is not enough shared memory",
        ]

    def test_disk_too_slow(self, judged):
        """For a disk that is too slow, the report says how long the buffers last."""
        result = judged("--mock", disk_bytes_per_s=500.0 * MB)
        assert result.exit_code == 3
        lines = said(result)
        assert lines["verdict"] == "cannot be recorded here: after 5.5 s the buffers are full and frames are lost"
        assert lines["bottleneck"] == "the disk's rate, which allows 53.6 frames/s with 10% in reserve"

    def test_core_too_slow(self, judged):
        """For a core that is too slow, the report names it as the bottleneck."""
        result = judged("--mock", pop_s=0.025)
        assert result.exit_code == 3
        assert said(result)["bottleneck"] == (
            "taking frames from the core, which allows 28.8 frames/s with 25% in reserve (25 ms a frame)"
        )

    @pytest.mark.parametrize("disk_mb", [1, 10**9])
    def test_script_too_slow(self, judged, disk_mb):
        """Without a camera there is no buffer before the ring to wait in, however fast the disk is."""
        load = replace(SCMOS, fps=1e5)
        result = judged(load=load, camera=None, pop_s=None, core_frames=0, disk_bytes_per_s=disk_mb * 1e6)
        assert result.exit_code == 3
        assert said(result)["verdict"] == "cannot be recorded here at this rate: frames are lost from the start"

    def test_disk_full(self, judged):
        """For a full disk, the report says that no recording can begin."""
        result = judged("--mock", disk_free_bytes=100 * MB)
        assert result.exit_code == 3
        lines = said(result)
        assert lines["verdict"] == "cannot be recorded here: the disk is full"
        assert lines["bottleneck"] == "the disk's free space: there is not even room for the first frames"

    def test_no_rate_given(self, judged):
        """Without a frame rate, the report gives the highest one that can be recorded."""
        result = judged(load=replace(SCMOS, fps=None), camera=None, pop_s=None, core_frames=0)
        assert result.exit_code == 0
        lines = said(result)
        assert lines["frames"] == "2048x2048 uint16"
        assert lines["verdict"] == "at most 215 frames/s (1,800 MB/s) here, for 46 minutes: then the disk is full"
        assert "core" not in lines

    def test_camera_without_a_frame(self, judged):
        """For a camera that makes no frame, the report names the rate it assumed, unless one was given."""
        silent = replace(CAMERA, frames=0, fps=None, pop_s=None)
        text = "too few frames came to measure the rate: taken as one each exposure; give --fps for a trigger"
        assert text in said(judged("--mock", camera=silent, pop_s=None))["frames"]
        assert text not in said(judged("--mock", "--fps", 100, camera=silent, pop_s=None))["frames"]

    def test_cache(self, judged):
        """The report mentions a disk cache, which it does not count, and a test that was too short."""
        disk = replace(DISK, cache_bytes=5_000 * MB, cached_bytes_per_s=3000.0 * MB, falling=True)
        lines = said(judged("--mock", disk=disk))["disk"].splitlines()
        assert lines[1:] == [
            "its first 5.00 GB went at 3,000 MB/s: a cache, which was not counted",
            "the rate was still falling when the test ended: measure longer, with --seconds 60",
        ]

    @pytest.mark.parametrize(
        ("free_s", "text"), [(90, "90.0 s"), (600, "10 minutes"), (36_000, "10.0 hours"), (360_000, "4.2 days")]
    )
    def test_durations(self, judged, free_s, text):
        """Durations are printed in a unit that suits them."""
        result = judged("--mock", disk_free_bytes=round(free_s * 100 * (2048 * 2048 * 2 + 56)))
        assert f"for {text}: then" in said(result)["verdict"]

    def test_names_are_no_markup(self, capsys, tmp_path):
        """Brackets in a camera's or folder's name are printed as they are."""
        found = Measured(load=SCMOS, figures=FIGURES, disk=DISK, camera=CAMERA)
        folder = tmp_path / "[red]"
        print_report(found, judge(SCMOS, FIGURES), folder=folder, camera="Cam[/x] :smile:, ", fps_asked=False)
        text = capsys.readouterr().out
        assert str(folder) in text
        assert "Cam[/x] :smile:" in text


class TestMeasured:
    """What it says of this machine, whatever that is."""

    def test_without_a_camera(self, preflight):
        """The rates, and the most that 2048x2048 frames may come at."""
        result = preflight()
        assert result.exit_code == 0, result.output
        lines = said(result)
        assert lines["frames"] == "2048x2048 uint16"
        assert lines["verdict"].startswith("at most ")

    def test_of_a_size(self, preflight):
        """Frames that a script has from elsewhere."""
        result = preflight("--size", "64x32", "--dtype", "uint8", "--fps", 1)
        assert result.exit_code == 0, result.output
        assert said(result)["frames"] == "64x32 uint8 at 1 frames/s, 0 MB/s"

    def test_of_more_than_any_machine_can(self, preflight):
        """A demand that no machine can meet exits with code 3."""
        assert preflight("--fps", 1e7).exit_code == 3

    def test_mock(self, preflight):
        """Preflight takes the frame format from the settings of the simulated camera."""
        options = ["--binning", 2, "--roi", "4,8,32,16", "--pixel-type", "8bit", "--exposure", 20, "-p", "Offset=50"]
        result = preflight("--mock", *options, "--core-buffer-mb", 1, "--fps", 1)
        assert result.exit_code == 0, result.output
        lines = said(result)
        assert lines["frames"].startswith("Camera, 20.0044 ms: 32x16 uint8 at 1 frames/s")
        assert lines["core"].endswith("which holds 2,048 frames")

    def test_core_buffer_that_is_proposed(self, processes, preflight, run, mocked, tmp_path_factory):
        """The proposal is an option of `record`, and the camera that is recorded with it has such a buffer."""
        facts = json.loads(preflight("--mock", "--fps", 200, "--json").stdout)["verdict"]["core_buffer"]
        options = ("--mock", "-n", 3, "--buffer-mb", 16, "--core-buffer-mb", facts["buffer_bytes"] >> 20, "--json")
        recorded = run("record", tmp_path_factory.mktemp("recording") / "run.h5", *options)
        assert recorded.exit_code == 0, recorded.output
        assert json.loads(recorded.stdout)["stats"]["core_capacity"] >= 200 * facts["stall_s"]

    def test_demo(self, preflight):
        """Preflight measures the demo camera through the real core."""
        result = preflight("--demo", "--roi", "0,0,128,64", "--exposure", 5, "-p", "FastImage=1")
        assert result.exit_code in (0, 3), result.output
        assert ": 128x64 uint16 at " in said(result)["frames"]

    def test_json(self, preflight):
        """All figures, as numbers, and nothing else."""
        result = preflight("--mock", "--fps", 1, "--json")
        assert result.exit_code == 0, result.output
        facts = json.loads(result.stdout)
        assert facts["frames"] == {"shape": [64, 96], "dtype": "uint16", "fps": 1.0}
        assert facts["verdict"]["feasible"] is True
        assert facts["verdict"]["duration_s"] > 0
        assert facts["disk"]["bytes_per_s"] == facts["figures"]["disk_bytes_per_s"] > 0
        assert facts["camera"]["frames"] > 0
        assert [each["stall_s"] for each in facts["verdict"]["rings"]] == [1, 2, 5, 10]

    def test_where_direct_io_is_refused(self, preflight, monkeypatch):
        """Where direct I/O is refused, the report says so."""
        monkeypatch.setattr(direct_file, "open_direct", lambda _: None)
        assert "through the page cache: no direct I/O here" in said(preflight())["disk"]


class TestErrors:
    """Exit code 1: one message, no traceback, nothing left."""

    def check(self, result, message):
        """Look at what was printed."""
        assert result.exit_code == 1, result.output
        assert message in result.stderr
        assert result.stderr.splitlines()[-1].startswith("Error: ")
        assert "Traceback" not in result.output
        assert result.stdout == ""

    def test_no_folder(self, run, tmp_path):
        """A missing folder is named in the error."""
        self.check(run("preflight", tmp_path / "none"), "none: the folder does not exist: create it first")

    def test_file_for_a_folder(self, run, tmp_path):
        """A file in place of a folder is refused with a hint to name its folder."""
        (tmp_path / "run.h5").touch()
        self.check(run("preflight", tmp_path / "run.h5"), "this is not a folder: name the one that recordings go to")

    @pytest.mark.parametrize("number", ["ENOSPC", "EACCES", "EROFS"])
    def test_no_file_can_be_made(self, preflight, monkeypatch, number):
        """Where no file can be created, the error gives the system's reason."""
        code = getattr(errno, number)

        def refuse(path, flags):
            assert probes.SCRATCH_PREFIX in str(path)
            raise OSError(code, os.strerror(code))

        monkeypatch.setattr(output_path, "open_file", refuse)
        self.check(preflight(), f"the file cannot be created ({os.strerror(code)})")

    def test_shared_memory_too_small(self, preflight, mocker):
        """Shared memory that is too small, as in a container, is an error with advice."""
        mocker.patch.object(buffer_size, "_limits", return_value=[(1_000_000, "/dev/shm")])
        self.check(preflight(), "cannot hold 2 frames of 2048x2048 uint16")

    def test_camera_refuses(self, preflight):
        """What was refused and what would be taken."""
        self.check(preflight("--mock", "--binning", 3), "--binning 3 is not allowed: Camera takes 1, 2, 4")

    def test_camera_fails(self, preflight, mocked):
        """A camera that fails is reported in the core's own words."""
        mocked(faults=Faults(errors={"pop_next_tagged_image": {2: "cable pulled"}}))
        self.check(preflight("--mock"), "core.pop_next_tagged_image() failed: cable pulled")

    def test_nothing_answers(self, preflight):
        """Without a running Micro-Manager, `--connect` fails at once."""
        self.check(preflight("--connect", 1), "no Micro-Manager answers on port 1")


class TestUsage:
    """Exit code 2: what was typed makes no sense."""

    @pytest.mark.parametrize(
        ("arguments", "message"),
        [
            (("--mock", "--demo"), "say which camera: only one of --demo, --mock, --connect [PORT]"),
            (("--mock", "--size", "64x64"), "--size and --dtype are for frames without a camera"),
            (("--mock", "--dtype", "uint8"), "--size and --dtype are for frames without a camera"),
            (("--exposure", "5"), "these settings need a camera: one of --demo, --mock"),
            (("-p", "Gain=2"), "these settings need a camera"),
            (("--size", "64"), "'64' is not two whole numbers: give width and height as 2048x2048"),
            (("--size", "0x64"), "'0x64' has no pixels"),
            (("--dtype", "uint17"), "'uint17' is no dtype: give one such as uint8, uint16 or float32"),
            (("--dtype", "complex64"), "pixels are bool, integers or floats, not complex64"),
            (("--fps", "0"), "0.0 is not in the range x>0"),
            (("--seconds", "-1"), "-1.0 is not in the range x>0"),
        ],
    )
    def test_is_told(self, preflight, arguments, message):
        """The message says what was wrong and what is right."""
        result = preflight(*arguments)
        assert result.exit_code == 2
        assert message in " ".join(result.stderr.split())

    def test_folder_is_missing_because_connect_took_it(self, run):
        """When `--connect` swallows the folder as its port, the error says where to put the folder."""
        result = run("preflight", "--connect", "/data")
        assert result.exit_code == 2
        assert "put DIR before --connect, or give the port" in " ".join(result.stderr.split())

    def test_help(self, run):
        """The help of preflight names what it writes and its exit codes."""
        text = " ".join(run("preflight", "--help").stdout.split())
        assert "at most a quarter of its free space. Nothing is left there." in text
        assert "Exit codes: 0 it can be recorded, 1 error, 2 wrong usage, 3 it cannot be recorded, 130" in text


@pytest.mark.skipif(sys.platform != "linux", reason="only there are open files seen from outside")
@pytest.mark.parametrize("camera", [(), ("--mock",)])
def test_ctrl_c(command, tmp_path, wait_until, camera):
    """Ctrl-C ends preflight at once, during any of its measurements, and leaves no file."""
    process = command("preflight", ".", "--seconds", "600", *camera)
    open_files = Path(f"/proc/{process.process.pid}/fd")

    def writes():
        with contextlib.suppress(FileNotFoundError):  # closed meanwhile
            return any(probes.SCRATCH_PREFIX in str(each.readlink()) for each in open_files.iterdir())
        return False

    wait_until(writes)
    process.press_ctrl_c()
    code, out, err = process.end()
    assert (code, out, "Traceback" in err) == (130, "", False), err
    assert list(tmp_path.iterdir()) == []
