"""Reading frames, rows and columns out of the frames' dataset, each way as it is fast."""

import math
from collections.abc import Iterator
from typing import Any, Protocol

import h5py
import numpy as np
import numpy.typing as npt

from ..hdf5_file import codec
from ..hdf5_file.codec import Decode
from ..hdf5_file.private_file import read_stored_chunk
from .work_ahead import map_ahead

Pixels = npt.NDArray[Any]

_BATCH_BYTES = 4 << 20  # of whole rows that are read for a window in them; the processor's cache holds these


class FrameSource(Protocol):
    """Frames ``(T, Y, X)``, or ``(T, Y, X, 3)``, in a file."""

    def frame(self, index: int) -> Pixels:
        """Read one frame, ``(Y, X)``."""

    def slab(self, frames: range, rows: range, columns: range) -> Pixels:
        """Read frames, rows and columns ``(t, y, x)``, given as ranges of positive step."""

    def each(self, frames: range) -> Iterator[Pixels]:
        """Yield frames ``(Y, X)`` in order, read ahead where that is faster."""


def frame_source(data: h5py.Dataset) -> FrameSource:
    """Return what reads the frames of a recording.

    Raises
    ------
    RecordingError
        They are compressed, and no package is installed that undoes it.
    """
    decode = codec.decoder(data.id)
    if decode is not None:
        return CompressedFrames(data, decode)
    codec.load_filters(data.id)
    return PlainFrames(data)


class PlainFrames:
    """Frames that HDF5 reads: uncompressed ones, or where only HDF5 has what decompresses them."""

    def __init__(self, data: h5py.Dataset) -> None:
        self._data = data

    def frame(self, index: int) -> Pixels:
        """Read one frame."""
        return self._data[index]  # type: ignore[no-any-return]  # h5py has no types

    def slab(self, frames: range, rows: range, columns: range) -> Pixels:
        """Read frames, rows and columns.

        What HDF5 would read row by row, or with steps pixel by pixel, is cut out of whole rows of whole runs of frames.
        """
        data = self._data
        (width, *channels), dtype = data.shape[2:], data.dtype
        scattered = len(rows) > 1 and (len(columns) < width or rows.step > 1 or columns.step > 1)
        keys = _slices(frames, rows, columns)
        if not len(frames) or not len(columns) or (frames.step == 1 and not scattered):
            return data[keys]  # type: ignore[no-any-return]
        if not scattered:
            return np.stack([data[(index, *keys[1:])] for index in frames])
        cut = np.empty((len(frames), len(rows), len(columns), *channels), dtype)
        band = slice(rows.start, rows[-1] + 1)
        band_bytes = (band.stop - band.start) * width * math.prod(channels) * dtype.itemsize
        run = max(1, _BATCH_BYTES // band_bytes) if frames.step == 1 else 1
        whole_rows = np.empty((min(run, len(frames)), band.stop - band.start, width, *channels), dtype)
        for first in range(0, len(frames), run):
            part = frames[first : first + run]
            read = whole_rows[: len(part)]
            data.read_direct(read, np.s_[part.start : part[-1] + 1, band])
            cut[first : first + run] = read[:, :: rows.step, keys[2]]
        return cut

    def each(self, frames: range) -> Iterator[Pixels]:
        """Yield frames in order; the system reads ahead."""
        return map(self.frame, frames)


class CompressedFrames:
    """Frames whose chunks are decoded here, several at the same time, each once for all that is wanted of it."""

    def __init__(self, data: h5py.Dataset, decode: Decode) -> None:
        self._data = data
        self._decode = decode
        self._step = int(data.chunks[0])

    def frame(self, index: int) -> Pixels:
        """Read one frame."""
        chunk = self._chunk(index // self._step)
        frame: Pixels = chunk[0] if self._step == 1 else chunk[index % self._step].copy()
        return frame

    def slab(self, frames: range, rows: range, columns: range) -> Pixels:
        """Read frames, rows and columns."""
        _, rows_wanted, columns_wanted = _slices(frames, rows, columns)
        pixels = np.empty((len(frames), len(rows), len(columns), *self._data.shape[3:]), self._data.dtype)
        if not pixels.size:
            return pixels

        def cut(chunk: int) -> None:
            first = chunk * self._step
            mine = within(frames, first, first + self._step)
            inner = frames[mine]
            inside = slice(inner[0] - first, inner[-1] - first + 1, frames.step)
            pixels[mine] = self._chunk(chunk)[inside, rows_wanted, columns_wanted]

        chunks = sorted({index // self._step for index in frames})
        for _ in map(cut, chunks) if len(chunks) == 1 else map_ahead(cut, chunks):
            pass
        return pixels

    def each(self, frames: range) -> Iterator[Pixels]:
        """Yield frames in order; chunks are decoded ahead."""
        chunks = sorted({index // self._step for index in frames})
        for number, chunk in zip(chunks, map_ahead(self._chunk, chunks), strict=True):
            first = number * self._step
            for index in range(max(first, frames.start), min(first + self._step, frames.stop)):
                yield chunk[0] if self._step == 1 else chunk[index - first].copy()

    def _chunk(self, number: int) -> Pixels:
        """Return a chunk's frames ``(t, y, x)``."""
        start = (number * self._step, *[0] * (self._data.ndim - 1))
        mask, stored = read_stored_chunk(self._data, start)
        chunk = np.empty(self._data.chunks, self._data.dtype)
        flat = chunk.reshape(-1).view(np.uint8)
        if mask == 0:
            self._decode(stored, flat)
        elif len(stored) == chunk.nbytes:  # stored as it is
            flat[:] = np.frombuffer(stored, np.uint8)
        else:
            raise OSError(f"the chunk at frame {start[0]:,} has {len(stored):,} bytes instead of {chunk.nbytes:,}")
        return chunk


def within(frames: range, first: int, stop: int) -> slice:
    """Return which of some frames, in rising order, are from ``first`` on and before ``stop``."""
    low, high = (max(0, -(-(edge - frames.start) // frames.step)) for edge in (first, stop))
    return slice(min(low, len(frames)), min(high, len(frames)))


def _slices(*parts: range) -> tuple[slice, ...]:
    return tuple(slice(part.start, part.stop, part.step) if part else slice(0, 0) for part in parts)
