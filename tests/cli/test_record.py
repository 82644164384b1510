"""``mmspool record`` in this process."""

import io
import json
import re
import sys

import click
import numpy as np
import pytest
from click.testing import CliRunner
from rich.console import Console

import mmspool
from mmspool import Camera, Faults, frame_index
from mmspool.cli import main

OPTIONS = """
    --demo --mock --connect --headless --frames --seconds --exposure --roi --binning --pixel-type --property
    --overwrite --compression --buffer-mb --core-buffer-mb --frame-timeout --quiet --stop-running --settings
    --triggers --frames-per-trigger --trigger-timeout --column --plan
"""


def frames_of(path):
    """Return the indices that the frames of a simulated camera's file show."""
    with mmspool.open(path) as recording:
        return [frame_index(frame) for frame in recording]


class TestComplete:
    """Exit code 0."""

    def test_number_of_frames(self, record, tmp_path):
        """All frames are in the file, and the summary says what matters of them."""
        result = record("-n", 50)
        assert result.exit_code == 0, result.output
        assert frames_of(tmp_path / "run.h5") == list(range(50))
        said = {line[:13].strip(): line[13:] for line in result.stdout.splitlines()}
        assert said["recording"] == "complete"
        assert said["frames"] == "50 of 50"
        assert said["lost frames"] == "0"
        assert said["file"].startswith(f"{tmp_path / 'run.h5'}  ")
        assert f" info {tmp_path / 'run.h5'}" in result.stdout
        assert f"{sys.executable} -c" in result.stdout
        assert "'\"'" not in result.stdout, "a path in quotes that only a shell can read"
        assert "missing" not in result.stdout

    def test_says_what_it_is_about_to_do(self, record):
        """Camera, core, frames, exposure and end are on the error output before it starts, and nothing else there."""
        result = record("-n", 5, "--exposure", 20)
        announced = "Camera (MMCore version 12.5.1 (simulated)): 96x64 uint16, 20.0044 ms, 5 frames"
        assert result.stderr.splitlines() == [announced]

    def test_wraps_words_on_a_terminal(self, record, monkeypatch):
        """On a narrow terminal the announcement is wrapped between words."""
        terminal = Console(file=io.StringIO(), force_terminal=True, width=60, highlight=False, soft_wrap=True)
        monkeypatch.setattr("mmspool.cli.record.err", terminal)
        record("-n", 5, "--no-progress")
        lines = terminal.file.getvalue().splitlines()
        assert len(lines) == 2
        assert max(map(len, lines)) <= 60
        assert lines[1].split()[-2:] == ["5", "frames"]

    @pytest.mark.parametrize("name", ["run.tif", "run"])
    def test_remarks_on_a_name_of_another_format(self, processes, run, mocked, tmp_path, name):
        """A file that is not called as HDF5 files are is recorded, with a remark."""
        mocked()
        result = run("record", tmp_path / name, "--mock", "-n", 3)
        assert result.exit_code == 0
        assert f"{tmp_path / name} becomes an HDF5 file" in result.stderr

    def test_progress_off_a_terminal(self, record):
        """Where no line can be rewritten, progress is shown only when it is asked for."""
        _, *progress = record("-n", 5, "--progress").stderr.splitlines()
        assert progress
        assert all(line.startswith("frames ") for line in progress)

    def test_help_is_ordered(self):
        """The help lists options under headings: every one of them, once."""
        command = main.commands["record"]
        sections = command.sections
        listed = [name for names in sections.values() for name in names]
        options = {each.name for each in command.params if isinstance(each, click.Option)}
        assert sorted(listed) == sorted(options | {"help"})
        text = CliRunner().invoke(main, ["record", "--help"]).stdout
        headings = re.findall(r"^(\w.*):$", text, re.MULTILINE)
        assert [heading for heading in headings if heading in sections] == list(sections)

    def test_seconds(self, record):
        """The end that was asked for in time is an end as planned."""
        result = record("-t", 0.05)
        assert result.exit_code == 0, result.output
        assert "uint16, 9.99734 ms, 0.05 s" in result.stderr
        assert "complete" in result.stdout

    def test_settings(self, record, tmp_path):
        """Everything that was set is in force, and in the file."""
        options = ["--binning", 2, "--roi", "4,8,32,16", "--pixel-type", "8bit", "--exposure", 5]
        result = record("-n", 3, *options, "-p", "TriggerMode=External", "-p", "Offset=50", "--core-buffer-mb", 8)
        assert result.exit_code == 0, result.output
        with mmspool.open(tmp_path / "run.h5") as recording:
            assert recording.shape == (3, 16, 32)
            assert recording.dtype == np.uint8
            detector = recording.metadata["detector"]
        assert detector["count_time_s"] == pytest.approx(0.005, rel=0.01)
        assert detector["camera"]["binning"] == 2
        assert detector["camera"]["roi"] == {"x": 4, "y": 8, "width": 32, "height": 16}
        assert detector["camera"]["properties"]["TriggerMode"] == "External"
        assert detector["camera"]["properties"]["Offset"] == "50"

    def test_columns(self, record, tmp_path):
        """Tags of the core are stored with each frame, as text or as numbers."""
        result = record("-n", 5, "--column", "camera=Camera", "--column", "elapsed_ms=ElapsedTime-ms:float")
        assert result.exit_code == 0, result.output
        with mmspool.open(tmp_path / "run.h5") as recording:
            table = recording.frame_table()
            assert table["camera"].tolist() == ["Camera"] * 5
            assert table["elapsed_ms"].dtype == np.float64
            assert (np.diff(table["elapsed_ms"]) > 0).all()

    @pytest.mark.parametrize(
        ("plan", "shape"),
        [("12", (12,)), ("z=3, channel=2", (3, 2)), ({"z_um": [0.0, 1.5]}, (2,)), ([{"dose": 1}, {"dose": 4}], (2,))],
    )
    def test_plan(self, record, tmp_path, plan, shape):
        """A plan ends the recording, and gives each frame its place: a number, axes, or a JSON file of either form."""
        if not isinstance(plan, str):
            (tmp_path / "plan.json").write_text(json.dumps(plan))
            plan = tmp_path / "plan.json"
        result = record("--plan", plan)
        assert result.exit_code == 0, result.output
        assert f", {np.prod(shape)} frames" in result.stderr
        with mmspool.open(tmp_path / "run.h5") as recording:
            aligned = recording.aligned()
            assert aligned.shape[: len(shape)] == shape
            assert aligned.frames.ravel().tolist() == list(range(len(recording)))

    def test_quiet(self, record):
        """`record --quiet` prints nothing."""
        result = record("-n", 3, "-q")
        assert (result.exit_code, result.output) == (0, "")

    def test_overwrite(self, record, tmp_path):
        """An existing file is replaced when that was asked for."""
        (tmp_path / "run.h5").write_text("old")
        assert record("-n", 3, "--overwrite").exit_code == 0
        assert frames_of(tmp_path / "run.h5") == [0, 1, 2]

    @pytest.mark.usefixtures("processes")
    def test_names_are_no_markup(self, run, mocked, tmp_path):
        """Brackets and colons in a file's or camera's name are printed as they are."""
        mocked(label="Cam[/x] :smile:")
        folder = tmp_path / "[red] :ok:"
        folder.mkdir()
        result = run("record", folder / "[a].h5", "--mock", "--buffer-mb", 16, "-n", 2)
        assert result.exit_code == 0, result.output
        assert str(folder / "[a].h5") in result.stdout
        assert "Cam[/x] :smile:" in result.stderr
        result = run("info", folder / "[a].h5")
        assert str(folder / "[a].h5") in result.stdout
        assert "Cam[/x] :smile:" in result.stdout

    @pytest.mark.usefixtures("processes")
    def test_demo(self, run, tmp_path):
        """The real core, with its own camera."""
        result = run(
            "record",
            tmp_path / "run.h5",
            "--demo",
            "-n",
            20,
            "--roi",
            "0,0,128,64",
            "--exposure",
            1,
        )
        assert result.exit_code == 0, result.output
        with mmspool.open(tmp_path / "run.h5") as recording:
            assert recording.shape == (20, 64, 128)
            assert list(recording.frame_table()["image_number"]) == list(range(20))
            assert recording[19].std() > 0  # the image that DemoCamera repeats is one that it has drawn


