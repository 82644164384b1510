"""The place a recording is written to: what is there, what may be replaced, what cannot be created."""

import contextlib
import errno
import gc
import os
import tempfile
from pathlib import Path

import h5py
import numpy as np
import pytest

import mmspool
from mmspool import Spool, StorageError
from mmspool.persistence.hdf5_file import output_path
from mmspool.persistence.hdf5_file.output_path import OutputPath
from mmspool.persistence.system.os_file import is_locked, lock_shared, open_file


@contextlib.contextmanager
def unprivileged():
    """Drop root's privileges, which no permission stops, meanwhile."""
    root = os.geteuid() == 0
    gc.collect()  # what earlier tests left could not be removed without privileges
    if root:
        os.setresuid(65534, 65534, 0)
    try:
        yield
    finally:
        if root:
            os.setresuid(0, 0, 0)


@pytest.fixture
def open_folder():
    """Make a folder that every user can reach; pytest's own are the running user's."""
    with tempfile.TemporaryDirectory(prefix="mmspool-") as name:
        folder = Path(name)
        folder.chmod(0o755)
        yield folder


class TestNoFile:
    """Places at which no file can be made."""

    def test_missing_folder(self, make_spool, tmp_path):
        """The message names the folder and says to create it."""
        with pytest.raises(StorageError, match=r"the folder .*nowhere does not exist: create it") as caught:
            make_spool("nowhere/run.h5")
        assert caught.value.errno == errno.ENOENT
        assert caught.value.filename == str(tmp_path / "nowhere/run.h5")
        assert isinstance(caught.value, OSError)

    def test_folder_that_is_a_file(self, make_spool, tmp_path):
        """A path below a file is refused, because a file is not a folder."""
        (tmp_path / "file").touch()
        with pytest.raises(StorageError, match="does not exist"):
            make_spool("file/run.h5")

    @pytest.mark.parametrize("overwrite", [False, True])
    def test_folder_as_path(self, make_spool, tmp_path, overwrite):
        """A folder is not replaced, whatever was asked for."""
        (tmp_path / "run.h5").mkdir()
        with pytest.raises(StorageError, match="this is a folder") as caught:
            make_spool(overwrite=overwrite)
        assert caught.value.errno == errno.EISDIR
        assert (tmp_path / "run.h5").is_dir()

    def test_no_permission_to_make_one(self, open_folder):
        """In a folder without write permission, the error gives the system's reason."""
        open_folder.chmod(0o555)
        with unprivileged(), pytest.raises(StorageError, match="Permission denied") as caught:
            Spool(open_folder / "run.h5", buffer_bytes=1 << 20)
        assert caught.value.errno == errno.EACCES

    def test_name_that_is_too_long(self, make_spool):
        """A name the file system cannot store is an error of the same kind."""
        with pytest.raises(StorageError) as caught:
            make_spool("x" * 300 + ".h5")
        assert caught.value.errno == (errno.ENOENT if os.name == "nt" else errno.ENAMETOOLONG)

    def test_dangling_link(self, make_spool, tmp_path):
        """A link to nowhere is not written through."""
        (tmp_path / "run.h5").symlink_to(tmp_path / "elsewhere.h5")
        with pytest.raises(StorageError, match="cannot be created") as caught:
            make_spool()
        assert caught.value.errno == errno.EEXIST
        assert not (tmp_path / "elsewhere.h5").exists()


class TestExistingFile:
    """A file that is there already."""

    def test_it_is_not_replaced_unasked(self, make_spool, tmp_path):
        """The message says how to replace it; the file is untouched."""
        (tmp_path / "run.h5").write_text("precious")
        with pytest.raises(StorageError, match=r"exists: choose another name, or replace it with overwrite=True"):
            make_spool()
        assert (tmp_path / "run.h5").read_text() == "precious"

    def test_it_is_replaced_at_the_first_frame(self, make_spool, frames, tmp_path):
        """With ``overwrite`` the old file stays until a frame comes."""
        (tmp_path / "run.h5").write_text("precious")
        with make_spool(overwrite=True) as spool:
            assert spool.path.read_text() == "precious"
            spool.put(frames(0))
        frames.check(spool.path, 1)

    def test_it_stays_if_no_frame_comes(self, make_spool, tmp_path):
        """A recording without frames does not cost the old file."""
        (tmp_path / "run.h5").write_text("precious")
        assert make_spool(overwrite=True).close().frames_written == 0
        assert (tmp_path / "run.h5").read_text() == "precious"

    def test_no_permission_to_replace_it(self, open_folder):
        """A file in a folder that may not be written to stays."""
        (open_folder / "run.h5").write_text("precious")
        open_folder.chmod(0o555)
        with unprivileged(), pytest.raises(StorageError, match="no permission to replace files") as caught:
            Spool(open_folder / "run.h5", buffer_bytes=1 << 20, overwrite=True)
        assert caught.value.errno == errno.EACCES
        assert (open_folder / "run.h5").read_text() == "precious"

    def test_one_that_another_program_reads_is_not_replaced(self, make_spool, start_script, tmp_path):
        """A file that is open in another program's HDF5 is refused, until it is closed."""
        with h5py.File(tmp_path / "run.h5", "w") as file:
            file["x"] = 1
        reader = start_script("import h5py\nwith h5py.File('run.h5'):\n    print('open', flush=True)\n    input()")
        assert reader.line() == "open\n"
        with pytest.raises(StorageError, match=r"in use by .+: close that first") as caught:
            make_spool(overwrite=True)
        assert caught.value.errno == errno.EBUSY
        reader.process.communicate("\n", timeout=60)
        make_spool(overwrite=True).close()

    def test_one_that_is_being_recorded_is_not_replaced(self, make_spool, frames):
        """The file of a running spool is refused, with and without ``overwrite``; afterwards it may be replaced."""
        with make_spool() as spool:
            for _ in range(2):
                with pytest.raises(StorageError, match="exists"):
                    make_spool()
                with pytest.raises(StorageError, match="in use"):
                    make_spool(overwrite=True)
                spool.put(frames(0))
        with make_spool(overwrite=True) as second:
            second.put(frames(0))
        frames.check(second.path, 1)

    def test_two_that_would_replace_the_same_file(self, make_spool, frames, tmp_path):
        """When two spools would replace the same file, only the one with the first frame does."""
        (tmp_path / "run.h5").write_text("old")
        with make_spool(overwrite=True) as first:
            second = make_spool(overwrite=True)
            first.put(frames(0))
            with pytest.raises(StorageError, match="in use"):
                second.put(frames(0))
            with pytest.raises(mmspool.SpoolClosedError):
                second.put(frames(0))
            first.put(frames(1))
        frames.check(first.path, 2)

    def test_a_file_that_appears_before_the_first_frame_is_safe(self, make_spool):
        """A free path is reserved at once, so a second recording to it is refused."""
        spool = make_spool()
        assert spool.path.exists()
        with pytest.raises(FileExistsError):
            spool.path.open("x")
        spool.close()
        assert not spool.path.exists()

    def test_others_may_read_but_not_change_it(self, make_spool, frames):
        """While a recording runs, another program can open the file for reading, and not for writing."""
        with make_spool(shape=frames.shape, dtype="<u2") as spool:
            with h5py.File(spool.path, "r", locking=False) as file:
                assert "data" in file
            with pytest.raises(OSError, match="unable to lock file"):
                h5py.File(spool.path, "r+")


