"""Reading a recording: as an array, while it is written, and what is not a recording."""

import copy
import multiprocessing
import pickle
from concurrent.futures import ThreadPoolExecutor

import h5py
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as numpy_strategies

import mmspool
from mmspool import Loss, Recording, RecordingError, Spool
from mmspool.persistence.reading import frame_indexing, frame_slabs

SHAPE = (23, 6, 5)


@pytest.fixture(scope="module")
def path(processes, tmp_path_factory, frames):
    """Make one recording that the tests read."""
    place = tmp_path_factory.mktemp("recording") / "run.h5"
    with Spool(place, buffer_bytes=1 << 20, metadata={"sample": "Größe ≥ 3"}) as spool:
        for index in range(SHAPE[0]):
            if index == 10:
                spool.record_loss(2, "core")
            spool.put(frames(index, SHAPE[1:]), {"image_number": index})
    return place


@pytest.fixture(scope="module")
def recording(path):
    """Open it once for all tests."""
    with mmspool.open(path) as opened:
        yield opened


@pytest.fixture(scope="module")
def stack(frames):
    """Return what it should hold."""
    return frames.stack(SHAPE[0], SHAPE[1:])


class TestArray:
    """A recording behaves as the array it holds."""

    def test_it_is_known_before_it_is_read(self, recording):
        """Shape, dtype and length are those of the frames."""
        assert isinstance(recording, Recording)
        assert (recording.shape, recording.dtype, len(recording)) == (SHAPE, np.dtype("<u2"), SHAPE[0])
        assert "(23, 6, 5)" in repr(recording)
        assert "incomplete" in repr(recording)

    @pytest.mark.parametrize(
        "key",
        [
            *[0, 22, -1, -23, np.int64(3), ...],
            *[(), (5,), (..., 2), (5, 1, 2), (slice(None), 3), (-1, ..., slice(1, 3)), (slice(2, 9), 0, 0)],
            *[np.s_[:], np.s_[3:7], np.s_[::4], np.s_[-5:], np.s_[:-20], np.s_[3:100], np.s_[30:40], np.s_[7:3]],
            *[np.s_[::-1], np.s_[10:2:-3], np.s_[2:10:-1], np.s_[-1:-100:-2], np.s_[::-1, 2], np.s_[::-5, ..., 1:3]],
        ],
        ids=str,
    )
    def test_indexing(self, recording, stack, key):
        """Numbers, slices of any step, Ellipsis and tuples of them give what they give on the array."""
        np.testing.assert_array_equal(recording[key], stack[key])
        assert np.shape(recording[key]) == np.shape(stack[key])

    @given(key=numpy_strategies.basic_indices(SHAPE))
    def test_any_basic_index(self, recording, stack, key):
        """Whatever NumPy calls basic indexing does what it does on the array."""
        np.testing.assert_array_equal(recording[key], stack[key])

    @given(key=st.slices(SHAPE[0]))
    def test_any_slice_of_frames(self, recording, stack, key):
        """Every slice along time is that of the array."""
        np.testing.assert_array_equal(recording[key], stack[key])

    @pytest.mark.parametrize("key", [23, -24, 10**9, (23, 0), (0, 6), np.s_[:, 6]])
    def test_out_of_range(self, recording, key):
        """Beyond the last frame there is nothing."""
        with pytest.raises(IndexError):
            recording[key]

    @pytest.mark.parametrize(
        "key",
        [
            1.5,
            "1",
            [1.5],
            (0, 0, 0, 0),
            (..., ...),
            [[True, False]],
            {"a": 1},
            [30],
            (0, [6]),
            np.zeros((3, 6, 5), bool),
        ],
        ids=str,
    )
    def test_what_is_no_index(self, recording, stack, key):
        """What NumPy refuses as an index of such an array is refused, not guessed at."""
        with pytest.raises(IndexError):
            stack[key]
        with pytest.raises(IndexError):
            recording[key]

    @pytest.mark.parametrize(
        "key",
        [
            *[None, True, False, np.True_, (None, 3), (..., None), (3, None, ..., 1), (True, 3), (slice(None), True)],
            *[[1, 2], [5, 1, -1, 1], [], np.array([[3, 4], [0, 22]]), range(3, 20, 4), (7, [1, 2]), ([7, 3], 1, 2)],
            *[np.s_[[1, 2], [3, 4]], np.s_[:, [1, 2], [3, 4]], np.s_[[1], :, [2, 3]], np.s_[::-2, [5, 0]]],
            *[np.s_[:, [1], None, [2]], np.s_[[3, 4], 1:4, ::2], np.s_[2, [0, 1], [[1], [2]]], np.s_[:, :, []]],
            *[np.arange(23) % 3 == 0, np.zeros(23, bool), (slice(3, 5), np.array([1, 0, 1, 0, 0, 1], bool))],
            *[np.arange(23 * 6 * 5).reshape(23, 6, 5) % 7 == 0, np.arange(23 * 6).reshape(23, 6) % 5 == 1],
            *[np.s_[..., np.array([1, 0, 0, 0, 1], bool)], np.s_[-3:, np.array([2], np.uint8)]],
        ],
        ids=lambda key: str(key)[:40],
    )
    @pytest.mark.parametrize("batch_bytes", [64 << 20, 100])
    def test_advanced_indexing(self, recording, stack, key, batch_bytes, monkeypatch):
        """Lists, arrays, masks, None and bools select what they select in the array, read in one piece or in many."""
        monkeypatch.setattr(frame_indexing, "_BATCH_BYTES", batch_bytes)
        np.testing.assert_array_equal(recording[key], stack[key])
        assert np.shape(recording[key]) == np.shape(stack[key])
        assert np.asarray(recording[key]).dtype == stack.dtype

    @given(data=st.data())
    def test_any_advanced_index(self, recording, stack, data):
        """Any mix of what NumPy calls basic and advanced indexing does what it does on the array."""
        places = [st.integers(-size, size - 1) for size in SHAPE]
        parts = [
            st.one_of(place, st.slices(size), st.lists(place, min_size=2, max_size=2))
            for place, size in zip(places, SHAPE, strict=True)
        ]
        key = tuple(data.draw(part) for part in parts)
        key = key[: data.draw(st.integers(1, 3))]
        if data.draw(st.booleans()):
            at = data.draw(st.integers(0, len(key)))
            key = (*key[:at], None, *key[at:])
        np.testing.assert_array_equal(recording[key], stack[key])

    @given(key=numpy_strategies.basic_indices(SHAPE))
    def test_windows_are_cut_from_whole_rows_in_batches(self, recording, stack, key):
        """Batches of one frame give what a whole read gives."""
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(frame_slabs, "_BATCH_BYTES", 1)
            np.testing.assert_array_equal(recording[key], stack[key])

    def test_facts_of_an_array(self, recording, stack):
        """What array libraries ask for before they read: axes, sizes and chunks."""
        for name in ("ndim", "shape", "size", "itemsize", "nbytes", "dtype"):
            assert getattr(recording, name) == getattr(stack, name), name
        assert recording.chunks[1:] == SHAPE[1:]

    def test_contains(self, recording, stack):
        """``in`` looks for a pixel's value, as it does in an array."""
        assert int(stack[7, 2, 3]) in recording
        assert 60_001 not in recording

    def test_pickling(self, recording, stack, path):
        """A copy by pickle opens the file again, wherever the process that loads it happens to be."""
        with pickle.loads(pickle.dumps(recording)) as copied, copy.deepcopy(recording) as deep:
            assert (copied.shape, deep.shape) == (SHAPE, SHAPE)
            np.testing.assert_array_equal(copied[5], stack[5])
            np.testing.assert_array_equal(deep[-1], stack[-1])

    def test_a_relative_path_is_found_from_elsewhere(self, path, stack, tmp_path, monkeypatch):
        """Neither reading nor pickling depends on the current folder after opening."""
        monkeypatch.chdir(path.parent)
        with mmspool.open(path.name) as opened:
            monkeypatch.chdir(tmp_path)
            np.testing.assert_array_equal(opened.refresh()[3], stack[3])
            with pickle.loads(pickle.dumps(opened)) as copied:
                np.testing.assert_array_equal(copied[3], stack[3])

    def test_forked_readers_share_a_recording(self, processes, recording, stack):
        """Processes that were forked with an open recording read it at the same time, each what it asked for."""
        with multiprocessing.get_context("fork").Pool(2) as pool:
            read = pool.map(recording.__getitem__, list(range(SHAPE[0])) * 20, chunksize=3)
            pool.close()
            pool.join()  # else it ends them by a signal, which handlers of this process may take in them
        np.testing.assert_array_equal(read, np.concatenate([stack] * 20))

    def test_threads_share_a_recording(self, recording, stack):
        """Threads read one recording at the same time, each what it asked for."""
        with ThreadPoolExecutor(8) as pool:
            read = list(pool.map(recording.__getitem__, list(range(SHAPE[0])) * 20))
        np.testing.assert_array_equal(read, np.concatenate([stack] * 20))

    def test_iteration(self, recording, stack):
        """Iterating gives the frames in order, as often as wanted."""
        for _ in range(2):
            read = list(recording)
            assert len(read) == len(stack)
            np.testing.assert_array_equal(np.stack(read), stack)

    def test_conversion(self, recording, stack):
        """NumPy takes a recording for the array it is, in any dtype."""
        np.testing.assert_array_equal(np.asarray(recording), stack)
        assert np.asarray(recording).dtype == stack.dtype
        assert np.asarray(recording, np.float32).dtype == np.float32
        np.testing.assert_array_equal(np.array(recording), stack)
        np.testing.assert_array_equal(np.mean(recording, axis=0), stack.mean(axis=0))

    def test_a_view_cannot_be_had(self, recording):
        """Who insists on no copy is told that a file gives none."""
        with pytest.raises(ValueError, match="always makes a copy"):
            recording.__array__(copy=False)


