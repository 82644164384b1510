"""Whether a camera can be recorded on a machine: a judgement on measured figures, without measuring anything."""

import math
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import numpy as np

from ...persistence.capacity import file_bytes, initial_allocation_bytes, ring_bytes, ring_frames

STALLS_S = (1.0, 2.0, 5.0, 10.0)
"""Stalls of a disk for which rings are sized, seconds."""

CORE_STALL_S = 1.0
"""The shortest stall for which a buffer of the core is proposed, seconds: this process may be held up itself."""

DISK_MARGIN = 0.9
"""Share of the disk's sustained rate that is counted on. The benchmark's recordings, with all that belongs to a file,
reached 0.97 of a bare direct write at the median; in single rounds 0.78, which the ring has to carry."""

PRODUCER_MARGIN = 0.75
"""Share of the rate of taking and copying frames that is counted on. Both are measured while the disk is idle; while it
is written to, a copy may take 1.3 times as long, which is what the benchmark allows."""

LOOP_S = 15e-6
"""What the acquisition loop adds to each pop and copy, seconds: the most that its benchmark allows."""

PUT_S = 3e-6
"""What `Spool.put` adds to each copy, seconds: in the benchmark a frame of 64x64 pixels took 4.5 us, of which the
copy was 1.3 us."""

_BYTES_PER_MB = 2**20


class Bottleneck(StrEnum):
    """What limits a recording: it may be too slow or too small for the frames."""

    CORE = "taking frames from the core"
    COPY = "copying frames into shared memory"
    DISK = "the disk's rate"
    SPACE = "the disk's free space"


@dataclass(frozen=True, kw_only=True, slots=True)
class FrameLoad:
    """The frames that are to be recorded.

    Attributes
    ----------
    shape
        ``(Y, X)``, pixels.
    dtype
        Of the pixels.
    fps
        Frames a second; None asks how many there may be.
    """

    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    fps: float | None

    @property
    def frame_bytes(self) -> int:
        """Size of a frame's pixels."""
        return math.prod(self.shape) * self.dtype.itemsize


@dataclass(frozen=True, kw_only=True, slots=True)
class Measurements:
    """What was measured.

    Attributes
    ----------
    disk_bytes_per_s
        What the disk sustains beyond its caches.
    disk_free_bytes
        Free space.
    copy_s
        Copying one such frame into shared memory, seconds.
    pop_s
        Taking one from the core, seconds; None without a camera.
    core_frames
        How many the core's own buffer holds; 0 without a camera.
    ring_default_bytes, ring_largest_bytes
        The ring that a recording makes by default, and the largest that there is memory for.
    slowest_write_s
        The longest that a write to the disk took, seconds.
    """

    disk_bytes_per_s: float
    disk_free_bytes: int
    copy_s: float
    pop_s: float | None
    core_frames: int
    ring_default_bytes: int
    ring_largest_bytes: int
    slowest_write_s: float = 0.0


@dataclass(frozen=True, kw_only=True, slots=True)
class StallBuffer:
    """The ring, or the core's buffer, that alone carries a stall.

    Attributes
    ----------
    stall_s
        How long nothing is taken from it, seconds.
    buffer_bytes
        Its size, for all frames of that time.
    fits
        Whether there is memory for it.
    """

    stall_s: float
    buffer_bytes: int
    fits: bool


