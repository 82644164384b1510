"""``mmspool doctor``."""

import json
import sys
from collections import namedtuple
from pathlib import Path
from types import SimpleNamespace

import pytest
from click.testing import CliRunner, Result

from mmspool.cli import doctor as command
from mmspool.cli import main
from mmspool.persistence.capacity import checkup

Partition = namedtuple("Partition", "mountpoint fstype")


def run(*words: object) -> Result:
    """Run the command."""
    return CliRunner().invoke(main, ["doctor", *map(str, words)])


def findings(folder: Path) -> dict[str, dict[str, str]]:
    """Return what it finds, by name."""
    return {each["name"]: each for each in json.loads(run(folder, "--json").stdout)["findings"]}


class TestHere:
    """What it says of the machine that runs the tests."""

    def test_it_says_what_it_looked_at(self, tmp_path: Path) -> None:
        """A line for each thing that matters, and a summary; the folder is as it was."""
        result = run(tmp_path)
        assert result.exit_code in (0, 3), result.output
        names = {line[:18].strip() for line in result.stdout.splitlines()}
        wanted = {"mmspool", "packages", "device interface", "shared memory", "ring", "file system", "room"}
        assert wanted | {"direct writes", "file locks", "sleep"} <= names
        assert "in the way of a recording" in result.stdout.splitlines()[-1]
        assert list(tmp_path.iterdir()) == []

    def test_json_has_the_same(self, tmp_path: Path) -> None:
        """As JSON each finding has a name, a value, a rating and an advice."""
        facts = json.loads(run(tmp_path, "--json").stdout)
        assert facts["folder"] == str(tmp_path)
        assert {each["rating"] for each in facts["findings"]} <= {"ok", "note", "problem"}
        assert all(each["value"] for each in facts["findings"])
        assert all(each["advice"] for each in facts["findings"] if each["rating"] != "ok")

    def test_a_folder_that_is_not_there(self, tmp_path: Path) -> None:
        """A missing folder is an error in a line."""
        result = run(tmp_path / "none")
        assert result.exit_code == 1
        assert "the folder does not exist" in result.stderr

    def test_files_are_written_and_locked_for_real(self, tmp_path: Path) -> None:
        """Direct writes and locks are tried in the folder, and work in that of the tests."""
        found = findings(tmp_path)
        assert found["direct writes"]["value"] == "past the page cache"
        assert found["file locks"]["rating"] == "ok"


class TestElsewhere:
    """What it says of other machines."""

    @pytest.mark.parametrize(
        ("kind", "rating", "advice"),
        [
            ("ext4", "ok", ""),
            ("NTFS", "ok", ""),
            ("tmpfs", "note", "memory, not a disk"),
            ("cifs", "note", "record to a local disk"),
            ("FAT32", "problem", "no files beyond 4 GiB"),
        ],
    )
    def test_file_systems(self, mocker, tmp_path: Path, kind: str, rating: str, advice: str) -> None:
        """Of the mounts that have the folder the innermost counts, and what is known of its file system."""
        outer, other = Partition(tmp_path.anchor, "xfs"), Partition(str(tmp_path / "other"), "vfat")
        mounts = [outer, Partition(str(tmp_path), kind), other]
        mocker.patch.object(checkup.psutil, "disk_partitions", return_value=mounts)
        found = findings(tmp_path)["file system"]
        assert found["value"].startswith(f"{kind} at {tmp_path}")
        assert found["rating"] == rating
        assert advice in found["advice"]

    def test_a_small_ring_is_in_the_way(self, mocker, tmp_path: Path) -> None:
        """Where there is hardly any memory for a ring the exit code says so, and the text what limits it."""
        limits = (64 << 20, "the memory limit of this process's control group")
        mocker.patch.object(checkup, "available", return_value=limits)
        result = run(tmp_path)
        assert result.exit_code == 3
        assert "room for a ring of 67 MB, by the memory limit of this process's control group" in result.stdout
        assert "1 in the way of a recording" in result.stdout

    def test_a_processor_limit(self, mocker, tmp_path: Path) -> None:
        """A container with less than two processors is noted, one with enough or without a limit is not."""
        groups = {"none": "max 100000", "one": "100000 100000", "four": "400000 100000", "odd": "?"}
        for name, text in groups.items():
            (tmp_path / name).mkdir()
            (tmp_path / name / "cpu.max").write_text(text, encoding="ascii")
        mocker.patch.object(checkup, "own_groups", return_value=[(tmp_path / name, 2) for name in groups])
        (limit,) = checkup._processor_limits()
        assert limit.value == f"1 processors for this container or service ({tmp_path / 'one'})"

    def test_without_direct_writes(self, mocker, tmp_path: Path) -> None:
        """A file system that refuses direct writes is noted with what that costs."""
        mocker.patch("mmspool.persistence.hdf5_file.direct_file.open_direct", return_value=None)
        found = findings(tmp_path)["direct writes"]
        assert (found["value"], found["rating"]) == ("through the page cache", "note")

    def test_without_locks(self, mocker, tmp_path: Path) -> None:
        """A file system without locks is noted."""
        mocker.patch.object(checkup, "is_locked", return_value=False)
        assert findings(tmp_path)["file locks"]["rating"] == "note"

    @pytest.mark.parametrize(
        ("versions", "rating", "text"),
        [
            ({"pymmcore": "12.5.1.75.0", "mm-test-adapters": "75.20261014"}, "ok", "75 (pymmcore 12.5.1.75.0)"),
            ({"pymmcore": "12.5.1.75.0"}, "ok", "75 (pymmcore 12.5.1.75.0)"),
            ({"pymmcore": "12.5.1.75.0", "mm-test-adapters": "74.1"}, "problem", "install the version for 75"),
            ({"mm-test-adapters": "75.1"}, "note", "pip install pymmcore"),
        ],
    )
    def test_device_interfaces(self, mocker, versions: dict[str, str], rating: str, text: str) -> None:
        """Core and adapters have to have the same device interface."""
        mocker.patch.object(command, "version_of", side_effect=lambda name: versions.get(name, ""))
        found = command._device_interface()
        assert found.rating == rating
        assert text in f"{found.value} {found.advice}"


