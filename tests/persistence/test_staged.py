"""What is done again after a crash: the journal's two records, each applied, half applied or not."""

import os

import pytest

from mmspool.persistence import staged
from mmspool.persistence.staged import StagedFile, find_journal

JOURNAL = 1 << 20
OLDER = {0: b"older", 100: b"same", 200: b"first"}
NEWER = {0: b"newer", 300: b"then", 200: b"fi"}
DONE = {0: b"newer", 100: b"same", 200: b"first", 300: b"then"}


@pytest.fixture
def descriptor(tmp_path):
    """Make a file with a journal that holds a record and a newer one, both applied."""
    path = tmp_path / "file"
    path.touch()
    opened = os.open(path, os.O_RDWR)
    file = StagedFile(opened)
    file.use_journal(JOURNAL)
    for change in (OLDER, NEWER):
        for place, content in change.items():
            file.stage(content, place)
        file.least_size = 4 << 20
        file.commit()
    yield opened
    os.close(opened)


@pytest.fixture
def written(mocker):
    """Return where replaying writes, and what."""
    spy = mocker.spy(staged, "pwrite_all")
    return lambda: {call.args[2]: call.args[1] for call in spy.call_args_list}


def content(descriptor):
    """Return what is in the places of both changes."""
    return {place: os.pread(descriptor, len(text), place) for place, text in DONE.items()}


def test_what_is_in_its_place_is_not_written_again(descriptor, written):
    """A reader of a file that is whole never sees it go back to the older record."""
    assert find_journal(descriptor) == JOURNAL
    file = StagedFile(descriptor)
    assert file.recover() == 2
    file.replay()
    assert written() == {}
    assert content(descriptor) == DONE


@pytest.mark.parametrize("torn", [(0,), (300,), (0, 300)])
def test_what_is_missing_of_the_last_change_is_written(descriptor, written, torn):
    """Each place gets at once what the last record of it says."""
    for place in torn:
        os.pwrite(descriptor, OLDER.get(place, b"....")[: len(DONE[place])], place)
    missing = {place: DONE[place] for place in torn}
    StagedFile(descriptor).replay()
    assert written() == missing
    assert content(descriptor) == DONE


def test_nothing_of_either_change_had_reached_the_device(descriptor):
    """After a power cut both are done again."""
    for place, text in DONE.items():
        os.pwrite(descriptor, bytes(len(text)), place)
    StagedFile(descriptor).replay()
    assert content(descriptor) == DONE
