"""`MDARecording`: the files of one pymmcore-plus run, one a camera, in which every planned frame is accounted for."""

import math
import os
from collections.abc import Callable, Mapping
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any, Unpack

import numpy as np
import numpy.typing as npt

from ...errors import FrameError, RingFullError, SpoolClosedError, SpoolError
from ...persistence import (
    Column,
    LossStage,
    Spool,
    SpoolKeywords,
    SpoolOptions,
    SpoolResult,
    buffer_bytes_for,
    camera_name,
    discard_file,
    member_paths,
    write_master,
)
from ..event_columns import FittingValues
from ..frame_counters import SequenceGaps
from .planned_frames import PlannedFrames
from .useq_events import RunFormat, camera_index, run_format, stored_metadata
from .view import RunView, regular_axes


class MDARecording:
    """The files of one run.

    A file holds frames of one camera. With several cameras, `path` is the small master file that `mmspool.open` reads,
    and each camera's file lies beside it, with ``_`` and the camera's label before the suffix.

    Parameters
    ----------
    path
        The HDF5 file to create.
    options
        Keyword arguments of `Spool`.

    Attributes
    ----------
    view
        The frames so far as an array, for viewers; None before the run starts.
    """

    def __init__(self, path: str | os.PathLike[str], **options: Unpack[SpoolKeywords]) -> None:
        # What makes no sense is refused now, not when the run begins.
        columns = SpoolOptions.from_keywords(**options).columns or {}
        self._own_columns = {name: each if isinstance(each, Column) else Column(each) for name, each in columns.items()}
        self.path = Path(path).absolute()
        self._options = options
        self._tracks: tuple[_Track, ...] = ()
        self._results: dict[str, SpoolResult] = {}
        self._closed = False
        self.view: RunView | None = None

    @property
    def spools(self) -> dict[str, Spool]:
        """The spool of each camera by its label; empty before the run starts."""
        return {track.label: track.spool for track in self._tracks}

    @property
    def result(self) -> SpoolResult | None:
        """How the file of a single camera ended; None before that, or where there was no run."""
        if len(self._results) > 1:
            raise ValueError(f"the run had {len(self._results)} cameras: `results` has the result of each")
        return next(iter(self._results.values()), None)

    @property
    def results(self) -> dict[str, SpoolResult]:
        """How the file of each camera ended, by its label; empty before that."""
        return dict(self._results)

    def begin(self, sequence: Any, summary: Mapping[str, Any] | None) -> None:
        """Create the files, before anything is exposed.

        Raises
        ------
        FrameError
            The frames cannot be stored.
        SpoolClosedError
            This recording had a run before.
        StorageError
            A file or a ring cannot be created; no file is left.
        """
        if self._tracks or self._closed:
            raise SpoolClosedError(f"the recording to {self.path} holds one run already: start another for the next")
        frames = run_format(summary)
        planned = PlannedFrames(sequence, self._own_columns)
        paths = self._paths(frames.cameras)
        tracks: list[_Track] = []
        with ExitStack() as undo:
            if len(paths) > 1:
                overwrite = bool(self._options.get("overwrite"))
                members = {camera_name(label): path for label, path in paths.items()}
                write_master(self.path, members, leader=next(iter(members)), overwrite=overwrite)
                undo.push(_discarding(self.path))
            for label, path in paths.items():
                tracks.append(_Track(label, self._open(path, label, frames, sequence, planned), planned))
                undo.push(_discarding(tracks[-1].spool.path))
                undo.callback(tracks[-1].close)
            self.view = RunView(sequence, frames.shape, frames.dtype, paths)
            undo.pop_all()
        self._tracks = tuple(tracks)

    def put(self, image: npt.NDArray[Any], event: Any, meta: Mapping[str, Any] | None) -> None:
        """Store a copy of a frame in the file of its camera.

        Parameters
        ----------
        image
            ``(Y, X)``, or ``(Y, X, 3)`` in colour; the caller may reuse its buffer.
        event
            The ``useq.MDAEvent`` of the frame; its index ``cam`` names the camera.
        meta
            The frame metadata of pymmcore-plus.

        Raises
        ------
        FrameError
            The frame does not fit the run; it was not stored.
        SpoolError
            The spool of its camera failed, or is closed.
        """
        camera = camera_index(event)
        if self._closed or not self._tracks:
            raise SpoolClosedError(
                f"the recording to {self.path} takes frames only from the start to the end of its run: begin it before "
                "the run, and a new one for the next"
            )
        if camera >= len(self._tracks):
            raise FrameError(
                f"a frame arrived from camera {camera}, but the run began with {len(self._tracks)} "
                f"({', '.join(self.spools)}): the cameras must stay the same during a run"
            )
        track = self._tracks[camera]
        if track.spool.dtype == np.float32 and image.dtype == np.uint32:
            image = image.view(np.float32)
        if track.put(image, stored_metadata(meta), event) and self.view is not None:
            self.view.note(camera, track.stored - 1, event, image)

    def lose(self, event: Any, stage: LossStage) -> None:
        """Enter the frame of an event into the ledger of its camera."""
        if (camera := camera_index(event)) < len(self._tracks):
            self._tracks[camera].lose(1, stage)

    def lose_each(self, count: int, stage: LossStage) -> None:
        """Enter ``count`` frames into the ledger of each camera."""
        for track in self._tracks:
            track.lose(count, stage)

    def accounted(self, camera: int) -> int:
        """Return how many frames of the present event that camera has in its file or its ledger."""
        return self._tracks[camera].accounted

    def end_event(self, planned: int, stage: LossStage) -> None:
        """Enter into the ledgers what an event asked of each camera and did not deliver."""
        for track in self._tracks:
            track.end_event(planned, stage)

    def close(self, *, interrupted: bool, reason: str) -> dict[str, SpoolResult]:
        """Close all files; idempotent.

        Raises
        ------
        WriterError
            A writer process failed; the other files are closed.
        """
        failure: SpoolError | None = None
        for track in () if self._closed else self._tracks:
            try:
                self._results[track.label] = track.spool.close(interrupted=interrupted, end_reason=reason)
            except SpoolError as exc:
                failure = failure or exc
        self._closed = True
        if failure is not None:
            raise failure
        return self.results

    def _paths(self, labels: tuple[str, ...]) -> dict[str, Path]:
        """Return the file of each camera."""
        if len(labels) == 1:
            return {labels[0]: self.path}
        return dict(
            zip(labels, member_paths(self.path, [camera_name(label) for label in labels]).values(), strict=True)
        )

    def _open(self, path: Path, label: str, frames: RunFormat, sequence: Any, planned: PlannedFrames) -> Spool:
        facts = {"useq_sequence": sequence.model_dump(mode="json", exclude_unset=True, fallback=repr), "camera": label}
        given = self._options
        options: SpoolKeywords = {
            "info": frames.info,
            **given,
            "plan": planned.plan if given.get("plan") is None else given.get("plan"),
            "columns": planned.columns,
            "shape": frames.shape,
            "dtype": frames.dtype,
            "metadata": facts | dict(given.get("metadata") or {}),
        }
        axes = regular_axes(sequence)
        if axes:
            options["expected_frames"] = expected = math.prod(axes.values())
            if given.get("buffer_bytes") is None:  # a short run needs no large ring, which takes time to map
                frame_bytes = math.prod(frames.shape) * frames.dtype.itemsize
                options["buffer_bytes"] = buffer_bytes_for(frame_bytes, expected)
        return Spool(path, **options)


