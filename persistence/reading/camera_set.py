"""Recordings of several cameras that belong together: a file for each, and a small master file that shows them all."""

import os
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Literal, Self

import h5py
import numpy as np
import numpy.typing as npt

from ...errors import RecordingError, StorageError
from ..hdf5_file.nexus_schema import CAMERAS
from ..hdf5_file.output_path import check_output_path
from ..system.new_file import beside, publish, sync_file
from ..system.paths import readable
from .joined import JoinedRecording
from .places import expected_places
from .reader import Recording

_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_-]*")
_NOT_IN_NAMES = re.compile(r"[^A-Za-z0-9_-]+")

Pairing = Literal["trigger", "time"]


def camera_name(label: str) -> str:
    """Return a camera's label as it is in the names of files: other characters become hyphens."""
    name = _NOT_IN_NAMES.sub("-", label)
    return name if name[:1].isalpha() else f"camera-{name}"


def member_paths(master: Path, names: Sequence[str]) -> dict[str, Path]:
    """Return the files of the cameras beside a master file: ``run.h5`` has ``run_left.h5`` and ``run_right.h5``.

    Raises
    ------
    StorageError
        A name cannot be part of a file's name, or be a group in it.
    """
    for name in names:
        if not _NAME.fullmatch(name):
            raise StorageError(f"{name!r} is no name for a camera in a file: use letters, digits, _ and -")
    return {name: master.with_name(f"{master.stem}_{name}{master.suffix}") for name in names}


def write_master(master: Path, members: Mapping[str, Path], *, leader: str, overwrite: bool) -> None:
    """Write the master file: NeXus, with an external link to each camera's entry, relative to its own folder.

    It appears under its name complete, and is not changed afterwards, whatever happens to the recordings.

    Raises
    ------
    StorageError
        It cannot be written there.
    """
    check_output_path(master, overwrite=overwrite)
    try:
        with beside(master) as partial:
            with h5py.File(partial, "w") as file:
                file.attrs.update({"NX_class": "NXroot", "default": leader, CAMERAS: list(members)})
                for camera, path in members.items():
                    file[camera] = h5py.ExternalLink(path.name, "/entry")
            sync_file(partial)
            publish(partial, master)
    except OSError as exc:
        message = f"the master file cannot be written ({exc.strerror}): choose another folder"
        raise StorageError(exc.errno, message, str(master)) from exc