@pytest.mark.parametrize(
    ("core", "rating", "text"),
    [
        ("12.5.1.{}.0", "ok", ": device interface {}"),
        ("11.10.0.7.0", "note", "install the pymmcore whose fourth number is {}"),
    ],
)
def test_an_installed_micro_manager(
    processes: None, mocker, monkeypatch: pytest.MonkeyPatch, core: str, rating: str, text: str
) -> None:
    """The device interface of Micro-Manager's own adapters is compared with that of pymmcore."""
    import mm_test_adapters

    interface = mm_test_adapters.__version__.split(".")[0]
    mocker.patch.object(command, "version_of", return_value=core.format(interface))
    monkeypatch.setenv("MICROMANAGER_PATH", str(mm_test_adapters.device_adapter_path()))
    found = command._micro_manager(command._micro_managers()[0])
    assert found.rating == rating
    assert text.format(interface) in f"{found.value} {found.advice}"


@pytest.mark.parametrize("adapter", [None, b"no library"])
def test_a_micro_manager_that_does_not_say(processes: None, tmp_path: Path, adapter: bytes | None) -> None:
    """A folder without the adapter, or with a broken one, is noted with where else the version is shown."""
    if adapter:
        (tmp_path / "mmgr_dal_DemoCamera.dll").write_bytes(adapter)
    found = command._micro_manager(tmp_path)
    assert found.rating == "note"
    assert "device interface unknown" in found.value
    assert "Help > About" in found.advice


def test_where_installers_put_it(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """On Windows every Micro-Manager among the programs is found, after the one that is named."""
    for name in ("Micro-Manager-2.0", "Micro-Manager-2.0.3", "MATLAB"):
        (tmp_path / name).mkdir()
    monkeypatch.setattr(command, "sys", SimpleNamespace(platform="win32"))
    monkeypatch.setenv("PROGRAMFILES", str(tmp_path))
    monkeypatch.setenv("MICROMANAGER_PATH", str(tmp_path / "own"))
    assert [folder.name for folder in command._micro_managers()] == ["own", "Micro-Manager-2.0", "Micro-Manager-2.0.3"]


def test_windows_is_asked_for_its_virus_scanner(mocker) -> None:
    """On Windows a scanner that runs is noted with where to exclude the folder; elsewhere there is no such line."""
    if sys.platform != "win32":
        assert checkup._virus_scanner() == []
        return
    service = mocker.patch.object(checkup.psutil, "win_service_get")
    service.return_value.status.return_value = "running"
    assert "Exclusions" in checkup._virus_scanner()[0].advice
    service.side_effect = OSError
    assert checkup._virus_scanner()[0].advice == ""
