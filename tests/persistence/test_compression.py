"""Compressed recordings: the same frames, less room, and no frame lost where the codec is too slow."""

import functools
import importlib
from typing import get_args

import h5py
import hdf5plugin  # noqa: F401 - for plain h5py to read what is compressed
import numpy as np
import pytest

import mmspool
from mmspool import MissingPackageError, RecordingError, StorageError
from mmspool.persistence import verify
from mmspool.persistence.hdf5_file.codec import Compression, find, max_encoded_bytes

LEDGER = "entry/instrument/detector/ledger"
NAMES = get_args(Compression)
LARGE = (256, 256)  # a chunk of its own


@functools.cache
def exposure(seed, shape):
    """Return a camera-like frame: offset, read noise and photon noise."""
    random = np.random.default_rng(seed)
    electrons = random.poisson(20, shape) + random.normal(0, 1.5, shape)
    return (100 + electrons / 0.46).round().astype("<u2")


@pytest.fixture(scope="session")
def noisy():
    """Return a maker of camera-like frames, whose first pixel is their number."""

    def make(index, shape=LARGE):
        frame = exposure(index % 8, shape).copy()
        frame[0, 0] = index
        return frame

    return make


def masks(path):
    """Return the filter mask of each chunk of frames."""
    with h5py.File(path, "r") as file:
        data = file["data"].id
        return [data.get_chunk_info(index).filter_mask for index in range(data.get_num_chunks())]


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("shape", [LARGE, (192, 128)], ids=["large", "the least"])
def test_frames_come_back_from_less_room(make_spool, noisy, name, shape):
    """Every frame is in its place, the file is smaller, says what it is, and is intact."""
    with make_spool(compression=name, raw_if_slow=False, buffer_bytes=8 << 20) as spool:
        for index in range(211):
            spool.put(noisy(index, shape))
    result = spool.close()
    assert (result.frames_written, result.state, result.stats.frames_raw) == (211, "complete", 0)
    assert result.stats.bytes_stored < 0.6 * result.stats.bytes_written
    with h5py.File(spool.path, "r") as file:
        assert file["data"].shape == (211, *shape)
        for index in range(211):
            np.testing.assert_array_equal(file["data"][index], noisy(index, shape))
        assert file["data"].attrs["compression"].decode().startswith(f"{name}: ")
        assert file[f"{LEDGER}/frames_durable"][()] == 211
    report = verify(spool.path)
    assert (report.complete, report.frames_checked) == (True, 211)


@pytest.mark.parametrize("name", NAMES)
def test_smaller_frames_are_stored_uncompressed(make_spool, noisy, name):
    """Frames below 48 KiB, of which several share a chunk, are stored as they are, and the file says so."""
    with make_spool(compression=name, buffer_bytes=8 << 20) as spool:
        for index in range(211):
            spool.put(noisy(index, (191, 128)))
    stats = spool.result.stats
    assert (stats.frames_written, stats.bytes_stored) == (211, stats.bytes_written)
    with h5py.File(spool.path, "r") as file:
        assert file["data"].chunks[0] > 1
        assert file["data"].id.get_create_plist().get_nfilters() == 0
        assert file["data"].attrs["compression"] == b"none"
        for index in range(211):
            np.testing.assert_array_equal(file["data"][index], noisy(index, (191, 128)))
    assert verify(spool.path).complete


def test_universal_needs_no_plugin(make_spool, noisy):
    """`universal` uses HDF5's own filters, so it needs no plugin."""
    with make_spool(compression="universal") as spool:
        spool.put(noisy(0))
    with h5py.File(spool.path, "r") as file:
        assert (file["data"].compression, file["data"].shuffle) == ("gzip", True)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("item_bytes", [1, 2, 4, 8])
def test_noise_fits(name, item_bytes):
    """What cannot be compressed takes no more room than there is for it."""
    data = np.random.default_rng(1).bytes(2 << 20)
    out = bytearray(max_encoded_bytes(len(data)))
    size = find(name, item_bytes, len(data)).encode(memoryview(data), memoryview(out))
    assert 0 < size <= len(out)


