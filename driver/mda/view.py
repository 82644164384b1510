"""`RunView`: the frames of a run while it is recorded, as an array with named axes, for viewers."""

import itertools
import operator
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ...errors import RecordingError
from ...persistence import Recording
from .useq_events import event_index

_ABSENT = -1


class RunView:
    """A read-only array over the frames of a run, such as pymmcore-plus' own sinks give to viewers.

    The axes are those of the sequence, then ``cam`` where there are several cameras, ``y``, ``x``, and ``rgb`` in
    colour; tiles of a grid count as positions. A sequence without a regular shape (a generator, or a position with a
    sequence of its own) has one axis ``t`` in the order of arrival. A frame that is not in its file yet reads as zeros,
    but for the newest one.

    Parameters
    ----------
    sequence
        The ``useq.MDASequence`` of the run.
    shape, dtype
        Of a frame, ``(Y, X)`` or ``(Y, X, 3)``.
    files
        The path of each camera's file, by the camera's label.
    """

    def __init__(self, sequence: Any, shape: tuple[int, ...], dtype: np.dtype[Any], files: Mapping[str, Path]) -> None:
        self.dtype = dtype
        self._frame_shape = shape
        self._labels, self._paths = list(files), list(files.values())
        self._axes = regular_axes(sequence)
        self._tiles = _sizes(sequence).get("g", 1) if self._axes else 1
        self._channels = [str(channel.config) for channel in getattr(sequence, "channels", ())]
        # Which frame of its file is where; 8 bytes for each planned frame.
        self._numbers = np.full((*self._axes.values(), len(files)), _ABSENT, np.int64)
        self._arrived = 0
        self._newest: list[tuple[int, npt.NDArray[Any]] | None] = [None] * len(files)

    @property
    def dims(self) -> tuple[str, ...]:
        """The name of each axis."""
        cameras = ("cam",) if len(self._labels) > 1 else ()
        return (*(self._axes or ("t",)), *cameras, *("y", "x", "rgb")[: len(self._frame_shape)])

    @property
    def shape(self) -> tuple[int, ...]:
        """The planned length of each axis; of a run without a regular shape, the frames that came so far."""
        cameras = (len(self._labels),) if len(self._labels) > 1 else ()
        return (*(self._axes.values() if self._axes else (self._arrived,)), *cameras, *self._frame_shape)

    @property
    def ndim(self) -> int:
        """The number of axes."""
        return len(self.dims)

    @property
    def coords(self) -> dict[str, Sequence[Any]]:
        """The name of each index on each axis: numbers, but for channels and cameras."""
        names = {"c": self._channels, "cam": self._labels}
        lengths = zip(self.dims, self.shape, strict=True)
        return {axis: names.get(axis) or range(length) for axis, length in lengths}

    def newest(self, camera: int = 0) -> npt.NDArray[Any] | None:
        """Return the newest frame of a camera, ``(Y, X)``, which is not to be written to; None before the first."""
        newest = self._newest[camera]
        return None if newest is None else newest[1]

    def note(self, camera: int, number: int, event: Any, image: npt.NDArray[Any]) -> None:
        """Note that frame `number` of a camera's file belongs to `event`; `image` is kept until the next one."""
        self._newest[camera] = number, image
        self._arrived = max(self._arrived, number + 1)
        if self._axes:
            index = event_index(event)
            index["p"] = index.get("p", 0) * self._tiles + index.get("g", 0)
            cell = tuple(index.get(axis, 0) for axis in self._axes)
            if all(at < length for at, length in zip(cell, self._axes.values(), strict=True)):
                self._numbers[(*cell, camera)] = number

    def __getitem__(self, key: Any) -> npt.NDArray[Any]:
        """Return what the key selects, with whole numbers and slices for each axis, as NumPy does."""
        shape = self.shape
        parts, frame_axes = _expanded(key, len(shape)), len(self._frame_shape)
        outer, inner = parts[:-frame_axes], parts[-frame_axes:]
        chosen = [
            range(length)[at] if isinstance(at, slice) else [range(length)[operator.index(at)]]
            for at, length in zip(outer, shape, strict=False)
        ]
        stack = np.zeros((*map(len, chosen), *self._frame_shape), self.dtype)
        frames = itertools.product(*map(enumerate, chosen))
        wanted: dict[int, list[tuple[tuple[int, ...], int]]] = {}
        for pairs in frames:
            target, cell = tuple(pair[0] for pair in pairs), tuple(pair[1] for pair in pairs)
            camera = cell[-1] if len(self._labels) > 1 else 0
            number = self._number(cell, camera)
            if number != _ABSENT:
                wanted.setdefault(camera, []).append((target, number))
        for camera, entries in wanted.items():
            self._read(camera, entries, stack)
        kept = tuple(slice(None) if isinstance(at, slice) else 0 for at in outer)
        return stack[(*kept, *inner)]

    def __array__(self, dtype: npt.DTypeLike | None = None, copy: bool | None = None) -> npt.NDArray[Any]:
        return np.asarray(self[...], dtype)

    def _number(self, cell: tuple[int, ...], camera: int) -> int:
        if not self._axes:
            return cell[0]
        return int(self._numbers[(*cell[: len(self._axes)], camera)])

    def _read(self, camera: int, entries: list[tuple[tuple[int, ...], int]], stack: npt.NDArray[Any]) -> None:
        newest = self._newest[camera]
        if newest is not None:
            for target, number in entries:
                if number == newest[0]:
                    stack[target] = newest[1]
            entries = [entry for entry in entries if entry[1] != newest[0]]
        if not entries:
            return
        try:
            with Recording(self._paths[camera]) as recording:
                for target, number in entries:
                    if number < len(recording):
                        stack[target] = recording[number]
        except RecordingError:  # in the first moment, there is nothing to read
            return


def _sizes(sequence: Any) -> dict[str, int]:
    return {str(axis): int(size) for axis, size in sequence.sizes.items() if size}


def regular_axes(sequence: Any) -> dict[str, int]:
    """Return the axes of a sequence and their planned lengths; none where it has no regular shape."""
    if not getattr(sequence, "axis_order", ()) or any(at.sequence for at in sequence.stage_positions):
        return {}
    axes = _sizes(sequence)
    if tiles := axes.pop("g", 0):
        order = list(_sizes(sequence))
        axes = {axis: axes.get(axis, 1) for axis in dict.fromkeys("p" if axis == "g" else axis for axis in order)}
        axes["p"] *= tiles
    return axes


def _expanded(key: Any, ndim: int) -> list[Any]:
    keys = list(key) if isinstance(key, tuple) else [key]
    if any(item is Ellipsis for item in keys):
        at = next(at for at, item in enumerate(keys) if item is Ellipsis)
        keys[at : at + 1] = [slice(None)] * (ndim - len(keys) + 1)
    if len(keys) > ndim:
        raise IndexError(f"{len(keys)} indices for an array of {ndim} axes")
    return keys + [slice(None)] * (ndim - len(keys))
