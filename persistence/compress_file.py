"""A compressed copy of a raw recording, which replaces it only when every frame was verified."""

import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import h5py
import numpy as np
from h5py._objects import phil

from ..errors import RecordingError, StorageError
from .hdf5_file import codec as codecs
from .hdf5_file.codec import Codec, Compression
from .hdf5_file.datasets import create_images
from .hdf5_file.nexus_schema import DATA, HDF5_OPTIONS, LEDGER
from .hdf5_file.private_file import read_stored_chunk
from .hdf5_file.tree_copy import copy_tree
from .reading.reader import Recording
from .reading.work_ahead import map_ahead
from .system.new_file import beside, sync_file
from .system.os_file import replace_file, sync_folder
from .system.paths import readable, recording_path
from .verify import verify

_JOURNAL = f"{LEDGER}/journal"


@dataclass(frozen=True, kw_only=True, slots=True)
class CompressReport:
    """What `compress` did.

    Attributes
    ----------
    path
        The compressed recording.
    frames
        Frames in it, each verified against the original.
    bytes_before, bytes_after
        Sizes of the two files.
    replaced
        Whether it replaced the original.
    """

    path: Path
    frames: int
    bytes_before: int
    bytes_after: int
    replaced: bool


def compress(
    path: str | os.PathLike[str],
    target: str | os.PathLike[str] | None = None,
    *,
    compression: Compression = "fast",
    progress: Callable[[int, int], None] | None = None,
) -> CompressReport:
    """Write a compressed copy of a raw recording: pixels, times, losses, metadata and whatever else is in the file.

    The copy is written beside its final name, synced and read back. The checksum of each frame is computed again
    from the original and from the copy; frames without checksums are compared pixel by pixel. Only then does the copy
    get its name; until then the original is not touched.

    Parameters
    ----------
    path
        A recording that was closed or repaired, stored raw.
    target
        The copy. None: it replaces the original.
    compression
        ``"fast"``, ``"small"`` or ``"universal"``, as for `Spool`.
    progress
        Called with frames done and frames in all; each frame counts three times: written, and verified in
        the original and in the copy.

    Raises
    ------
    RecordingError
        The recording is still written, is compressed already, is damaged, or the copy differs from it.
    StorageError
        ``target`` exists, or cannot be written.
    """
    source = readable(path)
    final = source if target is None else recording_path(target)
    if target is not None and final.exists():
        raise StorageError(f"{final} exists: choose another name")
    report = progress or (lambda _done, _total: None)
    with Recording(source) as recording, beside(final) as partial:
        if recording.state == "recording":
            raise RecordingError(f"{source} was not closed: wait until it is, or run 'mmspool repair' first")
        if recording.compression != "none":
            raise RecordingError(f"{source} is compressed already ({recording.compression}): there is nothing to do")
        if recording.is_joined:
            raise RecordingError(f"{source} shows other files' frames: compress those")
        frames = len(recording)
        try:
            _write(recording, partial, compression, lambda done: report(done, 3 * frames))
        except OSError as exc:
            raise StorageError(f"{final}: the copy cannot be written ({exc}): give a target on another disk") from exc
        _compare(recording, partial, lambda done: report(frames + done, 3 * frames))
        sizes = source.stat().st_size, partial.stat().st_size
        shutil.copymode(source, partial)
        recording.close()  # Windows replaces no file that is open
        try:
            replace_file(partial, final)
        except OSError as exc:
            message = f"the copy cannot replace it ({exc.strerror}): close what has the file open, and try again"
            raise StorageError(exc.errno, message, str(final)) from exc
    sync_folder(final.absolute().parent)
    return CompressReport(
        path=final, frames=frames, bytes_before=sizes[0], bytes_after=sizes[1], replaced=target is None
    )


def _write(recording: Recording, partial: Path, compression: Compression, progress: Callable[[int], None]) -> None:
    chunk_bytes = int(np.prod(recording.chunks)) * recording.dtype.itemsize
    codec = codecs.find(compression, recording.dtype.itemsize, chunk_bytes)

    def frames(data: h5py.Dataset, group: h5py.Group, name: str) -> h5py.Dataset:
        return create_images(group, name, len(data), data.chunks, data.dtype, codec)

    with h5py.File(partial, "w", **HDF5_OPTIONS) as copy:
        copy_tree(recording.file, copy, {DATA: frames})
        copy[DATA].attrs["compression"] = np.bytes_(f"{codec.name}: {codec.note}")
        frames_raw = _copy_chunks(recording, copy[DATA], codec, chunk_bytes, progress)
        copy[f"{LEDGER}/frames_raw"][()] = frames_raw
        copy[_JOURNAL][...] = 0  # it belongs to the original's structure
    sync_file(partial)


def _copy_chunks(
    recording: Recording, copy: h5py.Dataset, codec: Codec, chunk_bytes: int, progress: Callable[[int], None]
) -> int:
    """Compress every chunk, on all cores, and return how many frames are stored as they are."""
    data, step, frames = recording.file[DATA], recording.chunks[0], len(recording)
    corner = (0,) * (data.ndim - 1)

    def encode(first: int) -> tuple[int, int, bytes | memoryview]:
        _, raw = read_stored_chunk(data, (first, *corner))
        out = bytearray(codecs.max_encoded_bytes(chunk_bytes))
        size = codec.encode(memoryview(raw), memoryview(out))
        return (first, 0, memoryview(out)[:size]) if size < chunk_bytes else (first, codec.all_skipped, raw)

    frames_raw = 0
    for first, mask, encoded in map_ahead(encode, range(0, frames, step)):
        with phil:  # h5py locks this call itself from 3.16 on, and the others read meanwhile
            copy.id.write_direct_chunk((first, *corner), encoded, mask)
        done = min(frames, first + step)
        frames_raw += done - first if mask else 0
        progress(done)
    return frames_raw


def _compare(recording: Recording, partial: Path, progress: Callable[[int], None]) -> None:
    """Refuse a copy that is not what the original is.

    Raises
    ------
    RecordingError
        Frames, times, losses, metadata or what `verify` says differ.
    """
    frames = len(recording)
    before = verify(recording.path, progress=lambda done, _total: progress(done))
    if before.damage:
        raise RecordingError(
            f"{recording.path} is damaged and stays as it is: {before.damage[0]}; 'mmspool verify' lists all of it"
        )
    after = verify(partial, progress=lambda done, _total: progress(frames + done))
    same_findings = (before.damage, before.missing, before.notes) == (after.damage, after.missing, after.notes)
    checksums_right = before.frames_checked == after.frames_checked == frames  # and the frame tables hold them
    with Recording(partial) as copy:
        same = (
            same_findings
            and copy.shape == recording.shape
            and copy.losses == recording.losses
            and copy.metadata == recording.metadata
            and np.asarray(copy.frame_table()).tobytes() == np.asarray(recording.frame_table()).tobytes()
            and (checksums_right or all(np.array_equal(copy[index], recording[index]) for index in range(frames)))
        )
    if not same:
        raise RecordingError(
            f"the compressed copy of {recording.path} differs from it; the original stays: try again, to another disk"
        )