def test_noise_is_stored_as_it_is(make_spool):
    """A frame that compressing makes larger is stored raw, and counted."""
    noise = np.random.default_rng(1).integers(0, 2**16, LARGE, np.uint16)
    with make_spool(compression="fast", buffer_bytes=4 << 20) as spool:
        for _ in range(7):
            spool.put(noise)
    assert spool.stats.frames_raw == 7
    assert masks(spool.path) == [1] * 7
    with h5py.File(spool.path, "r") as file:
        assert file[f"{LEDGER}/frames_raw"][()] == 7
        assert (file["data"][:] == noise).all()


def test_frames_are_stored_raw_rather_than_lost(make_spool, noisy, writer_of):
    """While the ring is nearly full and the codec is behind, frames are stored as they are, chunk by chunk."""
    with make_spool(compression="small", shape=LARGE, dtype="<u2", buffer_bytes=64 << 20) as spool:
        count = spool.stats.ring_frames
        with writer_of(spool).stopped():
            for index in range(count):
                spool.put(noisy(index))
    result = spool.close()
    assert (result.frames_written, result.state) == (count, "complete")
    assert 0 < result.stats.frames_raw < count
    assert sum(mask != 0 for mask in masks(spool.path)) == result.stats.frames_raw
    with h5py.File(spool.path, "r") as file:
        assert file[f"{LEDGER}/frames_raw"][()] == result.stats.frames_raw
        for index in range(count):
            np.testing.assert_array_equal(file["data"][index], noisy(index))


def test_waiting_for_the_codec_can_be_chosen(make_spool, noisy, writer_of):
    """With ``raw_if_slow=False`` the spool waits for the codec and compresses every frame."""
    spool = make_spool(compression="small", shape=LARGE, dtype="<u2", buffer_bytes=8 << 20, raw_if_slow=False)
    with writer_of(spool).stopped():
        for index in range(spool.stats.ring_frames):
            spool.put(noisy(index))
    assert spool.close().stats.frames_raw == 0
    assert not any(masks(spool.path))


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("shape", [LARGE, (24, 32)], ids=["compressed", "too small for it"])
def test_a_slow_camera_waits_for_no_block(make_spool, frames, wait_until, name, shape):
    """Frames are readable and durable soon, however few."""
    with make_spool(compression=name, sync_interval_s=0.01) as spool:
        for index in range(90):
            spool.put(frames(index, shape))
            if index % 13 == 0:
                wait_until(lambda put=index + 1: spool.durable == put)
                with mmspool.open(spool.path) as recording:
                    np.testing.assert_array_equal(recording[:], frames.stack(index + 1, shape))
    frames.check(spool.path, 90)
    assert verify(spool.path).complete


def test_a_new_process_takes_over(make_spool, noisy, writer_of, wait_until):
    """After SIGKILL in mid-recording every frame is in the file once."""
    with make_spool(compression="fast", shape=LARGE, dtype="<u2", buffer_bytes=4 << 20) as spool:
        for index in range(300):
            if index in (50, 150):
                killed = writer_of(spool)
                killed.kill()
                wait_until(killed.ended)
            spool.put(noisy(index))
    result = spool.close()
    assert (result.frames_written, result.state, result.stats.writer_restarts) == (300, "complete", 2)
    with h5py.File(spool.path, "r") as file:
        for index in range(300):
            np.testing.assert_array_equal(file["data"][index], noisy(index))
    assert verify(spool.path).complete


def test_unknown_name(make_spool, tmp_path):
    """The message has the names that there are."""
    with pytest.raises(ValueError, match=r"'fast', 'small', 'universal'.*'zip'"):
        make_spool(compression="zip")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(("name", "package"), [("fast", "hdf5plugin"), ("small", "imagecodecs"), ("universal", "isal")])
