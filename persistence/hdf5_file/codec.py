"""Lossless compression of chunks, and the HDF5 filters by which every reader undoes it."""

import importlib
import struct
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, get_args

import h5py
import numpy as np
import numpy.typing as npt

from ...errors import StorageError

Compression = Literal["fast", "small", "universal"]

Encode = Callable[[memoryview, memoryview], int]
"""Compresses bytes into a buffer of `max_encoded_bytes`; returns how many it took."""

Decode = Callable[[bytes, npt.NDArray[np.uint8]], None]
"""Undoes `Encode` into an array of a chunk's size; releases the GIL; OSError or RuntimeError where it is damaged."""

_SHUFFLE, _DEFLATE, _BLOSC = 2, 1, 32001
_BLOSC_SIZES = struct.Struct("<4x3I")  # of Blosc's header: pixels' bytes, a block's, all that is stored
_BLOSC_BLOCK_BYTES = 512 << 10  # fits in a core's cache; smaller ones compress less, and no faster
_BLOSC_MAX_BYTES = (1 << 31) - 17
_GZIP_LEVEL = 1
_BLOSC_PACKAGES = ("imagecodecs", "hdf5plugin")
_PACKAGES = {"fast": _BLOSC_PACKAGES, "small": _BLOSC_PACKAGES, "universal": ("isal.isal_zlib",)}


@dataclass(frozen=True, kw_only=True)
class Codec:
    """One way of compressing chunks.

    Attributes
    ----------
    name
        What `Spool` calls it.
    filters
        HDF5's filters and their values, in the order in which they are applied.
    note
        What a reader needs, for the file.
    encode
        Releases the GIL; safe in several threads.
    """

    name: str
    filters: tuple[tuple[int, tuple[int, ...]], ...]
    note: str
    encode: Encode

    @property
    def all_skipped(self) -> int:
        """The filter mask of a chunk that is stored as it is."""
        return (1 << len(self.filters)) - 1


def max_encoded_bytes(size: int) -> int:
    """Return the bytes that a codec may need for ``size`` bytes of noise."""
    return size + size // 256 + 4096


def require(name: str) -> None:
    """Refuse a compression that does not exist or whose package is missing.

    Raises
    ------
    ValueError
        There is none of this name.
    MissingPackageError
        Its package cannot be imported.
    """
    if name not in get_args(Compression):
        raise ValueError(f"compression is None or one of {get_args(Compression)}, not {name!r}")
    for package in _PACKAGES[name]:
        _load(package, f"compression={name!r}")


def find(name: str, item_bytes: int, chunk_bytes: int) -> Codec:
    """Return the codec for chunks of ``chunk_bytes`` with items of ``item_bytes``.

    Raises
    ------
    MissingPackageError
        Its package cannot be imported.
    StorageError
        A chunk is too large for it.
    """
    require(name)
    if name == "universal":
        return _gzip(item_bytes)
    if chunk_bytes > _BLOSC_MAX_BYTES:
        raise StorageError(
            f"compression={name!r} takes chunks of at most {_BLOSC_MAX_BYTES:,} bytes, and a frame has "
            f"{chunk_bytes:,}: use compression='universal', or record a smaller region"
        )
    if name == "fast":
        return _blosc(name, "lz4", 1, 5, "bitshuffle", item_bytes, chunk_bytes)
    return _blosc(name, "zstd", 5, 1, "shuffle", item_bytes, chunk_bytes)


def load_filters(data: h5py.h5d.DatasetID) -> None:
    """Load the filters that a dataset needs into HDF5.

    Raises
    ------
    MissingPackageError
        One of them is not installed.
    """
    filters = data.get_create_plist()
    needed = [filters.get_filter(index)[0] for index in range(filters.get_nfilters())]
    if _BLOSC in needed and not h5py.h5z.filter_avail(_BLOSC):
        _load("hdf5plugin", "reading frames that are compressed with Blosc")


