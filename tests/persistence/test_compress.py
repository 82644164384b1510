"""A compressed copy holds what the original holds, or does not come to be."""

import tempfile
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest

import mmspool
from mmspool import RecordingError, Spool, StorageError
from mmspool.persistence import compress, compress_file

COMPRESSIONS = ("fast", "small", "universal")


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory, processes: None) -> Path:
    """Return a raw recording of 30 dim frames with losses, counters and an attribute that somebody added later."""
    path = tmp_path_factory.mktemp("compress") / "raw.h5"
    generator = np.random.default_rng(1)
    with Spool(path, buffer_bytes=16_000_000, metadata={"sample": "HeLa"}) as spool:
        for index in range(30):
            if index == 12:
                spool.record_loss(5, "core")
            spool.put(generator.poisson(20, (256, 192)).astype(np.uint16), {"camera_timestamp": 10**7 * index})
    with h5py.File(path, "r+") as file:
        file["/entry"].attrs["comment"] = "the good one"
        file.create_dataset("/entry/analysis", data=np.arange(5))
    return path


@pytest.mark.parametrize("compression", COMPRESSIONS)
def test_the_same_in_every_respect(original: Path, tmp_path: Path, compression: str) -> None:
    """Pixels, columns, losses, metadata, links and what others added are the original's; only the size differs."""
    report = compress(original, tmp_path / "small.h5", compression=compression)
    assert report.bytes_after < 0.7 * report.bytes_before
    assert not report.replaced
    with mmspool.open(original) as before, mmspool.open(tmp_path / "small.h5") as after:
        assert np.array_equal(after[:], before[:])
        assert np.array_equal(np.asarray(after.frame_table()), np.asarray(before.frame_table()))
        assert (after.losses, after.metadata, after.state) == (before.losses, before.metadata, before.state)
        assert after.compression.startswith(compression)
        assert after.file["/entry"].attrs["comment"] == "the good one"
        assert after.file["/entry/analysis"][:].tolist() == [0, 1, 2, 3, 4]
        assert after.file["/entry/data/data"] == after.file["/data"]
        assert _tree(after.file) == _tree(before.file)
    assert mmspool.verify(tmp_path / "small.h5").intact


def test_in_place(original: Path, tmp_path: Path) -> None:
    """Without a target the copy takes the original's name and permissions, and nothing else is left in the folder."""
    path = tmp_path / "run.h5"
    path.write_bytes(original.read_bytes())
    mode = path.stat().st_mode
    progress: list[tuple[int, int]] = []
    report = compress(path, progress=lambda done, total: progress.append((done, total)))
    assert report.replaced
    assert (path.stat().st_size, path.stat().st_mode) == (report.bytes_after, mode)
    assert progress == sorted(progress)
    assert progress[-1] == (90, 90)
    assert [each.name for each in tmp_path.iterdir()] == ["run.h5"]
    with pytest.raises(RecordingError, match="compressed already"):
        compress(path)


def test_a_private_recording_stays_private(original: Path, tmp_path: Path) -> None:
    """While a recording that only its owner may read is compressed, nobody else may read the copy either."""
    path = tmp_path / "run.h5"
    path.write_bytes(original.read_bytes())
    path.chmod(0o600)
    with tempfile.NamedTemporaryFile(dir=tmp_path) as private:
        private_mode = Path(private.name).stat().st_mode
    modes = set[int]()

    def look(_done: int, _total: int) -> None:
        modes.update(part.stat().st_mode for part in tmp_path.glob(".*.part"))

    compress(path, progress=look)
    assert modes == {private_mode}


def test_noise_is_stored_as_it_is(tmp_path: Path, processes: None) -> None:
    """Frames that do not shrink are stored raw, counted, and read back."""
    frames = np.random.default_rng(1).integers(0, 65536, (4, 1200, 1200), np.uint16)
    with Spool(tmp_path / "raw.h5", buffer_bytes=32_000_000) as spool:
        for frame in frames:
            spool.put(frame)
    compress(tmp_path / "raw.h5", tmp_path / "small.h5", compression="universal")
    with mmspool.open(tmp_path / "small.h5") as run:
        assert np.array_equal(run[:], frames)
        assert run.file["/entry/instrument/detector/ledger/frames_raw"][()] == 4


@pytest.mark.parametrize("checksum", [True, False])
def test_a_copy_that_differs_is_refused(
    original: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, checksum: bool, processes: None
) -> None:
    """Where a chunk of the copy is wrong, the original stays and the copy goes, with checksums or without."""
    path = tmp_path / "run.h5"
    with mmspool.open(original) as recording, Spool(path, buffer_bytes=16_000_000, checksum=checksum) as spool:
        for frame in recording:
            spool.put(frame)
    real = h5py.h5d.DatasetID.write_direct_chunk

    class Wrong:
        """Writes the first chunk everywhere."""

        def __init__(self, data: h5py.Dataset) -> None:
            self.id = self
            self._id = data.id

        def write_direct_chunk(self, offset: tuple[int, ...], encoded: bytes, mask: int) -> None:
            """Write the original's first chunk where the second belongs."""
            if offset[0] == 0:
                self.first = bytes(encoded)
            real(self._id, offset, self.first, mask)

    copy_chunks = compress_file._copy_chunks
    monkeypatch.setattr(
        compress_file, "_copy_chunks", lambda recording, data, *rest: copy_chunks(recording, Wrong(data), *rest)
    )
    before = path.read_bytes()
    with pytest.raises(RecordingError, match="differs from it; the original stays"):
        compress(path)
    assert path.read_bytes() == before
    assert [each.name for each in tmp_path.iterdir()] == ["run.h5"]


def test_interrupted(original: Path, tmp_path: Path) -> None:
    """An interruption at any step leaves the original as it was, and no copy."""
    path = tmp_path / "run.h5"
    path.write_bytes(original.read_bytes())
    before = path.read_bytes()
    for at in (1, 29, 31, 61, 90):

        def stop(done: int, _total: int, at: int = at) -> None:
            if done >= at:
                raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            compress(path, progress=stop)
        assert path.read_bytes() == before
        assert [each.name for each in tmp_path.iterdir()] == ["run.h5"]


def test_refusals(original: Path, tmp_path: Path, processes: None, wait_until: Callable[..., None]) -> None:
    """A recording that is still written, a target that exists, and a damaged file are refused."""
    with Spool(tmp_path / "live.h5", buffer_bytes=16_000_000) as spool:
        spool.put(np.zeros((256, 256), np.uint16))
        wait_until((tmp_path / "live.h5").exists)
        with pytest.raises(RecordingError, match="was not closed"):
            compress(tmp_path / "live.h5", tmp_path / "small.h5")
    with pytest.raises(StorageError, match="exists"):
        compress(original, tmp_path / "live.h5")
    damaged = tmp_path / "damaged.h5"
    damaged.write_bytes(original.read_bytes())
    with h5py.File(damaged) as file:
        place = file["data"].id.get_chunk_info(0).byte_offset
    with damaged.open("r+b") as raw:
        raw.seek(place)
        raw.write(b"\xff" * 64)
    with pytest.raises(RecordingError, match="is damaged and stays as it is"):
        compress(damaged)


def _tree(file: h5py.File) -> set[tuple[str, str]]:
    """Return every link and attribute by its name."""
    found: set[tuple[str, str]] = set()

    def visit(name: str, item: h5py.HLObject) -> None:
        found.update((name, attribute) for attribute in item.attrs)
        found.add((name, type(item).__name__))

    file.visititems_links(lambda name, link: found.add((name, type(link).__name__)))
    file.visititems(visit)
    return found