class TestMissing:
    """A demand that no machine can meet exits with code 3."""

    def test_losses_are_in_the_summary(self, record, mocked):
        """How many, where, and at which stage."""
        mocked(faults=Faults(image_number_jumps={5: 3, 20: 1}))
        result = record("-n", 30)
        assert result.exit_code == 3
        assert "incomplete: completed" in result.stdout
        assert "30 of 30" in result.stdout
        assert "missing      3 before frame 5 (core), 1 before frame 17 (core)" in result.stdout

    def test_more_losses_than_anybody_reads(self, record, mocked):
        """The summary lists the first ten losses and the number of further ones."""
        mocked(faults=Faults(image_number_jumps=dict.fromkeys(range(2, 50, 4), 1)))
        result = record("-n", 60)
        assert result.exit_code == 3
        assert result.stdout.count("(core)") == 10
        assert "and 2 more losses" in result.stdout

    @pytest.mark.parametrize(
        ("faults", "options", "said"),
        [
            (Faults(end_after=5), (), "the camera stopped by itself\nwhat to do   see whether another program"),
            (Faults(stall_after=5), ("--frame-timeout", 0.05), "no frame came in time\nwhat to do   check the"),
        ],
    )
    def test_it_ended_early(self, record, mocked, faults, options, said):
        """The summary of a recording that ended early gives the reason, and what to do about it."""
        mocked(faults=faults)
        result = record("-n", 30, *options)
        assert result.exit_code == 3
        assert f"interrupted: {said}" in result.stdout
        assert "25 before frame 5 (camera)" in result.stdout

    def test_overflow(self, record, mocked):
        """The core's buffer could not be emptied in time."""
        mocked(tick_s=1000.0)
        result = record("-n", 500, "--core-buffer-mb", 1, "-q")
        assert result.exit_code == 3
        assert result.output == ""


