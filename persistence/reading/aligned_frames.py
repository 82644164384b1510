"""A recording's frames in their planned places."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from .frame_array import FrameArray


class AlignedFrames:
    """A recording by planned place: ``aligned[3, 1]`` is the frame that belongs there, masked if it did not come.

    Nothing is read before it is asked for. Missing frames are masked, never filled with numbers that could be taken
    for pixels; a frame never stands in another one's place.

    Parameters
    ----------
    frames
        The recording.
    places
        ``(T,)``, the place of each frame; below 0, or beyond the last place: none.
    axes, shape
        Of the plan.

    Attributes
    ----------
    axes
        Names of the plan's axes; ``"y"`` and ``"x"`` follow.
    frames
        Of the plan's shape: which frame of the recording is in each place, -1 where it is missing.
    unplanned
        Frames of the recording that are in no place, among them those whose place had a frame already.
    """

    def __init__(
        self, frames: FrameArray, places: npt.NDArray[np.int64], axes: Sequence[str], shape: tuple[int, ...]
    ) -> None:
        self._recording = frames
        self.axes = tuple(axes)
        self.frames = np.full(shape, -1, np.int64)
        planned = np.flatnonzero((places >= 0) & (places < self.frames.size))
        taken, first = np.unique(places[planned], return_index=True)
        self.frames.reshape(-1)[taken] = planned[first]
        self.frames.flags.writeable = False
        self.unplanned = np.setdiff1d(np.arange(len(places)), planned[first])

    @property
    def shape(self) -> tuple[int, ...]:
        """The plan's shape, then that of a frame."""
        return (*self.frames.shape, *self._recording.shape[1:])

    @property
    def ndim(self) -> int:
        """Number of axes, those of a frame included."""
        return len(self.shape)

    @property
    def dtype(self) -> np.dtype[Any]:
        """The frames' dtype."""
        return self._recording.dtype

    @property
    def missing(self) -> npt.NDArray[np.bool_]:
        """Of the plan's shape: where no frame is."""
        return self.frames < 0

    def __len__(self) -> int:
        return len(self.frames)

    def __getitem__(self, key: Any) -> "np.ma.MaskedArray[Any, Any]":
        """Read what an index selects; along the plan's axes as NumPy does, along those of a frame by slices or numbers.

        Raises
        ------
        IndexError
            The index is out of range, or there are too many.
        """
        keys: list[Any] = []
        for part in key if isinstance(key, tuple) else (key,):
            keys += part.nonzero() if isinstance(part, np.ndarray) and part.dtype == bool else [part]
        if any(part is None for part in keys):
            raise IndexError("an aligned recording takes no None: add axes to what it returns")
        dots = [at for at, part in enumerate(keys) if part is Ellipsis]
        at = dots[0] if dots else len(keys)
        keys[at : at + 1] = [slice(None)] * (self.ndim - len(keys) + len(dots))
        if len(dots) > 1 or len(keys) > self.ndim:
            raise IndexError(f"{key!r} is no index of an array of {self.ndim} axes")
        inner = tuple(keys[self.frames.ndim :])
        chosen = np.asarray(self.frames[tuple(keys[: self.frames.ndim])])
        there = chosen >= 0
        side = np.broadcast_to(np.zeros((), self.dtype), self._recording.shape[1:])[inner].shape
        pixels = np.zeros((*chosen.shape, *side), self.dtype)
        if there.any():
            pixels[there] = self._recording[(chosen[there], *inner)]
        mask = np.broadcast_to(~there.reshape(*there.shape, *[1] * len(side)), pixels.shape)
        return np.ma.masked_array(pixels, mask)

    def __repr__(self) -> str:
        lacking = f"{int(self.missing.sum()):,} missing, {len(self.unplanned):,} unplanned"
        return f"<AlignedFrames {self.shape} {self.dtype}, {lacking}>"