@dataclass(frozen=True, kw_only=True, slots=True)
class Verdict:
    """Whether it can be recorded.

    Attributes
    ----------
    feasible
        Whether until the disk is full; then ``duration_s`` is how long that takes.
    fps
        Frames a second that it was judged for: those asked for, or the most that there may be.
    max_fps
        The most that can be recorded, with the margins of this module.
    bottleneck
        What sets that limit; `Bottleneck.SPACE` where the file could not even be begun.
    duration_s
        Seconds until the disk is full, or, where it cannot keep up, until the ring and the core's buffer are.
    ring_s, core_s
        How long a stall of the disk the default ring carries, and how much the core's buffer adds, seconds. The core's
        buffer also carries a script that is held up itself.
    rings
        Rings for stalls of `STALLS_S`.
    core_buffer
        The core's buffer that is proposed, whole MB of 2**20 bytes; None without a camera.
    """

    feasible: bool
    fps: float
    max_fps: float
    bottleneck: Bottleneck
    duration_s: float
    ring_s: float
    core_s: float
    rings: tuple[StallBuffer, ...]
    core_buffer: StallBuffer | None = None


def judge(load: FrameLoad, figures: Measurements) -> Verdict:
    """Say whether frames can be recorded, from what was measured.

    Raises
    ------
    StorageError
        The default ring cannot hold two such frames: a recording would say the same.
    """
    shape, dtype = load.shape, load.dtype
    ring = ring_frames(shape, dtype, figures.ring_default_bytes)
    stored = file_bytes(shape, dtype)
    disk_fps = DISK_MARGIN * figures.disk_bytes_per_s / stored
    producer_fps = PRODUCER_MARGIN / _producer_s(figures)
    max_fps = min(disk_fps, producer_fps)
    fps = max_fps if load.fps is None else load.fps
    has_space = figures.disk_free_bytes >= initial_allocation_bytes(shape, dtype)
    duration_s = min(
        figures.disk_free_bytes / (fps * stored),
        _time_to_fill(ring + figures.core_frames, fps, disk_fps),
        _time_to_fill(figures.core_frames, fps, producer_fps),
    )
    sizes = [(stall_s, ring_bytes(shape, dtype, math.ceil(stall_s * fps))) for stall_s in STALLS_S]
    return Verdict(
        feasible=has_space and fps <= max_fps,
        fps=fps,
        max_fps=max_fps,
        bottleneck=_bottleneck(figures, has_space=has_space, disk_first=disk_fps <= producer_fps),
        duration_s=duration_s if has_space else 0.0,
        ring_s=ring / fps,
        core_s=figures.core_frames / fps,
        rings=tuple(
            StallBuffer(stall_s=stall_s, buffer_bytes=size, fits=size <= figures.ring_largest_bytes)
            for stall_s, size in sizes
        ),
        core_buffer=_core_buffer(load, figures, fps) if figures.core_frames else None,
    )


def _core_buffer(load: FrameLoad, figures: Measurements, fps: float) -> StallBuffer:
    """Propose a buffer for the core: for a stall twice as long as the longest write seen, at least `CORE_STALL_S`."""
    stall_s = max(CORE_STALL_S, 2 * figures.slowest_write_s)
    size = math.ceil((math.ceil(stall_s * fps) + 1) * load.frame_bytes / _BYTES_PER_MB) * _BYTES_PER_MB
    return StallBuffer(
        stall_s=stall_s,
        buffer_bytes=size,
        fits=size <= figures.ring_largest_bytes - figures.ring_default_bytes,
    )


def _producer_s(figures: Measurements) -> float:
    """Return what one frame takes of the one thread that takes and copies frames, seconds."""
    if figures.pop_s is None:
        return figures.copy_s + PUT_S
    return figures.pop_s + figures.copy_s + LOOP_S


def _time_to_fill(frames: int, comes_fps: float, goes_fps: float) -> float:
    """Return how long a buffer of ``frames`` takes to fill, seconds; infinite if frames go as fast as they come."""
    return frames / (comes_fps - goes_fps) if comes_fps > goes_fps else math.inf


def _bottleneck(figures: Measurements, *, has_space: bool, disk_first: bool) -> Bottleneck:
    if not has_space:
        return Bottleneck.SPACE
    if disk_first:
        return Bottleneck.DISK
    return Bottleneck.CORE if (figures.pop_s or 0.0) > figures.copy_s else Bottleneck.COPY
