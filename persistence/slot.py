"""A slot of the ring that the caller fills: a frame that is not copied."""

from collections.abc import Mapping
from types import TracebackType
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from ..errors import FrameError
from .spool_state import SpoolState
from .system.clock import steady_ns

if TYPE_CHECKING:
    from .spool import Spool


class Slot:
    """The next frame of a spool as a context manager: the block fills it, its end puts it; see `Spool.slot`.

    Parameters
    ----------
    spool
        Where the frame goes.
    metadata
        As for `Spool.put`; looked at when the block ends.
    """

    def __init__(self, spool: "Spool", metadata: Mapping[str, Any] | None) -> None:
        self._spool = spool
        self._metadata = metadata
        self._frame: npt.NDArray[Any] = np.empty((0, 0))

    def __enter__(self) -> npt.NDArray[Any]:
        self._frame = self._spool._life.call(SpoolState.OPEN, self._take, None, None)
        return self._frame

    def __exit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None
    ) -> None:
        life = self._spool._life
        self._frame.flags.writeable = False  # what is written to it from now on might be half in the file
        if kind is None:
            life.call(SpoolState.SLOT, self._put, None, self._metadata)
            return
        with life.lock:
            if life.state is SpoolState.SLOT:
                life.state = SpoolState.OPEN

    def _take(self, _image: None, _metadata: None) -> npt.NDArray[Any]:
        spool = self._spool
        if spool.shape is None:
            raise FrameError("a slot has the frames' shape and dtype: give Spool(shape=, dtype=), or put one first")
        frame = spool._client.next_slot(steady_ns() + spool._wall_offset_ns)
        spool._life.state = SpoolState.SLOT
        return frame

    def _put(self, _image: None, metadata: Mapping[str, Any] | None) -> None:
        spool = self._spool
        spool._life.state = SpoolState.OPEN  # the slot is given back, unless all of this succeeds
        now_ns = steady_ns() + spool._wall_offset_ns
        values = spool._records.values(metadata, now_ns)
        spool._client.put(None, values, now_ns)
        if spool._places is not None:
            spool._places.fill(int(values[-1]), came=True)
