"""What goes wrong in a simulated core, as a test scripts it."""

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, kw_only=True, slots=True)
class Faults:
    """What goes wrong in a simulated camera and its core; every sequence has the same faults.

    Exposures are counted from 0 at each start, and frames too; pops and calls are counted from 1.

    Parameters
    ----------
    end_after
        The camera fails after this many frames: the sequence ends with no error and no overflow.
    stall_after
        After this many frames none comes any more, though the sequence still runs: a missed external trigger.
    lost_triggers
        Exposures that never happen: no frame comes and no counter jumps. The camera goes on until it has its frames.
    dropped_in_camera
        Exposures whose frame is lost between sensor and core: the camera's own counter jumps, ``ImageNumber`` does not.
        The sequence ends with as many frames too few.
    image_number_jumps
        ``{at: by}``: the frame that would have ``ImageNumber`` `at` has ``at + by``, and counting goes on from there.
    image_number_reset_at
        The frame (counted from 0) whose ``ImageNumber`` starts again at 0, as cores before April 2026 did.
    runs_on_after_overflow
        After an overflow the camera says that it runs until it is stopped, and the stop fails, as the SequenceTester's
        does.
    empty_pops
        Pops of each sequence that fail with "Circular buffer is empty" though frames wait.
    errors
        ``{method: {call: message}}``: calls of the core that fail with this message. Counted over the core's life.
    """

    end_after: int | None = None
    stall_after: int | None = None
    lost_triggers: frozenset[int] = frozenset()
    dropped_in_camera: frozenset[int] = frozenset()
    image_number_jumps: Mapping[int, int] = field(default_factory=dict)
    image_number_reset_at: int | None = None
    runs_on_after_overflow: bool = False
    empty_pops: frozenset[int] = frozenset()
    errors: Mapping[str, Mapping[int, str]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name in ("end_after", "stall_after", "image_number_reset_at"):
            value = getattr(self, name)
            if value is not None and value < 0:
                raise ValueError(f"Faults.{name} is {value}; expected a count of frames, 0 or more")
        firsts = {"lost_triggers": 0, "dropped_in_camera": 0, "image_number_jumps": 0, "empty_pops": 1}
        for name, first in firsts.items():
            wrong = [number for number in getattr(self, name) if number < first]
            if wrong:
                raise ValueError(f"Faults.{name} has {wrong}; expected numbers from {first} on")
        for method, calls in self.errors.items():
            wrong = [number for number in calls if number < 1]
            if wrong:
                raise ValueError(f"Faults.errors[{method!r}] has the calls {wrong}; the first call is 1")
