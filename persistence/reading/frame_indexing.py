"""NumPy's indexing of frames, grey or colour, in a file: reads what an index needs, and lets NumPy do the rest."""

import operator
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

Pixels = npt.NDArray[Any]

ReadSlab = Callable[[range, range, range], Pixels]
"""Reads the frames, rows and columns of three ranges of positive step, with all colours of their pixels."""

_READ_AXES = 3
_BATCH_BYTES = 64 << 20  # read at once where the result may be much smaller than what it is made of


def select(key: Any, shape: tuple[int, ...], pixel_bytes: int, read: ReadSlab) -> npt.NDArray[Any]:
    """Return what ``key`` selects from frames of ``shape``; every index is allowed that NumPy allows.

    Raises
    ------
    IndexError
        The index is out of range, or is none for these axes.
    """
    parts = _expand(key, shape)
    axes = [place for place, part in enumerate(parts) if _axes_of(part)]
    local = list(parts)
    needed: list[Any] = []
    for axis, place in enumerate(axes[:_READ_AXES]):
        wanted, local[place] = _needed(parts[place], shape, axis)
        needed.append(wanted)
    frames, rows, columns = needed
    if not isinstance(frames, range):
        slabs = [read(run, rows, columns) for run in _runs(frames)]
        return _at(np.concatenate([read(range(0), rows, columns), *slabs]), local)
    batch = max(1, _BATCH_BYTES // max(1, len(rows) * len(columns) * pixel_bytes))
    advanced = any(isinstance(part, np.ndarray) for part in local)
    if not advanced or len(frames) <= batch:
        return _at(read(frames, rows, columns), local)
    return _in_batches(frames, batch, lambda part: read(part, rows, columns), local, axes[0])


def _expand(key: Any, shape: tuple[int, ...]) -> list[Any]:
    """Return the parts of an index, one for each axis beside None and bools; masks become arrays of places."""
    parts = [_plain(part) for part in (key if isinstance(key, tuple) else (key,))]
    dots = [place for place, part in enumerate(parts) if part is Ellipsis]
    missing = len(shape) - sum(_axes_of(part) for part in parts)
    if missing < 0 or len(dots) > 1:
        raise IndexError(f"{key!r} is no index of an array with {len(shape)} axes, as a recording's")
    place = dots[0] if dots else len(parts)
    parts[place : place + bool(dots)] = [slice(None)] * missing
    expanded: list[Any] = []
    axis = 0
    for part in parts:
        if isinstance(part, np.ndarray) and part.dtype == bool and part.ndim:
            if part.shape != shape[axis : axis + part.ndim]:
                raise IndexError(f"a mask of shape {part.shape} does not fit a recording of shape {shape}")
            expanded += part.nonzero()
        else:
            expanded.append(part)
        axis += _axes_of(part)
    return expanded


def _plain(part: Any) -> Any:
    """Return one part of an index as None, Ellipsis, slice, int, or array of whole numbers or bools."""
    if part is None or part is Ellipsis or isinstance(part, slice):
        return part
    if isinstance(part, list | tuple | range | bool | np.bool_) or hasattr(part, "__array__"):
        places = np.asarray(part)
        if places.dtype == bool:
            return places
        if places.size and places.dtype.kind not in "iu":
            raise IndexError(f"an array of {places.dtype} is no index of frames: it takes whole numbers or a mask")
        return places.astype(np.intp) if places.ndim else int(places)
    try:
        return operator.index(part)
    except TypeError as exc:
        raise IndexError(f"{part!r} is no index of frames: give numbers, slices, lists or masks") from exc


def _axes_of(part: Any) -> int:
    """Return for how many axes a part of an index is."""
    if part is None or part is Ellipsis:
        return 0
    return part.ndim if isinstance(part, np.ndarray) and part.dtype == bool else 1


def _needed(part: Any, shape: tuple[int, ...], axis: int) -> tuple[Any, Any]:
    """Return what of an axis must be read, and the index of what is read."""
    size = shape[axis]
    if isinstance(part, slice):
        wanted = range(*part.indices(size))
        if wanted.step < 0:
            return wanted[::-1], slice(None, None, -1)
        return wanted, slice(None)
    places = np.asarray(part)
    outside = places[(places < -size) | (places >= size)]
    if outside.size:
        raise IndexError(f"index {outside.flat[0]} is out of range: the recording has shape {shape}")
    if not isinstance(part, np.ndarray):
        return range(part % size, part % size + 1), 0
    places = places % size if size else places
    if not places.size:
        return range(0), places
    if axis == 0:
        frames, inner = np.unique(places, return_inverse=True)
        return frames, inner.reshape(places.shape)
    low, high = int(places.min()), int(places.max())
    return range(low, high + 1), places - low


def _runs(frames: npt.NDArray[np.intp]) -> Iterator[range]:
    """Return sorted frame numbers as runs of consecutive ones."""
    for run in np.split(frames, np.flatnonzero(np.diff(frames) != 1) + 1):
        yield range(int(run[0]), int(run[-1]) + 1)


def _in_batches(
    frames: range, batch: int, read: Callable[[range], npt.NDArray[Any]], local: list[Any], place: int
) -> npt.NDArray[Any]:
    """Return a selection that is made a batch of frames at a time, along the result's time axis."""
    if not isinstance(local[place], slice):  # a single frame, or several that were listed
        return _at(read(frames), local)
    backwards, local[place] = local[place].step == -1, slice(None)
    parts = [_at(read(frames[first : first + batch]), local) for first in range(0, len(frames), batch)]
    sides = read(frames[:1]).shape[1:]
    lengths = [_at(np.broadcast_to(np.False_, (count, *sides)), local).shape for count in (2, 3)]
    axis = next(axis for axis, (two, three) in enumerate(zip(*lengths, strict=True)) if two != three)
    whole = np.concatenate(parts, axis)
    return np.flip(whole, axis) if backwards else whole


def _at(pixels: Pixels, local: list[Any]) -> Pixels:
    return pixels[tuple(local)]  # type: ignore[no-any-return]
