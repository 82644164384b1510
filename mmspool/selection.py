"""Which frames and pixels of a recording are wanted, and what is computed of them on the way."""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, Literal, get_args

import numpy as np
import numpy.typing as npt

from .adapters import Roi
from .errors import SelectionError
from .persistence import Recording

Projection = Literal["max", "min", "mean", "sum", "std"]
"""How frames are combined into one."""

BinMethod = Literal["mean", "sum"]
"""How pixels are combined into one."""

ProgressCallback = Callable[[int, int], None]
"""Called with what is done and what there is in all."""

READ_BYTES = 64 << 20
"""What is read at a time."""


@dataclass(frozen=True, kw_only=True)
class Selection:
    """A part of a recording, and its reduction; the default is everything as it is.

    Parameters
    ----------
    frames
        Which frames; a step must be positive.
    crop
        The region of each frame, in pixels of the file.
    bin
        Side of the squares of pixels that are combined into one; what is left over at the right and bottom is cut off.
    bin_method
        ``"mean"`` keeps the dtype and rounds to the nearest number; ``"sum"`` gives 32-bit integers of the same sign,
        or float64 for floats and for 32-bit and wider integers.
    projection
        How frames are combined along time: ``"max"`` and ``"min"`` keep the dtype, ``"mean"`` and ``"std"`` give
        float32, ``"sum"`` float64.
    group
        How many frames make one projected frame, after ``frames``; 0: all. The last group may be shorter.

    Raises
    ------
    SelectionError
        A parameter is out of its range.
    """

    frames: slice = field(default_factory=lambda: slice(None))
    crop: Roi | None = None
    bin: int = 1
    bin_method: BinMethod = "mean"
    projection: Projection | None = None
    group: int = 0

    def __post_init__(self) -> None:
        if self.bin < 1:
            raise SelectionError(f"bin is {self.bin}, but must be 1 or more")
        if self.group < 0 or (self.group and self.projection is None):
            raise SelectionError(f"group is {self.group}: it must be 0 or more, and needs a projection")
        if self.bin_method not in get_args(BinMethod):
            raise SelectionError(f"bin_method is {self.bin_method!r}, but must be one of {get_args(BinMethod)}")
        if self.projection is not None and self.projection not in get_args(Projection):
            raise SelectionError(f"projection is {self.projection!r}, but must be one of {get_args(Projection)}")
        if self.frames.step is not None and self.frames.step < 1:
            raise SelectionError(f"frames has the step {self.frames.step}, but must go forward")

    def resolve(self, recording: Recording) -> "Window":
        """Apply the selection to a recording.

        Raises
        ------
        SelectionError
            Nothing of the recording is selected, or the region lies outside of its frames.
        """
        total, height, width, *channels = recording.shape
        frames = range(*self.frames.indices(total))
        if not frames:
            raise SelectionError(f"no frame is selected: the recording has {total:,} frames, which are counted from 0")
        crop = self.crop or Roi(0, 0, width, height)
        if crop.x < 0 or crop.y < 0 or crop.x + crop.width > width or crop.y + crop.height > height:
            raise SelectionError(
                f"the region {crop.x},{crop.y},{crop.width},{crop.height} is not within the frames of "
                f"{width}x{height}: choose a smaller one"
            )
        if min(crop.width, crop.height) < self.bin:
            raise SelectionError(
                f"bin is {self.bin}, but the region is only {crop.width}x{crop.height}: choose a smaller bin"
            )
        return Window(self, frames, crop, recording.dtype, tuple(channels))


