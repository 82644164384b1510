"""A simulated Micro-Manager core with one sCMOS camera, behind the core's own API as pycromanager shows it."""

from typing import Any, Literal, Self, TypedDict

from .calls import BOOL, core_call
from .clock import Clock
from .device_calls import DeviceCalls
from .faults import Faults
from .sequence_calls import SequenceCalls


class MockKeywords(TypedDict, total=False):
    """The options of `MockCore`, which describes them."""

    backend: Literal["python", "java"]
    seed: int
    width: int
    height: int
    clock: Clock | None
    faults: Faults | None
    camera_counter: bool
    line_time_us: float
    roi_step: int
    pixel_size_um: float
    label: str
    family: str | None


class MockCore(DeviceCalls, SequenceCalls):
    """A simulated core that looks like ``pycromanager.Core()`` of either backend; it needs no Micro-Manager.

    It has no thread: what the camera did since is worked out from the clock on each call, and pixels are made when a
    frame is read. It does what the real core with the DemoCamera does, refusals and losses included (the contract tests
    hold it to that), but is stricter in two things: a region beyond the sensor is refused, and a footprint set during a
    sequence always ends it, where the real sequence survives more often than not.

    Parameters
    ----------
    backend
        The backend to look like.
    seed
        Makes hot pixels and noise; equal seeds and settings give equal frames.
    width, height
        Size of the sensor, pixels.
    clock
        The time; by default the real one. `SteppedClock` for tests without real time.
    faults
        What goes wrong.
    camera_counter
        Whether frames carry the camera's own counter, as the tag ``PVCAM-FrameNr``.
    line_time_us
        Time to read one row in the fast scan mode, us.
    roi_step
        Regions are rounded down to multiples of this many pixels.
    pixel_size_um
        Sample pixel size, um.
    label
        The camera's device label.
    family
        Whose camera to look like: its properties, tags and refusals. "andor_sdk3", "hamamatsu", "pco", "pvcam" or
        "tucam"; None for a camera of its own kind.

    Attributes
    ----------
    calls
        How often each method was called.
    transfers
        How often ``pix`` and ``tags`` of a tagged image crossed the bridge; Java backend only.
    """

    def __new__(cls, backend: Literal["python", "java"] = "python", **_options: Any) -> Self:
        """Make a core of the backend: the two differ in their methods too."""
        return object.__new__(JavaMockCore if cls is MockCore and backend == "java" else cls)  # type: ignore[return-value]

    def trigger(self) -> None:
        """Give an external trigger to a driver that waits for one before it stops."""
        self.triggered.set()


class JavaMockCore(MockCore):
    """The simulated core of the Java backend, with the method that the other one lacks."""

    @core_call(BOOL)
    def set_include_system_state_cache(self, state: bool) -> None:
        """Include the values of all devices in the tags, or not."""
        self._system_state = state