class TestErrors:
    """Exit code 1: one message, no traceback, no file."""

    @pytest.mark.parametrize(
        ("options", "message"),
        [
            (("--roi", "0,0,97,64"), "does not lie in the 96 x 64 pixels that Camera reads out"),
            (("--exposure", -1), "--exposure -1 is out of range"),
            (("--exposure", "nan"), "--exposure nan is out of range"),
            (("--binning", 3), "--binning 3 is not allowed: Camera takes 1, 2, 4"),
            (("--pixel-type", "12bit"), "PixelType = '12bit' is not allowed: choose one of 16bit, 8bit"),
            (("-p", "TrigerMode=External"), "Camera has no property 'TrigerMode'; it has TriggerMode"),
            (("-p", "CameraID=7"), "the property is read-only"),
            (("--buffer-mb", 10**7), "a ring of 10,000,000,000,000 bytes does not fit"),
        ],
    )
    def test_camera_or_spool_refuses(self, record, tmp_path, options, message):
        """What was refused and what would be taken."""
        result = record("-n", 3, *options)
        assert result.exit_code == 1
        assert message in result.stderr
        assert result.stderr.splitlines()[-1].startswith("Error: ")
        assert "Traceback" not in result.output
        assert list(tmp_path.iterdir()) == []

    def test_a_missing_codec(self, run, monkeypatch, tmp_path):
        """A compression whose package is missing is refused in the option's own words, with what to install."""
        monkeypatch.setitem(sys.modules, "hdf5plugin", None)
        monkeypatch.setitem(sys.modules, "imagecodecs", None)
        result = run("record", tmp_path / "run.h5", "--mock", "--compression", "fast")
        assert result.exit_code == 1
        assert "--compression 'fast' needs the package " in result.stderr
        assert "-m pip install hdf5plugin imagecodecs isal" in result.stderr
        assert not list(tmp_path.iterdir())

    def test_existing_file(self, record, tmp_path):
        """An existing file is left alone, and the error names the option that replaces it."""
        (tmp_path / "run.h5").write_text("precious")
        result = record("-n", 3)
        assert result.exit_code == 1
        assert "the file exists: choose another name, or replace it with --overwrite" in result.stderr
        assert (tmp_path / "run.h5").read_text() == "precious"

    def test_missing_folder(self, run, mocked, tmp_path):
        """The error for a missing folder names it."""
        result = run("record", tmp_path / "none" / "run.h5", "--mock", "-n", 3)
        assert result.exit_code == 1
        assert f"the folder {tmp_path / 'none'} does not exist: create it first" in result.stderr

    def test_core_fails(self, record, mocked):
        """The message says what failed, and where the frames are."""
        mocked(faults=Faults(errors={"pop_next_tagged_image": {5: "cable pulled"}}))
        result = record("-n", 30)
        assert result.exit_code == 1
        assert result.stderr.splitlines()[-2] == "Error: core.pop_next_tagged_image() failed: cable pulled"
        assert result.stderr.splitlines()[-1].startswith("4 frames are safe in ")

    def test_nothing_answers(self, run, tmp_path):
        """Without a running Micro-Manager, `--connect` fails at once."""
        result = run("record", tmp_path / "run.h5", "--connect", 1)
        assert result.exit_code == 1
        assert "no Micro-Manager answers on port 1" in result.stderr

    def test_no_such_micro_manager(self, run, tmp_path):
        """`--headless` with a folder that does not exist is an error."""
        result = run("record", tmp_path / "run.h5", "--headless", tmp_path / "mm", "my.cfg")
        assert result.exit_code == 1
        assert f"{tmp_path / 'mm'} is not a folder" in result.stderr


