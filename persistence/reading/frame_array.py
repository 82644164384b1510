"""The face of an array ``(T, Y, X)``, in colour ``(T, Y, X, 3)``, whose frames lie in files."""

import abc
import math
from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

from .frame_indexing import select
from .lazy_arrays import to_dask

Pixels = npt.NDArray[Any]


class FrameArray(abc.ABC):
    """What NumPy, dask and viewers expect of an array, over a way to read frames."""

    @property
    @abc.abstractmethod
    def shape(self) -> tuple[int, ...]:
        """``(T, Y, X)``, or ``(T, Y, X, 3)``: red, green, blue."""

    @property
    @abc.abstractmethod
    def dtype(self) -> np.dtype[Any]:
        """The frames' dtype, as they were put."""

    @property
    @abc.abstractmethod
    def chunks(self) -> tuple[int, ...]:
        """Shape of the pieces in which a file holds the frames: whole frames, one or more."""

    @abc.abstractmethod
    def read_slab(self, frames: range, rows: range, columns: range) -> Pixels:
        """Read frames, rows and columns, given as ranges of positive step, with all channels of their pixels."""

    @abc.abstractmethod
    def read_each(self, frames: range) -> Iterator[Pixels]:
        """Yield frames in order, read ahead where that is faster; iterating is made of it."""

    @property
    def ndim(self) -> int:
        """Number of axes: time, rows, columns, and in colour channels."""
        return len(self.shape)

    @abc.abstractmethod
    def close(self) -> None:
        """Close the files; idempotent."""

    @property
    def size(self) -> int:
        """Number of values in all frames."""
        return math.prod(self.shape)

    @property
    def itemsize(self) -> int:
        """Bytes of a value."""
        return self.dtype.itemsize

    @property
    def nbytes(self) -> int:
        """Bytes of all pixels, uncompressed."""
        return int(self.size * self.itemsize)

    def to_dask(self, chunks: Any = None) -> Any:
        """Return a `dask.array.Array` of the same shape that reads frames where they are computed.

        Parameters
        ----------
        chunks
            As dask takes them; by default runs of whole frames of about 64 MB.

        Raises
        ------
        MissingPackageError
            dask is not installed.
        """
        return to_dask(self, chunks)

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, key: Any) -> Pixels:
        """Read what an index selects, as NumPy would from an array of this shape."""
        return select(key, self.shape, self.itemsize * math.prod(self.shape[3:]), self.read_slab)

    def __iter__(self) -> Iterator[Pixels]:
        return self.read_each(range(len(self)))

    def __contains__(self, value: object) -> bool:
        """Return whether a pixel, or a frame, has a value, as NumPy does; reads frame by frame."""
        return any(bool(np.any(frame == value)) for frame in self)

    def __array__(self, dtype: npt.DTypeLike | None = None, copy: bool | None = None) -> Pixels:
        """Read everything; ``copy=False`` is unavailable from a file."""
        if copy is False:
            raise ValueError("reading a recording always makes a copy: call numpy.asarray without copy=False")
        return np.asarray(self[:], dtype)
