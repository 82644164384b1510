"""The path changes under a recording: the result says what is there, and where the data are."""

import os
import re
from pathlib import Path

import numpy as np
import pytest

import mmspool
from mmspool import Spool, verify


def frame(index):
    """Make frame ``index``."""
    return np.full((64, 48), index, "u2")


def record(path, meanwhile, count=60, **options):
    """Record, and do something to the path half way; return the result."""
    with Spool(path, buffer_bytes=8 << 20, **options) as spool:
        for index in range(count):
            spool.put(frame(index))
            if index == count // 2:
                meanwhile()
    return spool.close()


def check(path, count=60):
    """Look at a recording of so many frames."""
    with mmspool.open(path) as recording:
        assert recording[:, 0, 0].tolist() == list(range(count))
    assert verify(path).complete


def copied(result, tmp_path):
    """Copy the data of a file that is at no path any more, from where the result says they are."""
    copy = tmp_path / "saved.h5"
    where = re.search(r"/proc/\d+/fd/(\d+)", result.end_reason)
    assert where, result.end_reason
    copy.write_bytes(Path(where[0]).read_bytes())
    os.close(int(where[1]))
    return copy


def test_deleted(tmp_path):
    """A result never is complete when there is nothing at its path; the data can still be copied."""
    path = tmp_path / "run.h5"
    result = record(path, path.unlink)
    assert (result.complete, result.state, result.frames_written) == (False, "interrupted", 60)
    assert "deleted while it was recorded" in result.end_reason
    assert not path.exists()
    check(copied(result, tmp_path))


def test_replaced(tmp_path):
    """What somebody has put at the path is not taken for the recording, nor touched."""
    path = tmp_path / "run.h5"

    def replace():
        path.unlink()
        path.write_text("something else")

    result = record(path, replace)
    assert not result.complete
    assert "replaced by another file" in result.end_reason
    assert path.read_text() == "something else"
    check(copied(result, tmp_path))


def test_moved(tmp_path):
    """A file that was moved is where the result says, and complete."""
    path, there = tmp_path / "run.h5", tmp_path / "elsewhere.h5"
    result = record(path, lambda: path.rename(there))
    assert (result.complete, result.path) == (True, there)
    check(there)


def test_the_folder_was_renamed(tmp_path):
    """A folder can be renamed while a recording in it goes on."""
    (tmp_path / "day").mkdir()
    result = record(tmp_path / "day" / "run.h5", lambda: (tmp_path / "day").rename(tmp_path / "day 1"))
    assert (result.complete, result.path) == (True, tmp_path / "day 1" / "run.h5")
    check(result.path)


def test_the_current_folder_changes(tmp_path, monkeypatch):
    """A relative path means what it meant at start, though the folder is left, and then removed."""
    (tmp_path / "here").mkdir()
    (tmp_path / "there").mkdir()
    monkeypatch.chdir(tmp_path / "here")

    def leave():
        monkeypatch.chdir(tmp_path / "there")
        (tmp_path / "there").rmdir()

    result = record("run.h5", leave)
    assert (result.complete, result.path) == (True, tmp_path / "here" / "run.h5")
    check(result.path)
    monkeypatch.chdir(tmp_path)


def test_no_frame_replaces_nothing(tmp_path):
    """Without a frame, yesterday's recording stays where it is, and the result says that it is not today's."""
    path = tmp_path / "run.h5"
    record(path, lambda: None)
    result = Spool(path, buffer_bytes=8 << 20, overwrite=True).close()
    assert result.frames_written == 0
    assert "no frame was put; the file that was there before was kept" in result.end_reason
    check(path)


def test_a_foreign_file_is_not_removed(tmp_path):
    """A spool without a frame removes its own empty file only, not what somebody has put in its place."""
    path = tmp_path / "run.h5"
    spool = Spool(path, buffer_bytes=8 << 20)
    path.unlink()
    path.write_text("mine")
    spool.close()
    assert path.read_text() == "mine"


@pytest.mark.parametrize("content", [b"", bytes(100), b"hello"])
def test_what_is_no_recording_says_what_it_is(tmp_path, content):
    """An empty file, one whose making was cut short, and a foreign one are told apart in a line."""
    path = tmp_path / "run.h5"
    path.write_bytes(content)
    says = {b"": "is empty", bytes(100): "holds no recording yet", b"hello": "is no HDF5 file"}[content]
    with pytest.raises(mmspool.RecordingError, match=says):
        mmspool.open(path)
