"""Small real recordings to be damaged: closed, not closed, with losses, without checksums."""

import contextlib
import shutil
from dataclasses import dataclass
from pathlib import Path
from unittest.mock import patch

import h5py
from support.frames import stack
from support.values import COLUMNS, values
from support.waiting import wait_until

from mmspool import DetectorInfo, Spool
from mmspool.persistence.hdf5_file.nexus_schema import COLUMN_PATHS, COUNTERS, DATA, END_TIME, LEDGER, LOSS_COLUMNS
from mmspool.persistence.hdf5_file.user_columns import user_column_paths

NAMES = ("closed", "losses", "open", "no-checksums", "packed", "columns")
FRAMES = 23
SHAPE = (24, 32)


EXPECTED = stack(0, FRAMES, SHAPE)


def make(folder: Path) -> None:
    """Record all samples into ``folder``."""
    with (
        patch("mmspool.persistence.block_layout._MIN_GROWTH_BYTES", 1),  # small files, quickly copied
        patch("mmspool.persistence.options.LEAST_COMPRESSED_BYTES", 0),
    ):
        for name in NAMES:
            _make(folder / f"{name}.h5", name)


def _make(path: Path, name: str) -> None:
    copy = path.with_name("copy.h5")
    info = DetectorInfo(description="fuzzed", camera={"properties": {"Gain": "1"}})
    with Spool(
        path,
        buffer_bytes=1 << 20,
        grow_frames=10,
        checksum=name != "no-checksums",
        compression="fast" if name == "packed" else None,
        info=info,
        columns=COLUMNS if name == "columns" else None,
        plan={"t": FRAMES, "camera": ["left"]} if name == "columns" else None,
    ) as spool:
        for index in range(FRAMES):
            if name == "losses" and index % 5 == 3:
                spool.record_loss(2, "core")
            spool.put(EXPECTED[index], values(index) if name == "columns" else None)
        if name == "open":
            wait_until(lambda: spool.stats.frames_written == FRAMES, "all frames are written")
            shutil.copyfile(path, copy)
    if name == "open":
        copy.replace(path)


@dataclass(frozen=True)
class Map:
    """Where in a sample what lies, as ``(offset, length)``, and the paths of its own columns."""

    structure: tuple[tuple[int, int], ...]
    values: tuple[tuple[int, int], ...]
    raw: tuple[tuple[int, int], ...]
    size: int
    own: tuple[str, ...]


def map_of(path: Path) -> Map:
    """Find the parts of a sample: HDF5's structure is what is neither values nor frames nor columns."""
    values, raw = [], []
    with h5py.File(path, "r") as file:
        for name in (*COUNTERS, "state", "end_reason"):
            value = file[LEDGER][name]
            values.append((value.id.get_offset(), value.dtype.itemsize))
        values.append((file[END_TIME].id.get_offset(), file[END_TIME].dtype.itemsize))
        journal = file[LEDGER]["journal"]
        values += [(journal.id.get_offset() + slot * journal.size // 2, 8192) for slot in (0, 1)]
        raw.append((journal.id.get_offset(), journal.size))
        own = tuple(user_column_paths(file).values())
        for where in (DATA, *COLUMN_PATHS.values(), *own, *(f"{LEDGER}/{name}" for name in LOSS_COLUMNS)):
            dataset = file[where]
            for index in range(dataset.id.get_num_chunks()):
                chunk = dataset.id.get_chunk_info(index)
                raw.append((chunk.byte_offset, chunk.size))
    size, at, structure = path.stat().st_size, 0, []
    content = path.read_bytes()
    for start, length in sorted(raw):
        if start > at:
            structure.append((at, start - at))
        at = max(at, start + length)
    if size > at:
        structure.append((at, size - at))
    used = [(start, length) for start, length in structure if any(content[start : start + length])]
    return Map(tuple(used), tuple(values), tuple(raw), size, own)


@contextlib.contextmanager
def opened_for_change(path: Path):  # type: ignore[no-untyped-def]
    """Open a sample with h5py for changes, whatever locks say."""
    with h5py.File(path, "r+", libver=("v108", "v108"), locking=False) as file:
        yield file
