"""How a recording went, sampled at a low rate: how full the ring was, and how long writes took.

A table of fixed size, in the file from the start, a row of which is written in place now and then. When it is full,
each two rows become one, and the next ones come half as often. A row may be torn by a power cut; readers leave out what
does not fit the row before.
"""

import h5py
import numpy as np
import numpy.typing as npt

from .direct_file import DirectFile

FIELDS = ("time_ns", "frames_written", "ring_frames", "slowest_write_ns", "writer_restarts")
"""Columns of the table; ``ring_frames`` and ``slowest_write_ns`` are the largest since the row before."""

ROWS = 256
_INTERVAL_NS = 500_000_000
_MAXIMA = (FIELDS.index("ring_frames"), FIELDS.index("slowest_write_ns"))


def empty_log() -> npt.NDArray[np.int64]:
    """Return the table of a recording that has not begun."""
    return np.zeros((ROWS, len(FIELDS)), "<i8")


class PerformanceLog:
    """The table of a recording while it is written.

    Parameters
    ----------
    blocks
        What the rows are written to.
    dataset
        The table in the file; what another writer process has written there is continued.
    """

    def __init__(self, blocks: DirectFile, dataset: h5py.Dataset) -> None:
        self._blocks = blocks
        self._offset: int = dataset.id.get_offset()
        self._rows = dataset[:]
        self._count = len(_valid(self._rows))
        self._interval_ns = _INTERVAL_NS
        while self._count and self._rows[self._count - 1, 0] > self._count * self._interval_ns:
            self._interval_ns *= 2
        self._ring_frames = self._slowest_ns = 0

    def note(
        self, time_ns: int, frames: int, ring_frames: int, slowest_ns: int, restarts: int, *, last: bool = False
    ) -> None:
        """Add a sample; write a row if one is due, or if it is the last.

        Parameters
        ----------
        time_ns
            Since the recording's start.
        frames
            In the file.
        ring_frames
            Waiting in the ring.
        slowest_ns
            The slowest write since the last call.
        restarts
            Writer processes that were replaced.
        last
            Write a row in any case.
        """
        self._ring_frames, self._slowest_ns = max(self._ring_frames, ring_frames), max(self._slowest_ns, slowest_ns)
        before = int(self._rows[self._count - 1, 0]) if self._count else 0
        if time_ns <= before or not (last or time_ns - before >= self._interval_ns):
            return
        if self._count == ROWS:
            self._halve()
        self._rows[self._count] = (time_ns, frames, self._ring_frames, self._slowest_ns, restarts)
        row = self._rows[self._count]
        self._blocks.write(row.tobytes(), self._offset + self._count * row.nbytes)
        self._count += 1
        self._ring_frames = self._slowest_ns = 0

    def _halve(self) -> None:
        pairs = self._rows.reshape(ROWS // 2, 2, len(FIELDS))
        merged = pairs[:, 1].copy()
        for column in _MAXIMA:
            merged[:, column] = pairs[:, :, column].max(axis=1)
        self._rows = empty_log()
        self._rows[: len(merged)] = merged
        self._count, self._interval_ns = len(merged), 2 * self._interval_ns
        self._blocks.write(self._rows.tobytes(), self._offset)


def _valid(rows: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """Return the rows up to the first one that no writer has made."""
    times, frames, restarts = rows[:, 0], rows[:, 1], rows[:, FIELDS.index("writer_restarts")]
    wrong = (np.diff(times, prepend=0) <= 0) | (np.diff(frames, prepend=0) < 0) | (np.diff(restarts, prepend=0) < 0)
    return rows[: int(np.argmax(wrong))] if wrong.any() else rows


def read_log(dataset: h5py.Dataset) -> npt.NDArray[np.void]:
    """Return the rows of a file's table, as a structured array of `FIELDS`.

    Raises
    ------
    ValueError
        It is no such table.
    """
    if dataset.dtype != "<i8" or dataset.shape != (ROWS, len(FIELDS)):
        raise ValueError(f"{dataset.name} holds {dataset.shape} {dataset.dtype}, not ({ROWS}, {len(FIELDS)}) int64")
    rows = np.ascontiguousarray(_valid(dataset[:]))
    return rows.view([(name, "<i8") for name in FIELDS])[:, 0]
