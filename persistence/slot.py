"""A place of the ring that the caller fills: a frame that is not copied."""

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
        spool = self._spool
        with spool._calling(SpoolState.OPEN):
            if spool.shape is None:
                raise FrameError("a slot has the frames' shape and dtype: give Spool(shape=, dtype=), or put one first")
            self._frame = spool._client.next_place(steady_ns() + spool._wall_offset_ns)
            spool._state = SpoolState.SLOT
        return self._frame

    def __exit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None
    ) -> None:
        spool = self._spool
        self._frame.flags.writeable = False  # what is written to it from now on might be half in the file
        if kind is not None:
            with spool._lock:
                if spool._state is SpoolState.SLOT:
                    spool._state = SpoolState.OPEN
            return
        with spool._calling(SpoolState.SLOT):
            spool._state = SpoolState.OPEN  # the place is given back, unless all of this succeeds
            now_ns = steady_ns() + spool._wall_offset_ns
            values = spool._records.values(self._metadata, now_ns)
            spool._client.put(None, values, now_ns)
            if spool._places is not None:
                spool._places.fill(int(values[-1]), came=True)