class TestRunningCamera:
    """A camera that runs already, such as after a program that was killed."""

    @pytest.fixture
    def running(self, mocked, monkeypatch):
        """Let the simulated camera run when the command opens it."""
        make = Camera.mock

        def start():
            camera = make()
            camera.core.start_sequence(10**6)
            return camera

        monkeypatch.setattr(Camera, "mock", start)

    def test_it_is_left_alone(self, record, running, tmp_path):
        """The message names the option that stops it, and no file is made."""
        result = record("-n", 5)
        assert result.exit_code == 1
        assert "--stop-running" in result.stderr
        assert not (tmp_path / "run.h5").exists()

    def test_it_is_stopped_when_asked(self, record, running, tmp_path):
        """Then the recording is whole, settings included, which a running camera refuses."""
        assert record("-n", 5, "--stop-running", "--binning", 2).exit_code == 0
        assert frames_of(tmp_path / "run.h5") == list(range(5))


class TestUsage:
    """Exit code 2: what was typed makes no sense."""

    @pytest.mark.parametrize(
        ("arguments", "message"),
        [
            (("--headless", "mm", "--frames", "3"), "give two paths, Micro-Manager's folder and a .cfg file"),
            ((), "say which camera: one of --demo, --mock, --connect [PORT], --headless DIR CONFIG"),
            (("--mock", "--demo"), "say which camera"),
            (("--mock", "--connect"), "say which camera"),
            (("--mock", "--roi", "0,0,64"), "'0,0,64' is not four whole numbers: give it as 0,0,2048,512"),
            (("--mock", "--roi", "a,b,c,d"), "is not four whole numbers"),
            (("--mock", "-p", "Gain"), "'Gain' is not NAME=VALUE, such as Gain=2"),
            (("--mock", "-p", "=2"), "'=2' is not NAME=VALUE"),
            (("--mock", "--column", "Camera"), "'Camera' is not NAME=TAG[:TYPE], such as"),
            (("--mock", "--column", "time=Camera"), "'time' is the name of something that every recording has"),
            (("--mock", "--plan", "many"), "'many' is no plan (invalid literal for int() with base 10: 'many')"),
            (("--mock", "--plan", "z=5,channel=0"), "axis 'channel' of the plan is 0"),
            (("--mock", "--plan", "none.json"), "none.json cannot be read: No such file or directory"),
            (("--mock", "-n", "0"), "0 is not in the range x>=1"),
            (("--mock", "-t", "0"), "0.0 is not in the range x>0"),
            (("--connect", "pc"), "'pc' is not a port number; put FILE before --connect, or give the port"),
            (("--mock", "--frobnicate"), "No such option"),
        ],
    )
    def test_is_told(self, run, mocked, tmp_path, arguments, message):
        """The message says what was wrong and what is right; nothing is made."""
        result = run("record", tmp_path / "run.h5", *arguments)
        assert result.exit_code == 2
        assert message in " ".join(result.stderr.split())
        assert "Usage: " in result.stderr
        assert list(tmp_path.iterdir()) == []

    def test_file_is_missing_because_connect_took_it(self, run):
        """When `--connect` swallows the file as its port, the error says where to put the file."""
        result = run("record", "--connect", "run.h5")
        assert result.exit_code == 2
        assert "put FILE before --connect, or give the port" in " ".join(result.stderr.split())

    def test_connect_has_a_default_port(self, run, monkeypatch, tmp_path):
        """Without a number it is Micro-Manager's own, with one it is that."""
        ports = []

        def connect(port):
            ports.append(port)
            raise mmspool.ConnectError("not today")

        monkeypatch.setattr(Camera, "connect", connect)
        assert run("record", tmp_path / "run.h5", "--connect").exit_code == 1
        assert run("record", tmp_path / "run.h5", "--connect", 4999).exit_code == 1
        assert ports == [4827, 4999]


