"""A core in a running Micro-Manager as a `CoreAdapter`: settings over the ZMQ bridge, frames past it where possible."""

import logging
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from typing import Any, Literal

from ..errors import CoreError
from .core_adapter import FramePath, Image, Roi
from .java_bridge_guard import CALL_LIMIT_S, BridgeGuard
from .java_pump import FramePump
from .pycromanager_adapter import PycromanagerAdapter, core_failure

_log = logging.getLogger("mmspool")

_LIMIT_S_PER_BUFFER_MB = 0.05  # the core fills its buffer with zeros: 4 ms per MB were seen


class JavaBridgeAdapter(PycromanagerAdapter):
    """A core in a running Micro-Manager (pycromanager's Java backend) as a `CoreAdapter`.

    Every call has a limit, after which the bridge is given up: a minute, and for an exposure and for the core's buffer
    what they take.

    Parameters
    ----------
    core
        The core's object on the bridge, or a simulated core.
    release
        Called once by `close`, for a core that this process started.
    frame_pump
        Whether to take frames through shared memory; False takes them over the bridge.
    """

    backend: Literal["python", "java"] = "java"

    def __init__(self, core: Any, release: Callable[[], None] | None = None, *, frame_pump: bool = True) -> None:
        super().__init__(core, release)
        self._wants_pump = frame_pump
        self._pump: FramePump | None = None
        self._frame_path = FramePath("java-bridge", "no sequence has been started yet")
        guard = getattr(getattr(core, "_bridge", None), "send_and_receive", None)
        self._guard = guard if isinstance(guard, BridgeGuard) else None
        if hasattr(core, "set_include_system_state_cache"):
            # About a hundred tags a frame that nobody reads here, 0.4 ms.
            self._call("set_include_system_state_cache", False)

    @property
    def frame_path(self) -> FramePath:
        return self._frame_path

    def abandon_stuck_call(self) -> None:
        if self._guard is not None:
            self._guard.abandon_stuck_call()

    def snap(self) -> Image:
        with self._limit(2 * self.get_exposure_ms() / 1e3):
            return super().snap()

    def set_buffer_mb(self, megabytes: int) -> None:
        with self._limit(megabytes * _LIMIT_S_PER_BUFFER_MB):
            super().set_buffer_mb(megabytes)

    def start_sequence(self, frames: int) -> None:
        self._check_frames(frames)
        with self._lock:
            self._drop_pump()
            pump = self._make_pump()
            if pump is None:
                super().start_sequence(frames)
                return
            try:
                with self._limit():
                    pump.launch(frames)
            except BaseException as exc:
                pump.close()
                if not isinstance(exc, Exception):
                    raise
                raise core_failure("start_sequence_acquisition", (frames, 0.0, True), exc) from exc
            self._pump = pump

    def is_sequence_running(self) -> bool:
        with self._pumping() as pump:
            return super().is_sequence_running() if pump is None else pump.is_running() and not pump.is_overflowed()

    def remaining(self) -> int:
        with self._pumping() as pump:
            return super().remaining() if pump is None else pump.remaining()

    def is_overflowed(self) -> bool:
        with self._pumping() as pump:
            return super().is_overflowed() if pump is None else pump.is_overflowed()

    def close(self) -> None:
        with self._lock:
            self._drop_pump()
            super().close()

    def _pop_tagged(self) -> tuple[Image, Mapping[str, Any]] | None:
        with self._pumping() as pump:
            if pump is not None:
                return pump.pop()
            with self._limit():
                return super()._pop_tagged()

    def _call(self, name: str, *args: str | float | bool, unpack: Callable[[Any], Any] | None = None) -> Any:
        with self._limit():
            return super()._call(name, *args, unpack=unpack)

    def _returned(self, value: Any) -> Any:
        # Micro-Manager's server raises a Java Exception, but returns an Error, such as one of memory, as an object.
        if "java.lang.Throwable" in (getattr(value, "_interfaces", None) or ()):
            raise CoreError(f"{value._java_class}: {value.get_message()}")
        return value

    def _make_pump(self) -> FramePump | None:
        """Return a pump for the present frames, or None, and keep why."""
        guard = self._guard
        if guard is None or not self._wants_pump:
            why = "the core is not an object of pyjavaz" if self._wants_pump else "frame_pump is False"
            self._frame_path = FramePath("java-bridge", why)
            return None
        core_bytes = self.image_format().core_bytes
        try:
            with self._limit():
                pump = FramePump(self._core, core_bytes, lambda: guard.failure)
        except CoreError as exc:
            _log.warning(
                "frames come over Micro-Manager's ZMQ bridge, 40 to 90 full frames/s, not through shared memory: %s",
                exc,
            )
            self._frame_path = FramePath("java-bridge", str(exc))
            return None
        _log.info("frames come from Micro-Manager through shared memory")
        self._frame_path = FramePath("java-pump")
        return pump

    @contextmanager
    def _pumping(self) -> Iterator[FramePump | None]:
        """Give the pump while it has or may get frames; one that is dead is dropped, and the bridge answers again."""
        with self._lock:
            if self._pump is not None and self._pump.done:
                self._drop_pump()
            try:
                yield self._pump
            except CoreError:
                if self._pump is not None and self._pump.dead:
                    self._drop_pump()
                raise

    def _drop_pump(self) -> None:
        pump, self._pump = self._pump, None
        if pump is not None:
            pump.close()

    @contextmanager
    def _limit(self, extra_s: float = 0.0) -> Iterator[None]:
        with nullcontext() if self._guard is None else self._guard.limit(CALL_LIMIT_S + extra_s):
            yield

    @staticmethod
    def _unpack_strings(vector: Any) -> tuple[str, ...]:
        return tuple(str(vector.get(index)) for index in range(int(vector.size())))

    @staticmethod
    def _unpack_roi(roi: Any) -> Roi:
        return Roi(int(roi.x), int(roi.y), int(roi.width), int(roi.height))
