"""A file that is touched between a crash and its repair: opened for writing, copied in parts, or repacked."""

import contextlib
import shutil

import h5py
import numpy as np
import pytest
from support.in_process_writer import InProcessWriter, noise

import mmspool
from mmspool import RecordingError, RepairReport, repair, verify
from mmspool.persistence.hdf5_file import journaled_file
from mmspool.persistence.hdf5_file.nexus_schema import DATA, DETECTOR, LEDGER

FRAMES = 350


class KilledError(Exception):
    """What stands for a kill between two writes to the file."""


@pytest.fixture
def crash(tmp_path, monkeypatch):
    """Return a function that records, and is killed before a number of writes of the last change of the structure."""

    def record(writes=None, compression=None):
        bench = InProcessWriter(tmp_path / "run.h5", compression)
        write, left = journaled_file.pwrite_all, [10**9]

        def count_down(descriptor, data, offset):
            if left[0] <= 0:
                raise KilledError
            left[0] -= 1
            write(descriptor, data, offset)

        monkeypatch.setattr(journaled_file, "pwrite_all", count_down)
        try:
            writer = bench.writer()
            for _ in range(7):
                writer.write_to(bench.put(FRAMES // 7))
            writer._publish()
            if writes is not None:
                left[0] = writes
                with contextlib.suppress(KilledError):
                    writer._recording_file.grow(1)
            writer.close()
        finally:
            bench.ring.close()
            monkeypatch.setattr(journaled_file, "pwrite_all", write)
        return bench.path

    return record


def attribute_of_the_plot(file):
    """Add an attribute to the group that viewers open."""
    file["/entry/data"].attrs["checked_by"] = "me"


def long_attribute(file):
    """Add an attribute for which an object's header has no room."""
    file["/entry/data/data"].attrs["note"] = "x" * 5000


def dataset(file):
    """Add a text."""
    file["/entry/note"] = "the laser was off from frame 300 on"


def large_dataset(file):
    """Add a mask as large as some frames."""
    file["/entry/mask"] = np.arange(100_000)


def attribute_of_the_ledger(file):
    """Add an attribute beside the counts."""
    file[LEDGER].attrs["seen"] = 1


def nothing(_file):
    """Open for writing, and close."""


def added(path, change):
    """Return whether what a change added is there."""
    with h5py.File(path, "r") as file:
        return {
            attribute_of_the_plot: lambda: file["/entry/data"].attrs.get("checked_by") == "me",
            long_attribute: lambda: file[DATA].attrs.get("note") == "x" * 5000,
            dataset: lambda: file["/entry/note"][()] == b"the laser was off from frame 300 on",
            large_dataset: lambda: file["/entry/mask"][-1] == 99_999,
            attribute_of_the_ledger: lambda: file[LEDGER].attrs.get("seen") == 1,
            nothing: lambda: True,
        }[change]()


def check_frames(path, least=FRAMES):
    """Look at all frames, as mmspool and as other programs see them."""
    with mmspool.open(path) as recording, h5py.File(path, "r") as file:
        assert least <= len(recording) <= FRAMES
        for index in range(len(recording)):
            np.testing.assert_array_equal(recording[index], noise(index))
        np.testing.assert_array_equal(file["/entry/data/data"][5], noise(5))
        assert file["/entry/data"].attrs["signal"] == "data"


def repaired_or_refused(path, least=FRAMES):
    """Repair a file: then it must be right. Or it is refused, and as it was."""
    before = path.read_bytes()
    try:
        report = repair(path)
    except RecordingError as exc:
        assert path.read_bytes() == before
        return str(exc)
    assert report.needed
    check_frames(path, least)
    checked = verify(path)
    assert checked.intact, checked.damage
    assert not repair(path).needed
    return report


CHANGES = (nothing, attribute_of_the_plot, long_attribute, dataset, large_dataset, attribute_of_the_ledger)


@pytest.mark.parametrize("compression", [None, "fast"])
@pytest.mark.parametrize("change", CHANGES)
def test_written_to_after_a_crash(crash, change, compression):
    """What was added is kept, and every frame is there."""
    path = crash(compression=compression)
    with h5py.File(path, "r+") as file:
        change(file)
    report = repaired_or_refused(path)
    assert not isinstance(report, str), report
    assert added(path, change)


@pytest.mark.parametrize("writes", [0, 1, 2, 3, 5, 8])
@pytest.mark.parametrize("change", CHANGES)
def test_written_to_after_a_crash_in_a_change_of_structure(crash, change, writes):
    """Killed before, in or after the last change of the structure: kept and right, or refused and as it was."""
    path = crash(writes)
    with h5py.File(path, "r+") as file:
        change(file)
    report = repaired_or_refused(path)
    assert not isinstance(report, str), report
    assert added(path, change)


def test_the_report_says_so(crash):
    """Who repairs learns that another program had changed the file."""
    path = crash()
    with h5py.File(path, "r+") as file:
        attribute_of_the_plot(file)
    assert repair(path, dry_run=True).changed_since
    report = repair(path)
    assert (report.changed_since, report.journal_entries) == (True, 0)


def test_dry_run_changes_nothing(crash):
    """Looking at a file that another program has changed leaves it as it is."""
    path = crash()
    with h5py.File(path, "r+") as file:
        dataset(file)
    before = path.read_bytes()
    repair(path, dry_run=True)
    assert path.read_bytes() == before


@pytest.mark.parametrize("writes", [None, 0, 3])
def test_repacked(crash, tmp_path, writes):
    """A copy of all datasets into a new file is repaired, without its journal, which lies elsewhere there."""
    path = crash(writes)
    copy = tmp_path / "repacked.h5"
    with h5py.File(path, "r") as source, h5py.File(copy, "w") as target:
        for name in source:
            source.copy(name, target, expand_soft=False)
        target.attrs.update(source.attrs)
    assert isinstance(repaired_or_refused(copy), RepairReport)


@pytest.mark.parametrize("writes", [None, 0, 3])
@pytest.mark.parametrize("share", [0.01, 0.1, 0.3, 0.5, 0.9])
def test_copied_in_parts(crash, tmp_path, share, writes):
    """The start of an older copy before the rest of a newer one: right, with the frames of either, or refused."""
    path = crash(writes)
    whole = path.read_bytes()
    older = tmp_path / "older.h5"
    shutil.copy(path, older)
    with h5py.File(older, "r+") as file:
        file[DATA].resize(200, axis=0)
        file[f"{LEDGER}/frames_written"][()] = 200
        for name in ("sequence_number", "start_time"):
            file[f"{DETECTOR}/{name}"].resize((200,))
    start = older.read_bytes()[: int(share * len(whole))]
    mixed = tmp_path / "mixed.h5"
    mixed.write_bytes(start + whole[len(start) :])
    repaired_or_refused(mixed, 0)


@pytest.mark.parametrize("share", [0.2, 0.6, 0.95, 0.999])
def test_cut_short(crash, tmp_path, share):
    """A copy that ends early is repaired, and the frames that are left in it are right."""
    path = crash()
    cut = tmp_path / "cut.h5"
    cut.write_bytes(path.read_bytes()[: int(share * path.stat().st_size)])
    assert isinstance(repaired_or_refused(cut, 0), RepairReport)


def test_verify_finds_what_viewers_cannot_open(crash, tmp_path):
    """An axis that cannot be opened is damage, though every frame is right."""
    path = crash()
    repair(path)
    with h5py.File(path, "r") as file:
        place = h5py.h5o.get_info(file["/entry/data/y"].id).addr
    with path.open("r+b") as file:
        file.seek(place)
        file.write(b"\xff" * 16)
    report = verify(path)
    assert not report.intact
    assert any("/entry/data/y cannot be read" in line for line in report.damage)
