"""``--settings FILE`` and the options for triggers: cameras that are set up on the command line."""

import json

import mmspool
from mmspool import Camera, MockCore


class TestSettings:
    """``mmspool record --settings FILE``."""

    def test_from_json(self, record, tmp_path):
        """The camera is set as the file of ``camera.settings()`` says, and the recording has these settings."""
        with Camera(MockCore(width=96, height=64)) as camera:
            camera.exposure_ms, camera.roi, camera.binning = 5, (8, 4, 32, 16), 2
            camera.properties["Offset"] = 50
            settings = camera.settings()
        file = tmp_path / "camera.json"
        file.write_text(json.dumps(settings), encoding="utf-8")
        result = record("-n", 3, "--settings", file)
        assert result.exit_code == 0, result.output
        with mmspool.open(tmp_path / "run.h5") as recording:
            assert recording.metadata["detector"]["camera"]["settings"] == settings
            assert recording.shape == (3, 8, 16)

    def test_repeated_from_a_recording(self, record, run, tmp_path):
        """A recording is repeated with the camera as it was, whatever the camera was set to meanwhile."""
        assert record("-n", 3, "--exposure", 7, "--roi", "0,0,48,32", "-p", "Offset=20").exit_code == 0
        again = tmp_path / "again.h5"
        arguments = ("--mock", "--buffer-mb", 16, "-n", 3, "--settings", tmp_path / "run.h5")
        result = run("record", again, *arguments)
        assert (result.exit_code, "not as in" in result.stderr) == (0, False), result.output
        with mmspool.open(tmp_path / "run.h5") as first, mmspool.open(again) as second:
            cameras = [each.metadata["detector"]["camera"] for each in (first, second)]
            assert first.shape == second.shape == (3, 32, 48)
        assert cameras[0]["settings"] == cameras[1]["settings"]
        assert cameras[1]["settings"]["properties"]["Offset"] == "20"

    def test_other_options_come_after(self, record, tmp_path):
        """What stands beside it on the command line counts more than the file."""
        file = tmp_path / "camera.json"
        file.write_text(json.dumps({"exposure_ms": 7, "properties": {"Offset": "20"}}), encoding="utf-8")
        assert record("-n", 3, "--settings", file, "-p", "Offset=30").exit_code == 0
        with mmspool.open(tmp_path / "run.h5") as recording:
            settings = recording.metadata["detector"]["camera"]["settings"]
        assert settings["properties"]["Offset"] == "30"
        assert abs(settings["exposure_ms"] - 7) < 0.05

    def test_what_was_not_taken_again(self, record, mocked, tmp_path):
        """What another camera lacks or refuses is on the error output, a line each, and it records all the same."""
        with Camera(MockCore(width=96, height=64, family="pvcam")) as camera:
            settings = camera.settings()
        file = tmp_path / "camera.json"
        file.write_text(json.dumps(settings), encoding="utf-8")
        mocked(family="tucam")
        result = record("-n", 3, "--settings", file)
        assert result.exit_code == 0, result.output
        said = " ".join(result.stderr.split())
        assert f"not as in {file}: Camera has no property 'Port'" in said
        assert f"not as in {file}: Camera has no property 'MetadataEnabled'" in said

    def test_no_settings(self, record, tmp_path):
        """A file that has none is refused in a line, and nothing is recorded."""
        file = tmp_path / "camera.json"
        file.write_text('{"exposure": 7}', encoding="utf-8")
        result = record("-n", 3, "--settings", file)
        assert result.exit_code == 1
        assert "settings have exposure: expected" in " ".join(result.stderr.split())
        assert not (tmp_path / "run.h5").exists()


class TestLosses:
    """What the summary says of losses that nobody can see."""

    def test_what_cannot_be_seen(self, record, mocked):
        """No lost frame in the ledger is not said to be no lost frame at a camera without a counter."""
        mocked(family="tucam")
        result = record("-n", 3)
        assert result.exit_code == 0, result.output
        assert "losses before the core cannot be seen: the frames carry no counter" in " ".join(result.stdout.split())


class TestTriggers:
    """``--triggers`` and what belongs to it."""

    def test_bursts(self, record, tmp_path):
        """It ends after so many triggers of so many frames; the file has the plan."""
        result = record("--triggers", 5, "--frames-per-trigger", 4, "--trigger-timeout", 30)
        assert result.exit_code == 0, result.output
        with mmspool.open(tmp_path / "run.h5") as recording:
            assert len(recording) == 20
            plan = recording.metadata["detector"]["camera"]["trigger"]
        assert plan == {"frames_per_trigger": 4, "triggers": 5, "timeout_s": 30.0}

    def test_either_triggers_or_frames(self, record):
        """Both together are wrong usage."""
        result = record("--triggers", 5, "-n", 5)
        assert result.exit_code == 2
        assert "give --triggers or --frames, not both" in result.stderr
