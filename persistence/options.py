"""What `Spool` can be asked for."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields
from typing import Any, Literal, Self, TypedDict, Unpack, get_args

import numpy as np
import numpy.typing as npt

from .block_layout import GROW_FRAMES, LEAST_COMPRESSED_BYTES
from .columns import Column, declared
from .detector_info import DetectorInfo, to_json
from .frame_checks import as_frame, is_colour
from .hdf5_file import codec
from .hdf5_file.codec import Compression
from .plan import Plan, PlanLike

OnFull = Literal["wait", "drop", "raise"]


class StorageKeywords(TypedDict, total=False):
    """The options that recordings from a camera have too; `SpoolOptions` describes them."""

    buffer_bytes: int | None
    on_full: OnFull
    timeout_s: float
    grow_frames: int
    overwrite: bool
    metadata: Mapping[str, Any] | None
    direct: bool
    checksum: bool
    sync_interval_s: float
    compression: Compression | None
    raw_if_slow: bool
    keep_awake: bool


class SpoolKeywords(StorageKeywords, total=False):
    """The options of `Spool` as keywords, for functions that pass them on; `SpoolOptions` describes them."""

    shape: tuple[int, ...] | None
    dtype: npt.DTypeLike | None
    columns: Mapping[str, Column | npt.DTypeLike] | None
    plan: PlanLike | Plan | None
    expected_frames: int | None
    info: DetectorInfo | None


@dataclass(frozen=True, kw_only=True)
class SpoolOptions:
    """How a recording is buffered and stored.

    Parameters
    ----------
    shape, dtype
        ``(Y, X)`` and dtype of the frames; ``(Y, X, 3)`` of uint8 or uint16 is red, green and blue. With them the file
        is created at once, and the first frame is not delayed.
    columns
        Columns of your own, whose values `Spool.put` takes with each frame: ``{"z_um": float, "channel": "U16"}``, or
        `Column` for units and fill. Without them and ``shape`` the first frame shows which there are.
    plan
        What should come: a number of frames; axes with their lengths or labels, the slowest first, such as
        ``{"trigger": None, "frame": 4}`` (the first one may go on without end) or ``{"channel": ["DAPI", "FITC"],
        "z": 30}``; or a list of a mapping for each frame. `Recording.aligned` then has each frame in its place.
    buffer_bytes
        Size of the ring; by default a quarter of the available memory, at most 1 GiB.
    on_full
        What `Spool.put` does while the ring is full: ``"wait"`` (up to ``timeout_s``), ``"drop"`` the frame and count
        it, or ``"raise"``.
    timeout_s
        How long `Spool.put` waits for room, and `Spool.close` for a writer that makes no progress, seconds.
    grow_frames
        The dataset grows by this many frames at a time, or by a multiple where they are tiny or more of them wait; by
        fewer where the disk has no room for so many.
    expected_frames
        How many frames will come, if that is known: the file allocates no room for more of them, up to whole chunks of
        at most 8 MiB. If more come, it grows on.
    overwrite
        Replace an existing file. It is removed at the first frame (at once, if ``shape`` is given), before the new one
        is known to fit on the disk.
    info
        What is known of the detector.
    metadata
        Anything JSON can hold; stored with the recording.
    direct
        Write past the page cache where the file system allows.
    checksum
        Store a checksum of each frame, for ``mmspool verify``; computed in the writer process.
    sync_interval_s
        Interval between syncs to the device, seconds; see `Spool.durable`.
    compression
        Lossless: ``"fast"`` (Blosc, LZ4), ``"small"`` (Blosc, Zstandard) or ``"universal"`` (gzip, which every reader
        of HDF5 has; the others need its Blosc filter, in Python ``import hdf5plugin``). Needs the extra
        ``mmspool[compression]``. Frames below 48 KiB are stored uncompressed.
    raw_if_slow
        Store frames uncompressed while the ring is nearly full, or a camera's own buffer fills, rather than let them
        overflow; ``stats.frames_raw`` counts them. False waits for the codec.
    keep_awake
        Keep the computer from going to sleep meanwhile, where the system allows; the log says whether it does.

    Raises
    ------
    ValueError, TypeError, FrameError
        An option makes no sense; the message names it.
    MissingPackageError
        The package that ``compression`` needs is not installed.
    """

    buffer_bytes: int | None = None
    on_full: OnFull = "wait"
    timeout_s: float = 60.0
    grow_frames: int = GROW_FRAMES
    overwrite: bool = False
    metadata: Mapping[str, Any] | None = field(default=None, hash=False)
    direct: bool = True
    checksum: bool = True
    sync_interval_s: float = 1.0
    compression: Compression | None = None
    raw_if_slow: bool = True
    keep_awake: bool = True
    shape: tuple[int, ...] | None = None
    dtype: npt.DTypeLike | None = None
    columns: Mapping[str, Column | npt.DTypeLike] | None = field(default=None, hash=False)
    plan: PlanLike | Plan | None = field(default=None, hash=False)
    expected_frames: int | None = None
    info: DetectorInfo | None = None

    def compresses(self, frame_bytes: int) -> bool:
        """Return whether frames of that size are compressed; smaller ones would share chunks."""
        return self.compression is not None and frame_bytes >= LEAST_COMPRESSED_BYTES

    @classmethod
    def from_keywords(cls, **options: Unpack[SpoolKeywords]) -> Self:
        """Return the options that a caller gave as keywords; a misspelt one is a TypeError that names the nearest."""
        refuse_unknown_options("Spool", options, (option.name for option in fields(cls)))
        return cls(**options)

    def __post_init__(self) -> None:
        if (self.shape is None) != (self.dtype is None):
            raise ValueError(f"shape and dtype go together, not shape={self.shape} with dtype={self.dtype}")
        if self.shape is not None:
            shape, dtype = tuple(map(int, self.shape)), as_frame(np.empty((1, 1), self.dtype)).dtype
            if min(shape, default=0) < 1 or not (len(shape) == 2 or is_colour(shape, dtype)):
                raise ValueError(
                    "shape is (Y, X), two positive numbers, or (Y, X, 3) with a dtype of uint8 or uint16, "
                    f"not {self.shape} with {dtype}"
                )
            object.__setattr__(self, "shape", shape)
            object.__setattr__(self, "dtype", dtype)
        if self.columns is not None:
            object.__setattr__(self, "columns", declared(self.columns))
        if self.plan is not None:
            plan = Plan.of(self.plan)
            object.__setattr__(self, "plan", plan)
            if self.expected_frames is None and not (plan.repeats or plan.grows):
                object.__setattr__(self, "expected_frames", len(plan))
        if self.on_full not in get_args(OnFull):
            raise ValueError(f"on_full is one of {get_args(OnFull)}, not {self.on_full!r}")
        if not self.timeout_s > 0:
            raise ValueError(f"timeout_s is a positive number of seconds, not {self.timeout_s}")
        if not self.sync_interval_s >= 0:
            raise ValueError(f"sync_interval_s is a number of seconds, 0 or more, not {self.sync_interval_s}")
        if self.grow_frames < 1:
            raise ValueError(f"grow_frames is at least 1, not {self.grow_frames}")
        if self.expected_frames is not None and self.expected_frames < 1:
            raise ValueError(f"expected_frames is at least 1, or None, not {self.expected_frames}")
        if self.compression is not None:
            codec.require(self.compression)
        if self.info is not None:
            self.info.to_json()  # what cannot be stored is refused now, not when the camera runs
        # Plain values: a later change by the caller has no effect, and the writer process needs no class of the script.
        object.__setattr__(self, "metadata", json.loads(to_json(dict(self.metadata or {}))))


def refuse_unknown_options(what: str, given: Iterable[str], known: Iterable[str]) -> None:
    """Raise a TypeError for the first option that ``what`` does not have; it names the nearest one."""
    names = sorted(known)
    for name in given:
        if name not in names:
            import difflib  # not in the writer process

            nearest = difflib.get_close_matches(name, names, 1)
            hint = f"did you mean {nearest[0]}?" if nearest else f"it has {', '.join(names)}"
            raise TypeError(f"{what} has no option {name!r}: {hint}")
