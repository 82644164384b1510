"""Lossless compression of sCMOS frames, at three kinds of light: how fast, how small, at what cost."""

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import numpy.typing as npt
from peers import Job, Peer, Put, Reader, load, sync

import mmspool

from .base import Case, Record, Setting, Target, column
from .frames import exposed, spots
from .probe import Stopwatch
from .store import check

SIDE = 2048
SHAPE = (SIDE, SIDE)
DISTINCT = 8
FRAMES, QUICK_FRAMES = 300, 4
LIMIT_S = 3.0
PERIOD_S = 0.01
LIGHTS: dict[str, Callable[[], float | npt.NDArray[np.float64]]] = {
    "20 e- flat": lambda: 20.0,
    "spots": lambda: spots(SHAPE),
    "200 e- flat": lambda: 200.0,
}
KINDS = ("fast", "small", "universal")
ALL = {kind: f"mmspool, {kind}, all compressed" for kind in ("fast", "small")}
FOR_LIGHT = {"20 e- flat": "fast", "spots": "fast", "200 e- flat": "small"}
"""The kind that is small enough and fast enough for that light."""
_FILE = "run.h5"


@contextmanager
def _spool(folder: Path, job: Job, *, kind: str, raw: bool = True) -> Iterator[Put]:
    options: dict[str, Any] = {"compression": kind, "raw_if_slow": raw}
    spool = mmspool.Spool(folder / _FILE, shape=job.shape, dtype=job.dtype, **options)
    try:
        yield spool.put
    finally:
        spool.close()


@contextmanager
def _h5py(folder: Path, job: Job, *, filters: Callable[[], Mapping[str, Any]]) -> Iterator[Put]:
    with h5py.File(folder / _FILE, "w", libver="latest", rdcc_nbytes=2 * job.frame_bytes) as file:
        data = file.create_dataset("data", (job.frames, *job.shape), job.dtype, chunks=(1, *job.shape), **filters())
        index = 0

        def put(frame: Any) -> None:
            nonlocal index
            data[index] = frame
            index += 1

        yield put


@contextmanager
def _read(folder: Path, _job: Job) -> Iterator[Reader]:
    load("hdf5plugin")
    with h5py.File(folder / _FILE) as file:
        data = file["data"]
        yield Reader(len(data), data.__getitem__)


_PLUGIN = ("hdf5plugin",)
_FILTERS: dict[str, Callable[[], Mapping[str, Any]]] = {
    "h5py, bitshuffle-LZ4": lambda: load("hdf5plugin").Bitshuffle(),
    "h5py, Blosc2-zstd": lambda: load("hdf5plugin").Blosc2(cname="zstd", clevel=1),
    "h5py, shuffle + gzip 1": lambda: {"compression": "gzip", "compression_opts": 1, "shuffle": True},
}
PEERS = {
    **{
        f"mmspool, {kind}": Peer(
            name=f"mmspool, {kind}", how="", open=partial(_spool, kind=kind), read=_read, needs=_PLUGIN
        )
        for kind in KINDS
    },
    **{
        name: Peer(name=name, how="", open=partial(_spool, kind=kind, raw=False), read=_read, needs=_PLUGIN)
        for kind, name in ALL.items()
    },
    **{
        name: Peer(name=name, how="", open=partial(_h5py, filters=of), read=_read, needs=_PLUGIN)
        for name, of in _FILTERS.items()
    },
}


def compress(setting: Setting, peer: Peer, light: str, *, paced: bool) -> Record:
    """Store frames of one kind of light, at 100 frames/s or flat out."""
    job = Job(shape=SHAPE, dtype=np.dtype("u2"), frames=QUICK_FRAMES if setting.quick else FRAMES)
    peer.check(job)
    stack = _stack(setting.shared, light)
    setting.ready()
    late = 0
    with peer.open(setting.folder, job) as put:
        watch, due, count = Stopwatch.start(), time.perf_counter(), 0
        ends = due + (LIMIT_S if not setting.quick else 60.0)
        while count < job.frames and time.perf_counter() < ends:
            if paced:
                due += PERIOD_S
                time.sleep(max(0.0, due - time.perf_counter()))
                late += time.perf_counter() - due > PERIOD_S
            put(stack[count % DISTINCT])
            count += 1
    sync(setting.folder)
    record = watch.stop(count * job.frame_bytes)
    check(setting.folder, peer, job, stack, count)
    raw = count * job.frame_bytes
    stored, as_they_are = _chunks(setting.folder / _FILE, count)
    return record | {
        "frames": count,
        "frames/s": count / record["seconds"],
        "size": stored / raw,
        "stored raw": as_they_are / count * 100,
        "late": late,
    }


def _stack(shared: Path, light: str) -> npt.NDArray[np.uint16]:
    file = shared / f"{light.split()[0]}.npy"
    if not file.exists():
        electrons = LIGHTS[light]()
        random = np.random.default_rng(1)
        np.save(file, np.stack([exposed(electrons, SHAPE, random) for _ in range(DISTINCT)]))
    stack: npt.NDArray[np.uint16] = np.load(file)
    return stack


def _chunks(path: Path, count: int) -> tuple[int, int]:
    """Return the size of the frames as they are stored, and how many chunks were stored without their filters."""
    with h5py.File(path) as file:
        data = file["data"].id
        infos = [data.get_chunk_info_by_coord((index, 0, 0)) for index in range(count)]
    return sum(info.size for info in infos), sum(info.filter_mask != 0 for info in infos)


_WAYS = {
    f"{name}, {light}{', 100 frames/s' if paced else ''}": partial(compress, peer=peer, light=light, paced=paced)
    for name, peer in PEERS.items()
    for light in LIGHTS
    for paced in (False, True)
    if not paced or name == "mmspool, fast"
}

CASE = Case(
    name="compression",
    about="Frames of 2048x2048 uint16 (offset 100, read noise 1.5 e-, 0.46 e-/ADU), flat out and at 100 frames/s; "
    "`size` is what is stored of the raw bytes. Flat out, frames for which the codec is too slow are stored as "
    "they are; `all compressed` is with `raw_if_slow=False`, and waits for it. "
    "The targets are for `fast`, and in bright flat light, which has more noise to store, for `small`.",
    ways=_WAYS,
    disk_bytes=lambda _setting: FRAMES * SIDE * SIDE * 2 + (1 << 30),
    figures=tuple(
        figure
        for light, kind in FOR_LIGHT.items()
        for figure in (
            column(f"{ALL[kind]}, {light}", "frames/s", "frames/s", target=Target(at_least=100)),
            column(f"{ALL[kind]}, {light}", "size", "of raw", target=Target(at_most=0.55)),
        )
    ),
    columns={
        "frames/s": "frames/s",
        "MB/s": "MB/s",
        "size": "of raw",
        "stored raw": "%",
        "CPU": "s/GB",
        "memory": "MB",
    },
)
