"""Damaging files: one mutation a mutant, chosen by its number."""

import os
import random
import struct
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
from fuzz.samples import Map, opened_for_change

from mmspool.persistence.hdf5_file.nexus_schema import COLUMN_PATHS, COUNTERS, DATA, DETECTOR, LEDGER, LOSS_COLUMNS
from mmspool.persistence.hdf5_file.plan_schema import PLAN
from mmspool.persistence.hdf5_file.user_columns import USER_COLUMNS

PAGE = 4096
_NASTY = (0, 1, -1, 2**15, 2**31 - 1, -(2**31), 2**32, 2**48, 2**62, 2**63 - 1, -(2**63))

Mutation = Callable[[Path, Map, random.Random], str]


def _place(parts: tuple[tuple[int, int], ...], chance: random.Random) -> int:
    """Choose a byte, every part as likely as its length allows, short ones not forgotten."""
    start, length = chance.choices(parts, [min(length, PAGE) for _, length in parts])[0]
    return start + chance.randrange(length)


def _used(path: Path, where: Map, chance: random.Random) -> int:
    """Choose a byte of the structure near one that is not zero: most of it is room for later."""
    content = path.read_bytes()
    for _ in range(200):
        place = _place(where.structure, chance)
        if any(content[max(0, place - 4) : place + 4]):
            return place
    return place


def _patch(path: Path, place: int, data: bytes) -> None:
    with path.open("r+b") as file:
        file.seek(place)
        file.write(data)


def truncate(path: Path, where: Map, chance: random.Random) -> str:
    """Cut the file at the edge of a part, or anywhere."""
    edges = {
        edge + by
        for start, length in (*where.structure, *where.values, *where.raw)
        for edge in (start, start + length)
        for by in (-1, 0, 1)
    } | {0, 1, 7, 8, 9, 47, 48, 49, 95, 96, 512, 2048}
    size = chance.choice([*sorted(edge for edge in edges if 0 <= edge <= where.size), chance.randrange(where.size)])
    os.truncate(path, size)
    return f"truncated to {size}"


def flip(path: Path, where: Map, chance: random.Random) -> str:
    """Flip one bit of the structure."""
    place = _used(path, where, chance)
    with path.open("rb") as file:
        file.seek(place)
        byte = file.read(1)[0]
    _patch(path, place, bytes([byte ^ (1 << chance.randrange(8))]))
    return f"bit at {place} flipped"


def overwrite(path: Path, where: Map, chance: random.Random) -> str:
    """Put a few bytes of another value into the structure."""
    place, length = _used(path, where, chance), chance.choice((1, 2, 4, 8, 16, 64))
    data = chance.choice((bytes(length), b"\xff" * length, chance.randbytes(length)))
    _patch(path, place, data)
    return f"{length} bytes at {place} overwritten with {data[:8].hex()}"


def number(path: Path, where: Map, chance: random.Random) -> str:
    """Put another number where HDF5 has one: an address, a length, a count."""
    place, value = _used(path, where, chance), chance.choice((*_NASTY, where.size, where.size - 8, PAGE, 48))
    _patch(path, place, struct.pack("<q", value))
    return f"number at {place} set to {value}"


def tree(path: Path, where: Map, chance: random.Random) -> str:
    """Change a B-tree, a heap or a symbol table node: HDF5 has no checksum of these."""
    content = path.read_bytes()
    marks = [at for mark in (b"TREE", b"HEAP", b"SNOD", b"GCOL") for at in _all(content, mark)]
    if not marks:
        return flip(path, where, chance)
    at = chance.choice(marks)
    place = at + chance.choice((4, 5, 6, 8, 16, 24, 28, 32, *range(24, 120)))
    value = chance.choice((*_NASTY, at, *marks, chance.randrange(where.size)))
    data = chance.choice((struct.pack("<q", value), bytes([chance.randrange(256)])))
    _patch(path, place, data)
    return f"{content[at : at + 4].decode()} at {at}: byte {place - at} set to {data.hex()}"


def _all(content: bytes, mark: bytes) -> list[int]:
    places, at = [], content.find(mark)
    while at >= 0:
        places.append(at)
        at = content.find(mark, at + 1)
    return places


def value(path: Path, where: Map, chance: random.Random) -> str:
    """Change a counter, the state, a text or the journal."""
    start, length = chance.choice(where.values)
    if length == 8:
        data = struct.pack("<q", chance.choice((*_NASTY, 3, 22, 24, 30, 31)))
    else:
        data = chance.choice((chance.randbytes(min(length, 32)), b"\xff" * 8, b"recording\0\0\0", b"complete\0\0\0"))
        start += chance.choice((0, 0, chance.randrange(max(1, length - len(data)))))
    _patch(path, start, data)
    return f"value at {start} set to {data.hex()}"