class TestFacts:
    """What a recording tells beside its pixels."""

    def test_frames(self, recording):
        """The columns are one structured array, one row a frame."""
        table = recording.frame_table()
        assert table.shape == (23,)
        assert table.dtype.names[:8] == (
            *("index", "sequence_number", "time", "start_time"),
            *("image_number", "camera_frame_number", "camera_timestamp", "host_timestamp"),
        )
        assert table["index"].tolist() == list(range(23))
        assert table["image_number"].tolist() == list(range(23))
        assert table["sequence_number"].tolist() == [*range(10), *range(12, 25)]
        assert table[table["sequence_number"] == 12]["index"] == 10

    def test_part_of_the_table(self, recording):
        """Columns and frames can be chosen; rows, slices and lists of names work as in a structured array."""
        table = recording.frame_table(["image_number", "index"], start=5, stop=-10)
        whole = np.asarray(recording.frame_table())[5:-10][["image_number", "index"]]
        assert table.keys() == ("image_number", "index")
        assert len(table) == 8
        np.testing.assert_array_equal(np.asarray(table), whole)
        assert table[3] == whole[3]
        np.testing.assert_array_equal(table[2:4], whole[2:4])
        assert [row["index"] for row in table] == list(range(5, 13))
        np.testing.assert_array_equal(table[["index"]]["index"], whole["index"])
        assert set(dict(table)) == {"image_number", "index"}
        assert "8 frames" in repr(table)
        with pytest.raises(KeyError, match="no column 'number'"):
            recording.frame_table(["number"])
        with pytest.raises(KeyError, match="no column 'checksum'"):
            table["checksum"]
        with pytest.raises(ValueError, match="read-only"):
            recording.frame_table()["start_time"][0] = 1

    def test_a_table_reads_what_is_used(self, path, monkeypatch):
        """A column is read once however often it is asked for, and no other with it."""
        with mmspool.open(path) as opened:
            for _ in range(5):
                assert opened.frame_table()["image_number"][3] == 3
            assert list(opened._file._columns) == ["image_number"]

    def test_losses_and_state(self, recording):
        """Losses are located, and a recording with losses is not complete."""
        assert recording.losses == (Loss(10, 2, "core"),)
        assert recording.frames_lost == 2
        assert (recording.state, recording.end_reason) == ("incomplete", "closed")

    def test_metadata(self, recording):
        """The user's metadata comes back as it was given, in any script."""
        assert recording.metadata["metadata"] == {"sample": "Größe ≥ 3"}
        assert recording.metadata["detector"] == {}
        assert recording.metadata["start_time"] < recording.metadata["end_time"]

    def test_closing(self, path):
        """A recording can be closed twice; its facts can still be asked."""
        opened = mmspool.open(str(path))
        opened.close()
        opened.close()
        assert (len(opened), opened.state, opened.losses) == (23, "incomplete", (Loss(10, 2, "core"),))
        for read in (
            lambda: opened[0],
            lambda: opened[2:4],
            lambda: opened[[1]],
            lambda: np.asarray(opened),
            lambda: opened.frame_table()["start_time"],
            opened.refresh,
            opened.__dask_tokenize__,
        ):
            with pytest.raises(RecordingError, match="was closed"):
                read()

    def test_any_number_of_readers(self, path, stack):
        """Several may read the same file at the same time, h5py among them."""
        with mmspool.open(path) as first, mmspool.open(path) as second, h5py.File(path, "r") as file:
            np.testing.assert_array_equal(first[4], second[4])
            np.testing.assert_array_equal(file["data"][4], stack[4])