class TestInterrupted:
    """Exit code 130."""

    def test_while_the_camera_is_opened(self, run, monkeypatch, tmp_path):
        """Ctrl-C while the camera is opened leaves no file and prints no traceback."""

        def interrupted():
            raise KeyboardInterrupt

        monkeypatch.setattr(Camera, "mock", interrupted)
        result = run("record", tmp_path / "run.h5", "--mock")
        assert (result.exit_code, result.output) == (130, "")
        assert list(tmp_path.iterdir()) == []


class TestHelp:
    """``--help`` and ``--version``."""

    def test_lists_the_commands(self, run):
        """The help lists the commands and says what the program does."""
        result = run("--help")
        assert result.exit_code == 0
        assert "Record a microscope's camera to one HDF5 file" in result.stdout
        for command in ("record", "info", "verify", "repair"):
            assert f"  {command} " in result.stdout

    def test_lists_every_option(self, run):
        """With its unit or an example, and the exit codes."""
        result = run("record", "-h")
        assert result.exit_code == 0
        for option in OPTIONS.split():
            assert option in result.stdout
        text = " ".join(result.stdout.split())
        assert "Exit codes: 0 complete, 1 error, 2 wrong usage, 3 frames are missing or it ended early, 130" in text

    def test_version(self, run):
        """`--version` prints the version of the package."""
        assert run("--version").stdout.strip().endswith(mmspool.__version__)


class TestCompression:
    """``--compression``."""

    def test_summary_and_info_tell_it(self, record, run, mocked, tmp_path):
        """The summary has how much is left of the frames, and `info` has what readers need."""
        mocked(width=256, height=192)
        result = record("-n", 40, "--compression", "fast")
        assert result.exit_code == 0, result.output
        assert re.search(r"^compression +to \d+\.\d% of the pixels$", result.stdout, re.MULTILINE)
        told = run("info", tmp_path / "run.h5").stdout
        assert re.search(r"^compression +fast: .*import hdf5plugin", told, re.MULTILINE)
        assert run("verify", tmp_path / "run.h5").exit_code == 0

    def test_unknown_way(self, record):
        """An unknown compression is refused with the list of those that exist."""
        result = record("-n", 3, "--compression", "zip")
        assert result.exit_code == 2
        assert "'fast', 'small', 'universal'" in result.stderr