def page(path: Path, where: Map, chance: random.Random) -> str:
    """Zero a page of the structure, fill it with noise, or swap it with another one."""
    first, second = (_used(path, where, chance) // PAGE * PAGE for _ in range(2))
    content = path.read_bytes()
    kind = chance.choice(("zero", "noise", "swap"))
    if kind == "swap":
        _patch(path, first, content[second : second + PAGE])
        _patch(path, second, content[first : first + PAGE])
    else:
        _patch(path, first, bytes(PAGE) if kind == "zero" else chance.randbytes(PAGE))
    return f"page at {first}: {kind} ({second})"


def data(path: Path, where: Map, chance: random.Random) -> str:
    """Change bytes of frames, columns or the ledger."""
    place, noise = _place(where.raw, chance), chance.randbytes(chance.choice((1, 8, 64)))
    _patch(path, place, noise)
    return f"{len(noise)} bytes of data at {place}"


def object_(path: Path, where: Map, chance: random.Random) -> str:
    """Have HDF5 replace a part of the recording by something else, in a file that is whole."""
    places = [
        DATA,
        "/data",
        LEDGER,
        "/entry/metadata/json",
        "/entry/start_time",
        f"{DETECTOR}/camera/info",
        "/entry",
        DETECTOR,
    ]
    places += COLUMN_PATHS.values()
    places += [*where.own, *[USER_COLUMNS, PLAN, f"{PLAN}/t", f"{PLAN}/camera"] * bool(where.own)]
    places += [f"{LEDGER}/{name}" for name in (*COUNTERS, *LOSS_COLUMNS, "state", "end_reason", "journal")]
    name, kind = chance.choice(places), chance.randrange(9)
    with opened_for_change(path) as file:
        del file[name]
        if kind == 0:
            file.create_group(name)
        elif kind == 1:
            file[name] = chance.choice((-1.5, 2**62, float("nan"), "text", b"\xff\xfe"))
        elif kind == 2:
            file[name] = np.zeros(
                chance.choice(((0,), (3,), (2, 2), (23, 24, 32), (1, 1, 1, 1))), chance.choice(("u1", "f8", "S5"))
            )
        elif kind == 3:
            file.create_dataset(name, shape=(2**40, 24, 32), chunks=(1, 24, 32), dtype="u2", maxshape=(None, 24, 32))
        elif kind == 4:
            file.create_dataset(name, shape=(23, 2**20, 2**20), chunks=(1, 1024, 1024), dtype="u2")
        elif kind == 5:
            file[name] = np.zeros((), [("a", "i4"), ("b", "S3")])
        elif kind == 6:
            file[name] = h5py.SoftLink(chance.choice(("/nowhere", name, "/entry")))
        elif kind == 7:
            file.create_dataset(name, shape=(2**50,), chunks=(1024,), dtype="i8", maxshape=(None,))
    return f"{name} replaced by {kind}"


def attribute(path: Path, where: Map, chance: random.Random) -> str:
    """Have HDF5 change or remove an attribute."""
    names = [
        *([(USER_COLUMNS, "order")] if where.own else []),
        *([(PLAN, name) for name in ("axes", "order", "shape", "repeats")] if where.own else []),
        *((column, name) for column in where.own[:2] for name in ("fill", "units")),
        (LEDGER, "growth_frames"),
        (LEDGER, "boot"),
        (COLUMN_PATHS["checksum"], "algorithm"),
        ("/entry", "default"),
    ]
    place, name = chance.choice(names)
    value = chance.choice(
        (None, -1, 0, 2**40, 2.5, "none", np.bytes_("none"), np.bytes_("md5"), np.bytes_(b"\xff"), [1, 2])
    )
    with opened_for_change(path) as file:
        if value is None:
            file[place].attrs.pop(name, None)
        else:
            file[place].attrs[name] = value
    return f"{place}@{name} set to {value!r}"


def shape(path: Path, where: Map, chance: random.Random) -> str:
    """Have HDF5 resize a dataset of the recording."""
    columns = (*COLUMN_PATHS.values(), *where.own)
    name = chance.choice((DATA, *columns, *(f"{LEDGER}/{name}" for name in LOSS_COLUMNS)))
    length = chance.choice((0, 1, 22, 24, 100))
    with opened_for_change(path) as file:
        file[name].resize(length, axis=0)
    return f"{name} resized to {length}"


MUTATIONS: tuple[tuple[Mutation, int], ...] = (
    (truncate, 15), (flip, 15), (overwrite, 15), (number, 15), (tree, 20), (value, 10), (page, 8), (data, 4),
    (object_, 10), (attribute, 3), (shape, 3),
)  # fmt: skip


def mutate(path: Path, where: Map, chance: random.Random) -> str:
    """Damage the file, say how."""
    mutation = chance.choices([one for one, _ in MUTATIONS], [weight for _, weight in MUTATIONS])[0]
    return f"{mutation.__name__.rstrip('_')}: {mutation(path, where, chance)}"
