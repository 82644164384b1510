"""What the two ways of storing frames have in common."""

from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
import numpy.typing as npt


@dataclass(kw_only=True)
class Run:
    """Frames that are stored one after the other: from ``first`` to ``done``, with their checksums."""

    first: int
    done: int
    checksums: list[npt.NDArray[np.uint64]] = field(default_factory=list)

    def add(self, stop: int, checksums: npt.NDArray[np.uint64] | None) -> None:
        """Enter the frames before ``stop``, which are stored."""
        self.done = stop
        if checksums is not None:
            self.checksums.append(checksums)


@dataclass(frozen=True, kw_only=True)
class Committed:
    """What a commit made durable: frames that were stored uncompressed, and bytes in the file."""

    frames_raw: int
    bytes_stored: int


class BlockStore(Protocol):
    """How frames in the ring become chunks of the file.

    Attributes
    ----------
    slowest_ns
        The slowest write since `FrameWriter` set this to 0, ns.
    """

    slowest_ns: int

    def store(self, run: Run, stop: int) -> None:
        """Store frames from ``run.done`` on, up to ``stop`` or fewer, but at least one; enter them into ``run``.

        What was entered is stored even if this raises.
        """

    def commit_due(self, waiting: int) -> bool:
        """Return whether it is time for the ``waiting`` frames that are stored, and not counted, to be counted."""

    def commit(self) -> Committed | None:
        """Make what was stored a part of the file; None if it is one already, and not durable yet."""

    def close(self) -> None:
        """Wait for what is under way; idempotent."""
