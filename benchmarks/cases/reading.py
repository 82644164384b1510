"""Reading back: opening, a thousand random frames and a full pass, none of it in the page cache at first.

Beside raw files, those that are compressed, and the opening of a recording of a million tiny frames.
"""

import itertools
import os
import random
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import h5py
import numpy as np
from peers import FAST, PEERS, SPOOL, Frame, Job, Peer, Reader, load, sync

from .base import Case, Record, Setting, ratio

SIDE = 2048
FRAMES, QUICK_FRAMES = 250, 6
RANDOM_FRAMES, QUICK_RANDOM_FRAMES = 1000, 10
OTHERS = ("h5py", "zarr-python", "tifffile", "ndstorage (NDTiff)")


@contextmanager
def _plain(folder: Path, _job: Job) -> Iterator[Reader]:
    with h5py.File(folder / "run.h5") as file:
        data = file["data"]
        yield Reader(len(data), data.__getitem__)


@contextmanager
def _plain_blosc(folder: Path, job: Job) -> Iterator[Reader]:
    load("hdf5plugin")
    with _plain(folder, job) as reader:
        yield reader


@contextmanager
def _preadv(folder: Path, job: Job) -> Iterator[Reader]:
    with h5py.File(folder / "run.h5") as file:
        data = file["data"]
        offsets = [data.id.get_chunk_info_by_coord((index, 0, 0)).byte_offset for index in range(len(data))]
    descriptor = os.open(folder / "run.h5", os.O_RDONLY)
    frame = np.empty(job.shape, job.dtype)

    def get(index: int) -> Frame:
        if os.preadv(descriptor, [frame], offsets[index]) != frame.nbytes:
            raise AssertionError("a short read")
        return frame

    try:
        yield Reader(len(offsets), get)
    finally:
        os.close(descriptor)


PLAIN = Peer(name="mmspool's file, plain h5py", how="`h5py.File(path)['data'][i]`.", open=SPOOL.open, read=_plain)
FAST_PLAIN = Peer(
    name="mmspool's file, fast, plain h5py",
    how="`import hdf5plugin`; `h5py.File(path)['data'][i]`.",
    open=FAST.open,
    read=_plain_blosc,
    needs=FAST.needs,
)
LIMIT = Peer(
    name="preadv, the limit",
    how="`os.preadv` into one buffer at the frames' places in mmspool's file.",
    open=SPOOL.open,
    read=_preadv,
)


def read(setting: Setting, peer: Peer) -> Record:
    """Write what is to be read, forget it, and read it back."""
    job = Job(shape=(SIDE, SIDE), dtype=np.dtype("u2"), frames=QUICK_FRAMES if setting.quick else FRAMES)
    stack = _write(setting, peer, job)
    wanted = random.Random(1).choices(range(job.frames), k=QUICK_RANDOM_FRAMES if setting.quick else RANDOM_FRAMES)
    _forget(setting.folder)
    setting.ready()
    started = time.perf_counter()
    with peer.read(setting.folder, job) as stored:
        opened = time.perf_counter()
        for index in wanted:
            _copy(stored.get(index))
        seen = time.perf_counter()
        if not np.array_equal(stored.get(wanted[-1]), stack[wanted[-1] % len(stack)]):
            raise AssertionError("a frame is not what was stored")
    del stored  # what is still mapped is not forgotten
    _forget(setting.folder)
    with peer.read(setting.folder, job) as stored:
        passing = time.perf_counter()
        for frame in itertools.islice(stored, job.frames):
            _copy(frame)
        passed = time.perf_counter()
    return {
        "open": (opened - started) * 1e3,
        "random frame": (seen - opened) / len(wanted) * 1e3,
        "full pass": job.frames * job.frame_bytes / 1e6 / (passed - passing),
    }


def _copy(frame: Frame) -> None:
    """Have the pixels in memory: those of a memory map are only there when they are looked at."""
    if isinstance(frame, np.memmap):
        np.array(frame)


def _write(setting: Setting, peer: Peer, job: Job) -> Frame:
    peer.check(job)
    stack: Frame = setting.stack(job.shape, job.dtype)
    with peer.open(setting.folder, job) as put:
        for index in range(job.frames):
            put(stack[index % len(stack)])
    sync(setting.folder)
    return stack


def _forget(folder: Path) -> None:
    """Drop what the page cache has of the files."""
    for path in folder.rglob("*"):
        if path.is_file():
            descriptor = os.open(path, os.O_RDONLY)
            os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
            os.close(descriptor)


_PEERS = {peer.name: peer for peer in (LIMIT, SPOOL, PLAIN, FAST, FAST_PLAIN, *(PEERS[name] for name in OTHERS))}

CASE = Case(
    name="reading",
    about="250 frames of 2048x2048 uint16 (2.1 GB): opening, 1,000 random frames (most of them twice and more, so from "
    "the page cache), and a full pass after the page cache was dropped.",
    ways={name: partial(read, peer=peer) for name, peer in _PEERS.items()},
    disk_bytes=lambda _setting: FRAMES * SIDE * SIDE * 2 + (1 << 30),
    figures=(
        ratio("mmspool", LIMIT.name, "full pass", name="full pass, mmspool / the limit"),
        ratio("mmspool", PLAIN.name, "full pass", name="full pass, mmspool / plain h5py"),
        ratio("mmspool", PLAIN.name, "random frame", name="a random frame's time, mmspool / plain h5py"),
        ratio(FAST.name, FAST_PLAIN.name, "full pass", name="full pass of compressed frames, mmspool / plain h5py"),
        ratio("mmspool", "h5py", "full pass", name="full pass, mmspool / h5py's own file"),
    ),
    columns={"open": "ms", "random frame": "ms", "full pass": "MB/s"},
)
