"""What the producer and the writer process say to each other; pixels, counters and the stop request are in the ring.

The writer's last message is `FileClosed`, as the file has it.
"""

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from ..block_layout import BlockLayout
from ..options import SpoolOptions

ENVIRONMENT = "MMSPOOL_WRITER"
"""The variable by which a new process learns that it is a writer, and from where it takes frames."""


@dataclass(frozen=True, kw_only=True)
class StartWriting:
    """The producer's first message: what the file is for; with ``resume`` another process wrote it until it died."""

    path: Path
    layout: BlockLayout
    options: SpoolOptions
    start: datetime
    start_ns: int
    wall_offset_ns: int
    resume: bool = False


@dataclass(frozen=True)
class BlockReady:
    """A descriptor: the ring holds all frames before ``stop``."""

    stop: int


@dataclass(frozen=True)
class FileReady:
    """The writer's answer to `StartWriting`: the file is there."""


Message = StartWriting | BlockReady
