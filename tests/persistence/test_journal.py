"""What is done again after a crash: the journal's two records, each applied, half applied or not."""

import os

import pytest

from mmspool.errors import RecordingError
from mmspool.persistence.hdf5_file import journaled_file
from mmspool.persistence.hdf5_file.journal import Journal
from mmspool.persistence.hdf5_file.journaled_file import JournaledFile
from mmspool.persistence.system import os_file

JOURNAL = 1 << 20
OLDER = {0: b"older", 100: b"same", 200: b"first"}
NEWER = {0: b"newer", 300: b"then", 200: b"fi"}
DONE = {0: b"newer", 100: b"same", 200: b"first", 300: b"then"}


def write(file, change):
    """Write as HDF5 does."""
    for place, content in change.items():
        file.seek(place)
        file.write(memoryview(content))


@pytest.fixture
def descriptor(tmp_path):
    """Make a file with a journal that holds a record and a newer one, both applied."""
    path = tmp_path / "file"
    path.touch()
    opened = os.open(path, os.O_RDWR)
    file = JournaledFile(opened)
    file.use_journal(JOURNAL)
    for change in (OLDER, NEWER):
        write(file, change)
        file.least_size = 4 << 20
        file.commit()
    yield opened
    os.close(opened)


@pytest.fixture
def writes(mocker):
    """Return the writes of replaying, as (place, content), in their order."""
    spy = mocker.spy(journaled_file, "pwrite_all")
    return lambda: [(call.args[2], call.args[1]) for call in spy.call_args_list]


def content(descriptor):
    """Return what is in the places of both changes."""
    return {place: os_file.pread(descriptor, len(text), place) for place, text in DONE.items()}


@pytest.mark.parametrize("lost", [(), (0,), (300,), (0, 300), (0, 100, 200, 300)])
def test_no_place_goes_back_to_the_older_record(descriptor, writes, lost):
    """Whatever had reached the file, each place gets at once what the last record of it says, and gets it once."""
    for place in lost:
        os_file.pwrite_all(descriptor, bytes(len(DONE[place])), place)
    found = Journal.find(descriptor)
    assert found is not None
    assert found.offset == JOURNAL
    file = JournaledFile(descriptor)
    assert file.recover() == 2
    file.replay()
    assert all(text == DONE[place][: len(text)] for place, text in writes())
    assert len(writes()) == len({(place, len(text)) for place, text in writes()}) > len(lost)
    assert content(descriptor) == DONE


def node(level, text):
    """Return a node of an index of chunks."""
    return b"TREE\x01" + bytes([level]) + text


def test_the_order_of_an_index(descriptor, writes):
    """New nodes, from the leaves up; then those that are there, from the root down; the file's end is beyond them."""
    file = JournaledFile(descriptor)
    file.use_journal(JOURNAL)
    file.least_size = 4 << 20
    there, new = {1000: node(0, b"leaf"), 2000: node(1, b"root")}, {3000: node(1, b"inner"), 4000: node(0, b"leaf")}
    for place, text in there.items():
        os_file.pwrite_all(descriptor, text, place)
    for place, text in [(10, b"other"), *there.items(), *new.items(), (5000, b"\x89HDF")]:
        file.add(text, place)
    file.commit()
    assert [place for place, _ in writes()] == [5000, 4000, 3000, 2000, 1000, 10]


def test_the_file_ends_behind_its_index_when_it_shrinks(descriptor, writes):
    """The superblock comes last: until then the file's end is where it was."""
    file = JournaledFile(descriptor)
    file.use_journal(JOURNAL)
    file.truncate(2 << 20)
    for place, text in [(5000, b"\x89HDF"), (10, b"other"), (1000, node(0, b"leaf"))]:
        file.add(text, place)
    file.commit()
    assert [place for place, _ in writes()] == [1000, 10, 5000]
    assert os.fstat(descriptor).st_size == 2 << 20


def recovered(descriptor):
    """Return how many entries would be applied again, and whether another program changed the file since."""
    file = JournaledFile(descriptor)
    return file.recover(), file.changed_since


FAR = 6 << 20
BEFORE, AFTER = os.urandom(5000), os.urandom(5000)


@pytest.fixture
def pending(descriptor):
    """Commit a change of ten sectors, in a place of its own, whose content before is known and durable."""
    os_file.pwrite_all(descriptor, BEFORE, FAR)
    file = JournaledFile(descriptor)
    file.use_journal(JOURNAL)
    file.least_size = 8 << 20
    write(file, {FAR: AFTER})
    file.commit()
    return descriptor


@pytest.mark.parametrize("torn", [0, 1, 2, 5000 // 512, 5000])
def test_a_torn_change_is_applied_again(pending, torn):
    """Each sector may be as it was before or after the change, in any mix."""
    for sector in range(torn and FAR, FAR + 5000, 512 * max(1, torn)):
        place = sector - FAR
        os_file.pwrite_all(pending, BEFORE[place : place + 512], sector)
    assert recovered(pending) == (2, False)


@pytest.mark.parametrize("place", [0, 511, 512, 4999])
def test_a_file_that_was_changed_since(pending, place):
    """A single byte that is neither as before nor as after shows that another program has written to the file."""
    os_file.pwrite_all(pending, _other(place), FAR + place)
    assert recovered(pending) == (0, True)
    file = JournaledFile(pending)
    file.replay()
    assert recovered(pending) == (0, False), "the journal was not voided"


def _other(place):
    """Return a byte that is in neither version."""
    return bytes([next(value for value in range(256) if value not in (BEFORE[place], AFTER[place]))])


def test_a_journal_in_another_place_is_not_used(descriptor):
    """A repacked file has the journal's bytes elsewhere, and everything else too."""
    os_file.pwrite_all(descriptor, os_file.pread(descriptor, 512 << 10, JOURNAL), JOURNAL + 4096)
    os_file.pwrite_all(descriptor, bytes(4096), JOURNAL)
    assert recovered(descriptor) == (0, False)


def test_a_journal_of_another_version_is_refused(descriptor):
    """Whoever cannot read the journal must not repair the file."""
    os_file.pwrite_all(descriptor, b"mmspool\x01", JOURNAL)
    with pytest.raises(RecordingError, match="format 1"):
        Journal.find(descriptor)
