"""A look at a recording while it runs, which never slows saving: the newest frame, older ones dropped."""

import logging
import math
import threading
from collections.abc import Callable
from typing import NamedTuple

from ..adapters import Image, owns_memory

_log = logging.getLogger("mmspool")

_COPY_S = 0.05

LOOK_S = 0.01
"""Between two looks for a newer frame."""


class LiveFrame(NamedTuple):
    """The newest frame of a recording."""

    number: int
    """Its number among the frames that were received, from 0."""
    pixels: Image
    """Shape ``(Y, X)``, read-only; it stays as it is when newer frames come."""


class Newest:
    """Keeps the newest frame: as it is where its memory is its own, else a copy, made 20 times a second at most."""

    def __init__(self) -> None:
        self.frame: LiveFrame | None = None
        self._copied = -math.inf

    def show(self, number: int, pixels: Image, now: float) -> None:
        """Take a frame that was stored at the monotonic time ``now``, seconds."""
        if not owns_memory(pixels):
            if now - self._copied < _COPY_S:
                return
            self._copied = now
            pixels = pixels.copy()
        self.frame = LiveFrame(number, pixels)


class FrameCalls:
    """Calls a function of the script with the newest frame, from a thread of its own, until the recording ends.

    A function that is slow misses frames; one that raises is logged and not called again.

    Parameters
    ----------
    call
        The function.
    newest
        Returns the newest frame; None before the first one.
    ended
        Whether the recording has ended.
    """

    def __init__(
        self, call: Callable[[LiveFrame], object], newest: Callable[[], LiveFrame | None], ended: Callable[[], bool]
    ) -> None:
        self._call = call
        self._newest = newest
        self._ended = ended
        self._wake = threading.Event()
        threading.Thread(target=self._run, name="mmspool-on-frame", daemon=True).start()

    def _run(self) -> None:
        seen = -1
        while True:
            ended = self._ended()  # before the look: the last frame is shown too
            frame = self._newest()
            if frame is not None and frame.number != seen:
                seen = frame.number
                try:
                    self._call(frame)
                except Exception:  # noqa: BLE001 - whatever it was, frames are worth more
                    _log.warning("on_frame failed and is not called again; the recording goes on", exc_info=True)
                    return
            elif ended:
                return
            else:
                self._wake.wait(LOOK_S)