class RunRecorder:
    """What records one run, and shows what became of it."""

    def __init__(self, recording: MDARecording) -> None:
        self._recording = recording

    @property
    def spools(self) -> dict[str, Spool]:
        """The spool of each camera by its label, for its ``stats``; empty before the run starts."""
        return self._recording.spools

    @property
    def results(self) -> dict[str, SpoolResult]:
        """How the file of each camera ended, by its label; empty before that."""
        return self._recording.results

    @property
    def result(self) -> SpoolResult | None:
        """How the file of a single camera ended; None before that, or where there was no run."""
        return self._recording.result


def _discarding(path: Path) -> Callable[..., None]:
    """Return what removes a file on the way out of a block that failed."""
    return lambda _kind, exc, _traceback: discard_file(path, exc)


class _Track:
    """One camera's file, and the account of the present event."""

    def __init__(self, label: str, spool: Spool, planned: PlannedFrames) -> None:
        self.label = label
        self.spool = spool
        self.accounted = 0
        """Frames of the present event that are in the spool or in its ledger."""
        self.stored = 0
        """Frames of the run that are in the spool."""
        self._gaps = SequenceGaps()
        self._lost_of_burst = 0
        self._planned = planned
        self._fitting = FittingValues(spool.columns)

    def put(self, image: npt.NDArray[Any], numbers: Mapping[str, int], event: Any) -> bool:
        if numbers["image_number"] == 0:  # another sequence
            self._lost_of_burst = 0
        for gap in self._gaps.missing_before(numbers):
            self.lose(gap.count, gap.stage)
            self._lost_of_burst += gap.count
        try:
            stored = self.spool.put(image, {**numbers, **self._values(event)})
        except RingFullError:
            self.accounted += 1  # the spool has entered it into its ledger
            raise
        self.accounted += 1
        self.stored += stored
        return stored

    def _values(self, event: Any) -> dict[str, Any]:
        values = self._planned.values(event, self._lost_of_burst)
        place = values.pop("expected", None)
        fitting: dict[str, Any] = self._fitting.of(values)
        if place is not None and self.spool.plan is self._planned.plan:  # else the user has another plan
            fitting["expected"] = place
        return fitting

    def close(self) -> None:
        """Close the file, in which nothing was stored."""
        with suppress(SpoolError):
            self.spool.close(interrupted=True, end_reason="the run did not begin")

    def end_event(self, planned: int, stage: LossStage) -> None:
        if (missing := planned - self.accounted) > 0:
            self.lose(missing, stage)
        self.accounted = self._lost_of_burst = 0

    def lose(self, count: int, stage: LossStage) -> None:
        self.spool.record_loss(count, stage)
        self.accounted += count
