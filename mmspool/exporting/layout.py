"""Which frame is which plane: positions, time points, channels and z, as a recording's plan or its columns say."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from ..persistence import Recording
from ..selection import Window

_CHANNEL, _Z, _POSITION, _STAGE = ("channel", "c"), ("z_um", "z"), ("position", "p"), ("x_um", "y_um")
_MOST_EMPTY = 2


@dataclass(frozen=True, kw_only=True)
class Layout:
    """Frames as planes of an image for each position.

    Attributes
    ----------
    frames
        ``(P, T, C, Z)``, the frame that is in each place, -1 where it is missing.
    positions, channels
        Their names.
    stage_um
        ``(P, 2)``: where the stage was, x and y, NaN where unknown.
    z_step_um
        Between two planes; None where it is unknown or not even.
    """

    frames: npt.NDArray[np.int64]
    positions: list[str]
    channels: list[str]
    stage_um: npt.NDArray[np.float64]
    z_step_um: float | None

    @property
    def missing(self) -> str:
        """Which planes have no frame, in words; they are written as zeros."""
        lacking = np.argwhere(self.frames < 0)
        return ", ".join(f"P{p} T{t} C{c} Z{z}" for p, t, c, z in lacking.tolist())

    def order(self, position: int) -> list[int]:
        """Return the frames of a position in the order T, C, Z, the last one the fastest."""
        return [int(frame) for frame in self.frames[position].ravel()]


def layout_of(recording: Recording, window: Window) -> Layout | None:
    """Return how the frames are arranged; None where they differ in time alone, or only a part is wanted.

    The plan says it, or without one the columns of the user's own: ``channel`` or ``c``, ``z_um`` or ``z``,
    ``position`` or ``p``; in a plan ``x_um`` and ``y_um`` too. What comes again with the same of these is the next time
    point. None as well where most planes would have no frame, as by the readings of an encoder.
    """
    everything = window.frames == range(len(recording)) and window.selection.projection is None
    if not everything or recording.ndim != 3:
        return None
    plan = recording.plan
    if plan is not None:
        rows: dict[str, npt.NDArray[Any]] = {name: plan[name] for name in plan.dtype.names or ()}
        frames = recording.aligned().frames.ravel()
    else:
        table = recording.frame_table()
        rows = {name: table[name] for name in recording.columns}
        frames = np.arange(len(recording))
    channel, z, position = (_first_of(rows, names) for names in (_CHANNEL, _Z, _POSITION))
    stage = np.stack([rows[name] for name in _STAGE], axis=1) if all(name in rows for name in _STAGE) else None
    if position is None and stage is not None and plan is not None:
        _, at = np.unique(stage, axis=0, return_inverse=True)
        position = at.reshape(-1)
    if channel is None and z is None and position is None:
        return None
    nothing = np.zeros(len(frames), np.int64)
    p_names, p = _codes(nothing if position is None else position)
    c_names, c = _codes(nothing if channel is None else channel)
    z_values, z_at = _codes(nothing if z is None else z, ordered=True)
    if len(p_names) * len(c_names) * len(z_values) > _MOST_EMPTY * len(frames):
        return None
    t = _repeats(np.ravel_multi_index((p, c, z_at), (len(p_names), len(c_names), len(z_values))))
    arranged = np.full((len(p_names), int(t.max()) + 1, len(c_names), len(z_values)), -1, np.int64)
    arranged[p, t, c, z_at] = frames[: len(p)]
    first = [int(np.flatnonzero(p == place)[0]) for place in range(len(p_names))]
    return Layout(
        frames=arranged,
        positions=[str(name) for name in p_names],
        channels=["camera"] if channel is None else [str(name) for name in c_names],
        stage_um=np.full((len(p_names), 2), np.nan) if stage is None else stage[first].astype(np.float64),
        z_step_um=_even_step(z_values) if "z_um" in rows else None,
    )


def _first_of(rows: dict[str, npt.NDArray[Any]], names: tuple[str, ...]) -> npt.NDArray[Any] | None:
    return next((rows[name] for name in names if name in rows), None)


def _codes(values: npt.NDArray[Any], *, ordered: bool = False) -> tuple[list[Any], npt.NDArray[np.int64]]:
    """Return the different values, by first appearance or in order, and for each place which one it has."""
    different, first, codes = np.unique(values, return_index=True, return_inverse=True)
    if ordered:
        return different.tolist(), codes.reshape(-1).astype(np.int64)
    by_appearance = np.argsort(first)
    rank = np.empty(len(different), np.int64)
    rank[by_appearance] = np.arange(len(different))
    return different[by_appearance].tolist(), rank[codes.reshape(-1)]


def _repeats(keys: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """Return for each key how often it has come before."""
    order = np.argsort(keys, kind="stable")
    ranked = keys[order]
    starts = np.r_[0, np.flatnonzero(np.diff(ranked)) + 1]
    lengths = np.diff(np.r_[starts, len(ranked)])
    counts = np.empty(len(keys), np.int64)
    counts[order] = np.arange(len(keys)) - np.repeat(starts, lengths)
    return counts


def _even_step(values: list[Any]) -> float | None:
    steps = np.diff(np.asarray(values, np.float64))
    return float(steps[0]) if len(steps) and np.isfinite(steps).all() and np.allclose(steps, steps[0]) else None