class CameraSet(Mapping[str, Recording]):
    """The recordings of several cameras, by name, and which of their frames belong together.

    Parameters
    ----------
    path
        The master file, with the cameras' files beside it.

    Attributes
    ----------
    leader
        The camera that was started last, whose start is everybody's.

    Raises
    ------
    RecordingError
        The file is no master file, or a camera's file is not beside it.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = readable(path)
        try:
            with self.path.open("rb") as raw, h5py.File(raw, "r") as file:
                names = [str(name) for name in file.attrs.get(CAMERAS, ())]
                links = {name: file.get(name, getlink=True) for name in names}
                self.leader = str(file.attrs.get("default", ""))
        except OSError as exc:
            raise RecordingError(
                f"{self.path} cannot be opened as a master file of several cameras ({exc}): name the file that "
                "record_cameras was given"
            ) from exc
        if not names or not all(isinstance(link, h5py.ExternalLink) for link in links.values()):
            raise RecordingError(f"{self.path} is no master file of several cameras: open it with mmspool.open")
        self._recordings: dict[str, Recording] = {}
        try:
            for name, link in links.items():
                self._recordings[name] = Recording(self.path.parent / link.filename)
        except RecordingError:
            self.close()
            raise

    def __getitem__(self, name: str) -> Recording:
        return self._recordings[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._recordings)

    def __len__(self) -> int:
        return len(self._recordings)

    def pairs(self, by: Pairing = "trigger", *, tolerance_s: float | None = None) -> npt.NDArray[np.int64]:
        """Return which frames belong together.

        Parameters
        ----------
        by
            ``"trigger"``: the n-th frame of each camera, lost ones counted, for cameras that share a trigger.
            ``"time"``: to each frame of the leader the nearest one of each other camera, by the time at which this
            computer got them.
        tolerance_s
            By time, how far apart frames may be, seconds; by default half of the leader's median interval.

        Returns
        -------
        numpy.ndarray
            ``(n, cameras)``, the frames' indices in their recordings, cameras in the order of iteration; -1 where a
            camera has none. By trigger it stands for a lost frame.
        """
        if by == "trigger":
            return self._by_place()
        if by == "time":
            return self._by_time(tolerance_s)
        raise ValueError(f"by is {by!r}; expected 'trigger' or 'time'")

    def close(self) -> None:
        """Close all recordings; idempotent."""
        for recording in self._recordings.values():
            recording.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_exc: object) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<CameraSet {self.path.name}: {', '.join(self)}>"

    def _by_place(self) -> npt.NDArray[np.int64]:
        places = [expected_places(recording) for recording in self.values()]
        pairs = np.full((max((int(each[-1]) + 1 for each in places if len(each)), default=0), len(self)), -1, np.int64)
        for camera, each in enumerate(places):
            pairs[each, camera] = np.arange(len(each))
        return pairs

    def _by_time(self, tolerance_s: float | None) -> npt.NDArray[np.int64]:
        times = {name: np.asarray(each.frame_table()["host_timestamp"], np.int64) for name, each in self.items()}
        leading = times[self.leader]
        if tolerance_s is None:
            tolerance_s = float(np.median(np.diff(leading))) / 2e9 if len(leading) > 1 else 0.0
        pairs = np.full((len(leading), len(self)), -1, np.int64)
        for camera, (name, each) in enumerate(times.items()):
            if name == self.leader:
                pairs[:, camera] = np.arange(len(leading))  # also where a coarse clock gives two frames the same time
                continue
            if not len(each):
                continue
            after = np.clip(np.searchsorted(each, leading), 0, len(each) - 1)
            before = np.maximum(after - 1, 0)
            nearest = np.where(leading - each[before] <= each[after] - leading, before, after)
            close = np.abs(each[nearest] - leading) <= tolerance_s * 1e9
            pairs[close, camera] = nearest[close]
        return pairs


def open(
    path: str | os.PathLike[str] | Sequence[str | os.PathLike[str]], *, interleave: bool = False
) -> Recording | CameraSet:
    """Open a recording for reading, several as one, or those of several cameras.

    Parameters
    ----------
    path
        A recording, a file that `join` made, the master file of several cameras, or several recordings:
        ``open(["a.h5", "b.h5"])`` has the frames of ``a.h5`` and then those of ``b.h5``, with one time axis. Shapes and
        dtypes must be equal.
    interleave
        With several recordings: their frames alternate, as they do where a script put them by turns into spools on
        several disks; frame ``i`` is frame ``i // n`` of file ``i % n``.

    Returns
    -------
    Recording or CameraSet
        A `CameraSet`, which has a recording for each camera and their pairing, of a master file. Where a type checker
        should know which it is, call `Recording` or `CameraSet` itself.

    Raises
    ------
    RecordingError
        A file cannot be read, the recordings do not fit together, or a camera's file is not beside its master file.
    """
    if not isinstance(path, str | os.PathLike):
        return JoinedRecording(path, interleave=interleave)
    try:
        return Recording(path)
    except RecordingError:
        if not _is_master(Path(path)):
            raise
    return CameraSet(path)


def _is_master(path: Path) -> bool:
    """Return whether a file is the master file of several cameras."""
    if not path.is_file():  # opening a pipe would block
        return False
    try:
        with path.open("rb") as raw, h5py.File(raw, "r") as file:
            return CAMERAS in file.attrs
    except (OSError, RuntimeError, KeyError):
        return False
