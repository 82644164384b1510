"""Work over the frames of a recording, on this machine's cores or on a dask cluster; the result is the same."""

import itertools
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from typing import Any, TypeVar

import numpy.typing as npt

from .errors import ClusterError
from .packages import require
from .persistence import Recording
from .persistence.reading.work_ahead import map_ahead
from .selection import Projector, Window

Task = TypeVar("Task")
Result = TypeVar("Result")

Opener = Callable[[], Recording]
"""Opens a recording where a task is worked on."""

CONNECT_TIMEOUT = "10s"
_AHEAD = 2  # tasks handed out for each worker: one to work on, one to go on with


def map_in_order(
    function: Callable[[Task], Result], tasks: Iterable[Task], *, scheduler: str | None = None
) -> Iterator[Result]:
    """Yield the result of each task, in their order, with a bounded number under way.

    Parameters
    ----------
    function
        Called with a task. For a cluster, both must be such as can be pickled.
    tasks
        What to work on.
    scheduler
        Address of a dask scheduler, such as ``"tcp://10.0.0.5:8786"``; None: threads of this process.

    Raises
    ------
    MissingPackageError
        ``scheduler`` is given, and distributed is not installed.
    ClusterError
        No scheduler answers there, or it has no workers (left).
    """
    if scheduler is None:
        yield from map_ahead(function, tasks)
    else:
        yield from _on_cluster(function, tasks, scheduler)


def project(recording: Recording, window: Window, *, scheduler: str | None = None) -> Iterator[npt.NDArray[Any]]:
    """Yield the images of a selection, ``(Y, X)``, in order.

    Frames that stay as they are, or are only cropped, are read by this process: sending them through a cluster would be
    slower.
    """
    projection = window.selection.projection
    if scheduler is None or (projection is None and window.selection.bin == 1):
        yield from window.read(recording)
        return
    opener = recording.opener()
    if projection is None:
        for stack in map_in_order(
            _load_part, [(opener, window, part) for part in window.parts(window.frames)], scheduler=scheduler
        ):
            yield from stack
        return
    size = window.group_frames
    groups = [window.frames[first : first + size] for first in range(0, len(window.frames), size)]
    parts = [window.parts(group) for group in groups]
    tasks = [(opener, window, part) for group in parts for part in group]
    results = map_in_order(_project_part, tasks, scheduler=scheduler)
    for group in parts:
        projector = Projector(projection)
        for partial in itertools.islice(results, len(group)):
            projector.merge(partial)
        yield projector.result().astype(window.dtype, copy=False)


def _load_part(task: tuple[Opener, Window, range]) -> npt.NDArray[Any]:
    opener, window, frames = task
    with opener() as recording:
        return window.load(recording, frames)


def _project_part(task: tuple[Opener, Window, range]) -> Projector:
    opener, window, frames = task
    assert window.selection.projection is not None  # noqa: S101 - `project` asks for nothing else
    projector = Projector(window.selection.projection)
    with opener() as recording:
        projector.add(window.load(recording, frames))
    return projector


def _on_cluster(function: Callable[[Task], Result], tasks: Iterable[Task], scheduler: str) -> Iterator[Result]:
    distributed = require("distributed", "work on a dask cluster", install="distributed")
    try:
        client = distributed.Client(scheduler, timeout=CONNECT_TIMEOUT, set_as_default=False)
    except (OSError, TimeoutError) as exc:
        raise ClusterError(f"no dask scheduler answers at {scheduler}: start one with 'dask scheduler'") from exc
    with client:
        waiting = iter(tasks)
        ahead = _AHEAD * max(1, sum(client.nthreads().values()))
        futures = deque(client.submit(function, task, pure=False) for task in itertools.islice(waiting, ahead))
        while futures:
            yield _result(client, futures.popleft(), scheduler)
            futures.extend(client.submit(function, task, pure=False) for task in itertools.islice(waiting, 1))


def _result(client: Any, future: Any, scheduler: str) -> Any:
    """Return a result, and give up when no worker is left that could compute it."""
    while True:
        try:
            return future.result(timeout=CONNECT_TIMEOUT)
        except TimeoutError as exc:
            if future.done():  # the function's own
                raise
            if not client.nthreads():
                raise ClusterError(
                    f"the dask scheduler at {scheduler} has no workers (left): start some with 'dask worker ADDRESS', "
                    "where the same version of mmspool is installed"
                ) from exc