class TestWhileItIsWritten:
    """Reading a recording that grows."""

    def test_frames_appear_as_they_are_written(self, make_spool, frames, wait_until):
        """A reader sees the frames that were written when it opened, all of them whole, and that more may come."""
        shape = (200, 300)
        with make_spool(buffer_bytes=2 << 20, shape=shape, dtype="<u2") as spool:
            with mmspool.open(spool.path) as opened:
                assert (len(opened), opened.state) == (0, "recording")
                assert opened[:].shape == (0, *shape)
                assert opened.frame_table().shape == (0,)
            for stop in (1, 17, 300, 333):
                for index in range(spool.stats.frames_put, stop):
                    spool.put(frames(index, shape), {"image_number": index})
                wait_until(lambda: spool.stats.frames_written == spool.stats.frames_put)
                with mmspool.open(spool.path) as opened:
                    assert (len(opened), opened.state) == (stop, "recording")
                    np.testing.assert_array_equal(opened[stop - 1], frames(stop - 1, shape))
                    np.testing.assert_array_equal(opened[0], frames(0, shape))
                    assert opened.frame_table()["image_number"].tolist() == list(range(stop))
                    with pytest.raises(IndexError):
                        opened[stop]

    def test_a_reader_keeps_what_it_saw(self, make_spool, frames, wait_until):
        """A recording that was opened earlier stays readable, with the frames there were then, past the end."""
        with make_spool(shape=frames.shape, dtype="<u2") as spool:
            for index in range(10):
                spool.put(frames(index))
            wait_until(lambda: spool.stats.frames_written == 10)
            opened = mmspool.open(spool.path)
            for index in range(10, 400):
                spool.put(frames(index))
        assert len(opened) == 10
        np.testing.assert_array_equal(opened[:], frames.stack(10))
        opened.close()

    def test_reading_flat_out(self, make_spool, frames, wait_until):
        """A reader that opens the file again and again while it grows is nearly always served, and never wrongly."""
        shape, opened, refused = (256, 256), 0, 0
        with make_spool(buffer_bytes=4 << 20, grow_frames=10, shape=shape, dtype="<u2") as spool:
            for index in range(600):
                spool.put(frames(index, shape))
                if index % 10:
                    continue
                try:
                    with mmspool.open(spool.path) as recording:
                        opened += 1
                        if length := len(recording):
                            np.testing.assert_array_equal(recording[-1], frames(length - 1, shape))
                except RecordingError:
                    refused += 1
        assert opened >= 50 > 5 >= refused