@dataclass(frozen=True)
class Window:
    """A selection of one recording: what `Selection.resolve` returns.

    Attributes
    ----------
    selection, frames, crop
        What was asked for, the frames of the file that are used, and the region of each.
    source_dtype
        The recording's.
    channels
        ``(3,)`` for colour, empty for grey.
    """

    selection: Selection
    frames: range
    crop: Roi
    source_dtype: np.dtype[Any]
    channels: tuple[int, ...] = ()

    @property
    def group_frames(self) -> int:
        """How many frames of the file make one output frame."""
        if self.selection.projection is None:
            return 1
        return self.selection.group or len(self.frames)

    @property
    def shape(self) -> tuple[int, ...]:
        """``(T, Y, X)`` of what comes out, ``(T, Y, X, 3)`` in colour."""
        side = self.selection.bin
        return (
            math.ceil(len(self.frames) / self.group_frames),
            self.crop.height // side,
            self.crop.width // side,
            *self.channels,
        )

    @property
    def dtype(self) -> np.dtype[Any]:
        """The dtype of what comes out."""
        if self.selection.projection in ("mean", "std"):
            return np.dtype(np.float32)
        if self.selection.projection == "sum":
            return np.dtype(np.float64)
        return self._binned_dtype

    @property
    def first_frames(self) -> list[int]:
        """For each output frame, the first frame of the file that it is made of."""
        return list(self.frames[:: self.group_frames])

    @property
    def frames_per_read(self) -> int:
        """How many frames are read at a time."""
        frame_bytes = self.crop.height * self.crop.width * math.prod(self.channels) * self.source_dtype.itemsize
        return max(1, READ_BYTES // frame_bytes)

    def read(self, recording: Recording) -> Iterator[npt.NDArray[Any]]:
        """Yield the output frames one by one, in order; memory stays bounded."""
        if self.selection.projection is None:
            for part in self.parts(self.frames):
                yield from self.load(recording, part)
            return
        for first in range(0, len(self.frames), self.group_frames):
            projector = Projector(self.selection.projection)
            for part in self.parts(self.frames[first : first + self.group_frames]):
                projector.add(self.load(recording, part))
            yield projector.result().astype(self.dtype, copy=False)

    def parts(self, frames: range) -> list[range]:
        """Return ranges of frames that are small enough to be read at once."""
        step = self.frames_per_read
        return [frames[first : first + step] for first in range(0, len(frames), step)]

    def load(self, recording: Recording, frames: range) -> npt.NDArray[Any]:
        """Return a stack of some frames of the file, cropped and binned."""
        crop = self.crop
        stack = recording[
            frames.start : frames.stop : frames.step, crop.y : crop.y + crop.height, crop.x : crop.x + crop.width
        ]
        return stack if self.selection.bin == 1 else self._binned(stack)

    @property
    def _binned_dtype(self) -> np.dtype[Any]:
        dtype = self.source_dtype
        if self.selection.bin == 1 or self.selection.bin_method == "mean":
            return dtype
        if dtype.kind == "f" or dtype.itemsize > 2:
            return np.dtype(np.float64)
        return np.dtype(np.int32 if dtype.kind == "i" else np.uint32)

    def _binned(self, stack: npt.NDArray[Any]) -> npt.NDArray[Any]:
        side = self.selection.bin
        count, height, width = len(stack), stack.shape[1] // side, stack.shape[2] // side
        squares = stack[:, : height * side, : width * side].reshape(count, height, side, width, side, *self.channels)
        if self.selection.bin_method == "sum":
            return squares.sum(axis=(2, 4), dtype=self._binned_dtype)  # type: ignore[no-any-return]
        mean = squares.mean(axis=(2, 4), dtype=np.float64)
        if self.source_dtype.kind in "iub":
            np.rint(mean, out=mean)
        return mean.astype(self.source_dtype)  # type: ignore[no-any-return]


class Projector:
    """Combines stacks of frames into one frame, a stack at a time; partial ones can be merged.

    Sums are kept in float64, so that means and standard deviations of 16-bit frames are exact to float32.
    """

    def __init__(self, projection: Projection) -> None:
        self._projection = projection
        self._frames = 0
        self._total: npt.NDArray[Any] | None = None
        self._squares: npt.NDArray[np.float64] | None = None

    def add(self, stack: npt.NDArray[Any]) -> None:
        """Take more frames."""
        if self._projection in ("max", "min"):
            self._merge(len(stack), getattr(stack, self._projection)(axis=0), None)
            return
        total = stack.sum(axis=0, dtype=np.float64)
        if self._projection != "std":
            self._merge(len(stack), total, None)
            return
        centred = stack - total / len(stack)
        self._merge(len(stack), total, np.einsum("t...,t...->...", centred, centred))

    def merge(self, other: "Projector") -> None:
        """Take what another one has taken."""
        if other._total is not None:
            self._merge(other._frames, other._total, other._squares)

    def result(self) -> npt.NDArray[Any]:
        """Return the projection of everything taken.

        Raises
        ------
        ValueError
            Nothing was taken.
        """
        if self._total is None:
            raise ValueError("no frame to project")
        if self._projection == "mean":
            return self._total / self._frames
        if self._squares is not None:
            return np.sqrt(self._squares / self._frames)
        return self._total

    def _merge(self, frames: int, total: npt.NDArray[Any], squares: npt.NDArray[np.float64] | None) -> None:
        if self._total is None:
            self._frames, self._total, self._squares = frames, total, squares
            return
        if self._squares is not None and squares is not None:
            # Chan, Golub and LeVeque 1979: squares about the mean of both.
            shift = total / frames - self._total / self._frames
            self._squares += squares + shift**2 * (self._frames * frames / (self._frames + frames))
        if self._projection == "max":
            self._total = np.maximum(self._total, total)
        elif self._projection == "min":
            self._total = np.minimum(self._total, total)
        else:
            self._total = self._total + total
        self._frames += frames
