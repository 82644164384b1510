"""Several recordings as one: opened together, or by a small file in which every HDF5 program sees them as one."""

import contextlib
import itertools
import os
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import numpy.typing as npt

from ...errors import RecordingError, StorageError
from ..columns import EXPECTED
from ..hdf5_file.datasets import fixed
from ..hdf5_file.nexus_schema import (
    CAMERA_CLOCK,
    COLUMN_PATHS,
    COUNTERS,
    DATA,
    END_TIME,
    HDF5_OPTIONS,
    LEDGER,
    LOSS_COLUMNS,
    REASON_BYTES,
    STATE_BYTES,
    TIME_BYTES,
)
from ..hdf5_file.output_path import check_output_path
from ..hdf5_file.plan_schema import PLAN, create_plan
from ..hdf5_file.tree_copy import copy_tree
from ..hdf5_file.user_columns import user_column_paths
from ..hdf5_file.validate import read_small
from ..losses import STAGES
from ..plan import Plan
from ..system.new_file import beside, publish
from ..system.paths import absolute, recording_path
from .parts import Parts
from .reader import Recording

_RECORDING = "recording"
_WORST_FIRST = ("repaired", "interrupted", "incomplete", "complete")
# Virtual datasets came with HDF5 1.10.
_OPTIONS = {"libver": ("earliest", "v110"), "rdcc_nbytes": HDF5_OPTIONS["rdcc_nbytes"]}


class JoinedRecording(Recording):
    """Recordings that were opened as one.

    Parameters
    ----------
    paths
        At least one recording.
    interleave
        Whether their frames alternate, as those of a recording that was striped over several disks.

    Attributes
    ----------
    path
        The first one's.
    """

    def __init__(self, paths: Sequence[str | os.PathLike[str]], *, interleave: bool) -> None:
        self._paths, self._interleave = [absolute(each) for each in paths], interleave
        with tempfile.TemporaryDirectory(prefix="mmspool-", ignore_cleanup_errors=True) as folder:
            joined = Path(folder) / "joined.h5"  # is needed no longer once it is open
            with _opened(paths) as parts:
                _write(joined, parts, self._paths, interleave=interleave)
            super().__init__(joined)
        self.path = Path(paths[0])

    def opener(self) -> Callable[[], Recording]:
        """Return what opens the same frames again, in any thread or process to which it can be pickled."""
        return partial(JoinedRecording, self._paths, interleave=self._interleave)


def join(
    target: str | os.PathLike[str],
    paths: Sequence[str | os.PathLike[str]],
    *,
    interleave: bool = False,
    overwrite: bool = False,
) -> Path:
    """Make a small file in which several recordings read as one; no pixel is copied.

    The file is a recording itself, for this package as for every HDF5 program: its frames are an HDF5 virtual dataset,
    its columns, losses and counts are those of all. It names the recordings by their place relative to it where they
    lie in its folder or below, else by their whole path: they must stay there. (A plain HDF5 program shows zeros for a
    file that is missing; `mmspool.open` raises.)

    Plans become one: with a first axis, ``recording``, where all have the same shape, else a list of events. Frames
    that alternate have no plan together.

    Parameters
    ----------
    target
        The file to make.
    paths, interleave
        As for `mmspool.open`.
    overwrite
        Replace what is at ``target``.

    Returns
    -------
    Path
        The file.

    Raises
    ------
    RecordingError
        A file cannot be read, is still recorded, or the recordings do not fit together.
    StorageError
        ``target`` exists or cannot be written.
    """
    path = recording_path(target)
    check_output_path(path, overwrite=overwrite)
    folder, whole = path.parent, [absolute(each) for each in paths]
    names = [each.relative_to(folder) if each.is_relative_to(folder) else each for each in whole]
    try:
        with beside(path) as partial:
            with _opened(paths) as parts:
                _write(partial, parts, names, interleave=interleave)
            publish(partial, path)
    except OSError as exc:
        message = f"the file cannot be written ({exc.strerror or exc}): choose another folder"
        raise StorageError(exc.errno, message, str(path)) from exc
    return path


@contextlib.contextmanager
def _opened(paths: Sequence[str | os.PathLike[str]]) -> Iterator[list[Recording]]:
    """Open recordings that fit together."""
    with contextlib.ExitStack() as stack:
        parts = [stack.enter_context(Recording(path)) for path in paths]
        if not parts:
            raise RecordingError("no recording was named: give one or more")
        first = parts[0]
        for part in parts:
            if part.shape[1:] != first.shape[1:] or part.dtype != first.dtype:
                raise RecordingError(
                    f"{part.path} has frames of {part.shape[1:]} {part.dtype}, {first.path} of {first.shape[1:]} "
                    f"{first.dtype}: only equal ones can be read as one recording"
                )
            if repr(part.columns) != repr(first.columns):  # a fill of NaN equals no other
                raise RecordingError(
                    f"{part.path} has the columns {sorted(part.columns)} of its own, {first.path} "
                    f"{sorted(first.columns)}: only recordings with equal ones can be read as one"
                )
            if (part.plan is None) != (first.plan is None):
                raise RecordingError(
                    f"of {part.path} and {first.path} one has a plan: only recordings that all have one, or none, can "
                    "be read as one"
                )
            if part.state == "recording":
                raise RecordingError(f"{part.path} was not closed: wait until it is, or run 'mmspool repair' first")
            if part.is_joined:
                raise RecordingError(f"{part.path} shows other files' frames: name those")
            if not len(part):
                raise RecordingError(f"{part.path} has no frames: leave it out")
        yield parts