def _text(path):
    path.write_text("no HDF5 at all")


def _empty(path):
    path.touch()


def _foreign(path):
    with h5py.File(path, "w") as file:
        file["data"] = np.zeros((3, 4, 5))


def _foreign_with_our_names(path):
    with h5py.File(path, "w") as file:
        file.create_group("entry/instrument/detector/data")
        file.create_group("entry/instrument/detector/ledger")


def _folder(path):
    path.mkdir()


class TestNoRecording:
    """What cannot be read is told so, and not changed."""

    def test_missing(self, tmp_path):
        """A file that is not there is an error of the same kind."""
        with pytest.raises(RecordingError, match=r"nothing\.h5: no such file"):
            mmspool.open(tmp_path / "nothing.h5")

    @pytest.mark.parametrize("make", [_text, _empty, _folder])
    def test_not_hdf5(self, tmp_path, make):
        """Another kind of file, or a folder."""
        make(tmp_path / "other")
        with pytest.raises(RecordingError, match=r"other (is no HDF5 file|is empty|is not a file)"):
            mmspool.open(tmp_path / "other")

    @pytest.mark.parametrize("make", [_foreign, _foreign_with_our_names])
    def test_another_programs_hdf5(self, tmp_path, make):
        """An HDF5 file that mmspool did not write."""
        make(tmp_path / "other.h5")
        before = (tmp_path / "other.h5").read_bytes()
        with pytest.raises(RecordingError, match="is an HDF5 file, but not a recording of mmspool"):
            mmspool.open(tmp_path / "other.h5")
        assert (tmp_path / "other.h5").read_bytes() == before

    @pytest.mark.parametrize("share", [0.0, 0.02, 0.5, 0.999])
    def test_truncated(self, path, tmp_path, share):
        """A copy that is cut short is refused, wherever it was cut."""
        whole = path.read_bytes()
        cut = tmp_path / "cut.h5"
        cut.write_bytes(whole[: int(share * len(whole))])
        with pytest.raises(RecordingError):
            mmspool.open(cut)