def decoder(data: h5py.h5d.DatasetID) -> Decode | None:
    """Return what decodes a dataset's chunks past HDF5, which does it in one thread and with a copy more.

    None where nothing is compressed, or this process lacks a package for it: HDF5's own filters read it then.
    """
    plist = data.get_create_plist()
    filters = {plist.get_filter(index)[0]: plist.get_filter(index)[2] for index in range(plist.get_nfilters())}
    if set(filters) == {_SHUFFLE, _DEFLATE}:
        return _gzip_decoder(filters[_SHUFFLE][0])
    if set(filters) == {_BLOSC}:
        try:
            return _blosc_decoder(importlib.import_module("imagecodecs"))
        except ImportError:
            return None
    return None


def _load(package: str, purpose: str) -> None:
    from ...packages import require as require_package  # not in every writer process

    require_package(package, purpose, install="hdf5plugin imagecodecs isal")


def _blosc_decoder(imagecodecs: Any) -> Decode:
    def decode(stored: bytes, chunk: npt.NDArray[np.uint8]) -> None:
        sizes = _BLOSC_SIZES.unpack_from(stored) if len(stored) >= _BLOSC_SIZES.size else ()
        if not sizes or sizes[0] != chunk.nbytes or sizes[2] != len(stored):
            raise OSError(f"a chunk of {len(stored):,} bytes has no Blosc header for {chunk.nbytes:,} bytes of pixels")
        imagecodecs.blosc_decode(stored, numthreads=1, out=chunk)

    return decode


def _gzip_decoder(item_bytes: int) -> Decode:
    try:
        inflate: Any = importlib.import_module("isal.isal_zlib")
    except ImportError:
        inflate = zlib

    def decode(stored: bytes, chunk: npt.NDArray[np.uint8]) -> None:
        try:
            shuffled = np.frombuffer(inflate.decompress(stored, bufsize=chunk.nbytes), np.uint8)
        except (zlib.error, inflate.error) as exc:
            raise OSError(f"a chunk of {len(stored):,} bytes cannot be decompressed ({exc})") from exc
        if shuffled.nbytes != chunk.nbytes:
            raise OSError(f"a chunk has {shuffled.nbytes:,} bytes of pixels instead of {chunk.nbytes:,}")
        chunk.reshape(-1, item_bytes)[...] = shuffled.reshape(item_bytes, -1).T

    return decode


def _blosc(name: str, codec: str, code: int, level: int, shuffle: str, item_bytes: int, chunk_bytes: int) -> Codec:
    imagecodecs: Any = importlib.import_module("imagecodecs")
    items = np.dtype(f"u{item_bytes}")  # imagecodecs goes by the array's item size, not by typesize

    def encode(data: memoryview, out: memoryview) -> int:
        encoded = imagecodecs.blosc_encode(
            np.frombuffer(data, items),
            level=level,
            compressor=codec,
            shuffle=shuffle,
            blocksize=_BLOSC_BLOCK_BYTES,
            numthreads=1,
            out=out,
        )
        return len(encoded)

    # As Blosc's HDF5 filter sets them: its version, the format's, item and chunk size, level, shuffle, codec.
    values = (2, 2, item_bytes, chunk_bytes, level, {"shuffle": 1, "bitshuffle": 2}[shuffle], code)
    note = f"Blosc {codec} {shuffle}, HDF5 filter {_BLOSC}: h5py reads it after 'import hdf5plugin'"
    return Codec(name=name, filters=((_BLOSC, values),), note=note, encode=encode)


def _gzip(item_bytes: int) -> Codec:
    zlib: Any = importlib.import_module("isal.isal_zlib")

    def encode(data: memoryview, out: memoryview) -> int:
        items = np.frombuffer(data, np.uint8).reshape(-1, item_bytes)
        encoded = zlib.compress(np.ascontiguousarray(items.T), _GZIP_LEVEL)
        out[: len(encoded)] = encoded
        return len(encoded)

    # HDF5's own.
    filters = ((_SHUFFLE, (item_bytes,)), (_DEFLATE, (_GZIP_LEVEL,)))
    return Codec(name="universal", filters=filters, note="HDF5's own shuffle and gzip: no plugin needed", encode=encode)
