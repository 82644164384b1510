"""The frames of several recordings as those of one, one recording after the other or a frame of each in turn."""

import bisect
import itertools
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from .frame_array import FrameArray, Pixels
from .frame_slabs import within


class Parts:
    """Reads frames of several recordings by their place in the whole.

    Parameters
    ----------
    parts
        Recordings with frames of one shape and dtype; in turn, the first ones may have one frame more.
    interleaved
        Frame ``i`` of the whole is a frame of part ``i % n``; otherwise the parts come one after the other.
    """

    def __init__(self, parts: Sequence[FrameArray], *, interleaved: bool) -> None:
        self._parts = parts
        self._interleaved = interleaved
        self._firsts = list(itertools.accumulate((len(part) for part in parts), initial=0))

    def __len__(self) -> int:
        return self._firsts[-1]

    @property
    def chunks(self) -> tuple[int, ...]:
        """Shape of the pieces that are read at once."""
        step, *sides = self._parts[0].chunks
        return (1 if self._interleaved else step, *sides)

    def places(self) -> list[slice]:
        """Return where in the whole the frames of each part lie."""
        if self._interleaved:
            return [slice(number, None, len(self._parts)) for number in range(len(self._parts))]
        return [slice(*ends) for ends in itertools.pairwise(self._firsts)]

    def frame(self, index: int) -> Pixels:
        """Read one frame."""
        if self._interleaved:
            return self._parts[index % len(self._parts)][index // len(self._parts)]
        number = bisect.bisect_right(self._firsts, index) - 1
        return self._parts[number][index - self._firsts[number]]

    def slab(self, frames: range, rows: range, columns: range) -> Pixels:
        """Read frames, rows and columns ``(t, y, x)``, given as ranges of positive step."""
        first = self._parts[0]
        pixels = np.empty((len(frames), len(rows), len(columns), *first.shape[3:]), first.dtype)
        for number, places, local in self._shares(frames):
            pixels[places] = self._parts[number].read_slab(local, rows, columns)
        return pixels

    def each(self, frames: range) -> Iterator[Pixels]:
        """Yield frames in order, each part read ahead."""
        if self._interleaved:
            shares = {
                places.start: self._parts[number].read_each(local) for number, places, local in self._shares(frames)
            }
            for place in range(len(frames)):
                yield next(shares[place % len(self._parts)])
            return
        for number, _, local in self._shares(frames):
            yield from self._parts[number].read_each(local)

    def close(self) -> None:
        """Close the parts; idempotent."""
        for part in self._parts:
            part.close()

    def merge(self, columns: Sequence[npt.NDArray[Any]]) -> npt.NDArray[Any]:
        """Return the whole's column, of the parts' columns."""
        whole = np.empty(len(self), columns[0].dtype)
        for places, column in zip(self.places(), columns, strict=True):
            whole[places] = column
        return whole

    def _shares(self, frames: range) -> Iterator[tuple[int, slice, range]]:
        """Yield for each part which of the frames it has: where they go in the result, and their own numbers."""
        count = len(self._parts)
        for number, first in enumerate(self._firsts[:-1]):
            if self._interleaved:
                mine = [place for place in range(min(count, len(frames))) if frames[place] % count == number]
                for place in mine:  # as many as the step and the number of parts have in common, every count-th
                    own = frames[place::count]
                    local = range(own[0] // count, own[-1] // count + 1, max(1, own.step // count))
                    yield number, slice(place, None, count), local
            else:
                places = within(frames, first, self._firsts[number + 1])
                if own := frames[places]:
                    yield number, places, range(own[0] - first, own[-1] - first + 1, own.step)