class TestTarget:
    """`OutputPath` by itself."""

    def test_release_is_idempotent(self, tmp_path):
        """Letting go twice does no harm, and removes only what it made."""
        target = OutputPath(tmp_path / "a", overwrite=False)
        target.create()
        target.release(remove=True)
        (tmp_path / "a").write_text("another's")
        target.release(remove=True)
        assert (tmp_path / "a").read_text() == "another's"

    def test_an_empty_file_that_cannot_be_removed(self, tmp_path, mocker, caplog):
        """The name is let go all the same, and a warning says that the file is still there."""
        held = OSError(errno.EBUSY, "Scanner (process 4711) has it open")
        mocker.patch.object(output_path, "remove_file", side_effect=held)
        OutputPath(tmp_path / "a", overwrite=False).release(remove=True)
        assert "a: the file is left, it could not be removed: Scanner (process 4711) has it open" in caplog.text
        assert not is_locked(tmp_path / "a")

    def test_it_holds_a_shared_lock(self, tmp_path):
        """Others may hold the file too, and it is in use until it is let go of."""
        target = OutputPath(tmp_path / "a", overwrite=False)
        other = open_file(tmp_path / "a", os.O_RDWR)
        lock_shared(other)
        os.close(other)
        assert is_locked(tmp_path / "a")
        target.release(remove=False)
        assert not is_locked(tmp_path / "a")

    @pytest.mark.parametrize("code", [errno.ENOTSUP, errno.ENOLCK, errno.ENOSYS])
    def test_a_file_system_without_locks_will_do(self, tmp_path, mocker, code):
        """Where there are no locks, a recording is made without."""
        (tmp_path / "b").touch()
        mocker.patch("fcntl.flock", side_effect=OSError(code, os.strerror(code)))
        for name, overwrite in (("a", False), ("b", True)):
            target = OutputPath(tmp_path / name, overwrite=overwrite)
            target.create()
            target.release(remove=True)
        assert not list(tmp_path.iterdir())


class TestNoRoom:
    """A disk that has no room for the first frames."""

    @pytest.mark.parametrize("room", [2 << 20, 100_000, 0])
    def test_at_the_first_frame(self, make_spool, frames, writer_of, tmp_path, room):
        """When the first frame finds no room for the file, `put` raises and the spool is closed."""
        spool = make_spool()
        writer_of(spool).limit_files(room)
        with pytest.raises(StorageError, match=r"no room for [\d,]+ more bytes, where [\d,]+ are free") as caught:
            spool.put(frames(0))
        assert caught.value.errno == errno.EFBIG
        assert not list(tmp_path.iterdir())
        with pytest.raises(mmspool.SpoolClosedError):
            spool.put(frames(0))

    def test_a_growth_that_does_not_fit(self, make_spool, frames, writer_of, wait_until):
        """Where a whole growth has no room, the file grows by what fits: frames are refused only when none fits."""
        spool = make_spool()
        writer_of(spool).limit_files(16 << 20)
        for index in range(20):
            spool.put(frames(index))
        result = spool.close()
        assert (result.frames_written, result.complete) == (20, True)
        frames.check(spool.path, 20)


@pytest.mark.usefixtures("processes")
def test_relative_paths_mean_where_they_were_given(tmp_path, monkeypatch, frames):
    """A relative path is the working directory's when the spool was made."""
    monkeypatch.chdir(tmp_path)
    with Spool("run.h5", buffer_bytes=1 << 20) as spool:
        (tmp_path / "elsewhere").mkdir()
        monkeypatch.chdir(tmp_path / "elsewhere")
        spool.put(frames(0))
    assert spool.path == tmp_path / "run.h5"
    frames.check(tmp_path / "run.h5", 1)


def test_names_beyond_ascii(make_spool):
    """A file may be named in any script; its name is in the file."""
    with make_spool("Zellen µm 細胞.h5") as spool:
        spool.put(np.zeros((4, 4), np.uint8))
    with h5py.File(spool.path, "r") as file:
        assert file.attrs["file_name"] == "Zellen µm 細胞.h5"