def _write(path: Path, parts: Sequence[Recording], names: Sequence[Path], *, interleave: bool) -> None:
    if interleave:
        _check_turns(parts)
    whole = Parts(parts, interleaved=interleave)
    columns = _columns(parts, whole, interleave=interleave)

    def frames(data: h5py.Dataset, group: h5py.Group, name: str) -> h5py.Dataset:
        layout = h5py.VirtualLayout((len(whole), *data.shape[1:]), data.dtype)
        for places, part, file in zip(whole.places(), parts, names, strict=True):
            layout[places] = h5py.VirtualSource(file.as_posix(), DATA, part.shape)
        return group.create_virtual_dataset(name, layout)

    def column(old: h5py.Dataset, group: h5py.Group, name: str) -> h5py.Dataset:
        return group.create_dataset(name, data=columns[old.name])

    with h5py.File(path, "w", **_OPTIONS) as file:
        copy_tree(parts[0].file, file, {DATA: frames, **dict.fromkeys(columns, column)})
        file.attrs["file_name"] = path.name
        file[DATA].attrs["interleaved"] = int(interleave)
        packed = [part.file[DATA].attrs["compression"] for part in parts if part.compression != "none"]
        file[DATA].attrs["compression"] = packed[0] if packed else np.bytes_("none")
        for where in (PLAN, CAMERA_CLOCK):  # of the first one; the clock is fitted to all frames when it is asked for
            if where in file:
                del file[where]
        create_plan(file, None if interleave else _plan_of_all(parts))
        for name in ("journal", "performance"):  # they belong to the first one alone
            file[f"{LEDGER}/{name}"][...] = 0
        for name in COUNTERS:
            file[f"{LEDGER}/{name}"][()] = sum(int(read_small(part.file, f"{LEDGER}/{name}")) for part in parts)
        state = min((part.state for part in parts), key=_WORST_FIRST.index)
        reasons = dict.fromkeys(part.end_reason for part in parts if part.state == state)
        file[f"{LEDGER}/state"][()] = fixed(state, STATE_BYTES)
        file[f"{LEDGER}/end_reason"][()] = fixed("; ".join(reasons), REASON_BYTES)
        file[END_TIME][()] = fixed(parts[-1].metadata["end_time"], TIME_BYTES)


def _columns(parts: Sequence[Recording], whole: Parts, *, interleave: bool) -> dict[str, npt.NDArray[Any]]:
    """Return the columns of all parts as those of one recording, and its ledger of losses, by their paths."""
    starts = [datetime.fromisoformat(part.metadata["start_time"]) for part in parts]
    tables = [part.frame_table() for part in parts]
    since = [(start - starts[0]).total_seconds() for start in starts]
    first = [later + table["start_time"][0] for later, table in zip(since, tables, strict=True)]
    expected = np.cumsum([0, *(len(part) + part.frames_lost for part in parts)])
    columns = {}
    for name, where in COLUMN_PATHS.items():
        values: Sequence[npt.NDArray[Any]] = [each[name] for each in tables]
        if name == "time":
            values = [each + (begin - first[0]) for each, begin in zip(values, first, strict=True)]
        elif name == "start_time":
            values = [each + later for each, later in zip(values, since, strict=True)]
        elif name == "sequence_number" and interleave:
            values = [each * len(parts) + number for number, each in enumerate(values)]
        elif name == "sequence_number":
            values = [each + before for each, before in zip(values, expected[:-1], strict=True)]
        columns[where] = whole.merge(values)
    places = [0, *itertools.accumulate(part.aligned().frames.size for part in parts)]
    for name, where in user_column_paths(parts[0].file).items():
        values = [part.file[where][:] for part in parts]
        if name == EXPECTED:
            values = [
                np.where((each < 0) | interleave, -1, each + before)
                for each, before in zip(values, places[:-1], strict=True)
            ]
        columns[where] = whole.merge(values)
    losses = [
        (loss.before_frame + before, loss.count, STAGES.index(loss.stage))
        for part, before in zip(parts, np.cumsum([0, *map(len, parts)])[:-1], strict=True)
        for loss in part.losses
    ]
    table = np.array(losses or [(-1, -1, -1)], "<i8")  # never empty, as in every recording
    for name, column in zip(LOSS_COLUMNS, table.T, strict=True):
        columns[f"{LEDGER}/{name}"] = np.ascontiguousarray(column)
    return columns


def _plan_of_all(parts: Sequence[Recording]) -> Plan | None:
    """Return the plan of recordings that come one after the other; None if they have none."""
    if parts[0].plan is None:
        return None
    events = [
        {_RECORDING: number} | dict(zip(part.plan.dtype.names or (), row, strict=True))
        for number, part in enumerate(parts)
        if part.plan is not None
        for row in part.plan.tolist()
    ]
    plan = Plan.of(events)
    grids = {(aligned.axes, aligned.frames.shape) for aligned in (part.aligned() for part in parts)}
    if len(grids) > 1:
        return plan
    ((axes, shape),) = grids
    return replace(plan, axes=(_RECORDING, *axes), shape=(len(parts), *shape))


def _check_turns(parts: Sequence[Recording]) -> None:
    """Refuse recordings whose frames cannot have come by turns."""
    total = sum(map(len, parts))
    for number, part in enumerate(parts):
        turns = len(range(number, total, len(parts)))
        if len(part) != turns or part.frames_lost:
            raise RecordingError(
                f"{part.path} has {len(part):,} frames and {part.frames_lost:,} lost ones, where {turns:,} and none "
                "were expected of frames that alternate: open them one after the other, without interleave"
            )