def test_missing_package(make_spool, tmp_path, mocker, name, package):
    """A missing codec package is an error when the spool is created, with what to install."""
    real = importlib.import_module

    def without(wanted):
        if wanted.partition(".")[0] == package:
            raise ImportError(f"No module named {wanted!r}")
        return real(wanted, package)

    mocker.patch("importlib.import_module", side_effect=without)
    with pytest.raises(
        MissingPackageError, match=rf"needs the package {package}.*-m pip install hdf5plugin imagecodecs isal"
    ):
        make_spool(compression=name)
    assert not list(tmp_path.iterdir())


def test_reading_without_the_plugin(make_spool, noisy, mocker):
    """Without the plugin the metadata can be read, and reading a frame names the missing package."""
    with make_spool(compression="fast") as spool:
        spool.put(noisy(0))
    mmspool.open(spool.path).close()  # it is imported when it is first used
    mocker.patch("h5py.h5z.filter_avail", return_value=False)
    mocker.patch("importlib.import_module", side_effect=ImportError("No module named 'hdf5plugin'"))
    with mmspool.open(spool.path) as recording:
        assert recording.state == "complete"
        with pytest.raises(MissingPackageError, match="-m pip install hdf5plugin"):
            recording[0]


def test_a_frame_too_large_for_blosc():
    """The message names the limit, and what takes larger ones."""
    with pytest.raises(StorageError, match=r"at most 2,147,483,631 bytes.*'universal'"):
        find("fast", 2, 1 << 31)


KEYS = [5, slice(3, 11), slice(1, 12, 4), slice(None, None, -3), (slice(2, 9), slice(3, 40), slice(0, 99, 5)), [7, 2]]


@pytest.fixture(scope="module", params=[*NAMES, "several in a chunk"])
def compressed(request, processes, tmp_path_factory, noisy):
    """Return a compressed recording of twelve frames, and its frames."""
    path = tmp_path_factory.mktemp("compressed") / "run.h5"
    together = request.param == "several in a chunk"
    shape = (24, 32) if together else (192, 128)
    stack = np.stack([noisy(index, shape) for index in range(12)])
    options = {} if together else {"compression": request.param, "raw_if_slow": False}
    with mmspool.Spool(path, buffer_bytes=8 << 20, **options) as spool:
        for frame in stack:
            spool.put(frame)
    if together:
        mmspool.persistence.compress(path, compression="small")
    return path, stack


@pytest.mark.parametrize("without", ["", "imagecodecs", "isal"])
@pytest.mark.parametrize("key", KEYS, ids=str)
def test_every_way_of_reading(compressed, mocker, key, without):
    """Frames that are decoded in threads are those of the file, for every index; HDF5 reads what no package decodes."""
    path, stack = compressed
    real = importlib.import_module

    def missing(wanted, package=None):
        if without and wanted.partition(".")[0] == without:
            raise ImportError(f"No module named {wanted!r}")
        return real(wanted, package)

    mocker.patch("importlib.import_module", side_effect=missing)
    with mmspool.open(path) as recording:
        np.testing.assert_array_equal(recording[key], stack[key])
        np.testing.assert_array_equal(np.stack(list(recording)), stack)


@pytest.mark.parametrize("damage", [b"", b"\0" * 200, b"\xff" * 200], ids=["cut", "zeros", "ones"])
@pytest.mark.parametrize("name", NAMES)
def test_a_damaged_chunk(make_spool, noisy, name, damage):
    """A chunk that cannot be decoded is an error that names the file; the others are read."""
    with make_spool(compression=name, raw_if_slow=False) as spool:
        for index in range(3):
            spool.put(noisy(index, (192, 128)))
    with h5py.File(spool.path, "r+") as file:
        data = file["data"].id
        _, stored = data.read_direct_chunk((1, 0, 0))
        data.write_direct_chunk((1, 0, 0), damage + stored[len(damage) : len(damage) or 30])
    with mmspool.open(spool.path) as recording:
        with pytest.raises(RecordingError, match=r"run\.h5 is damaged: "):
            recording[1]
        np.testing.assert_array_equal(recording[2], noisy(2, (192, 128)))
