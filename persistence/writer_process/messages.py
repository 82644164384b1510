"""What the producer and the persistence process say to each other; pixels and counters are in the ring."""

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from ..block_layout import BlockLayout
from ..hdf5_file import codec
from ..hdf5_file.codec import Codec
from ..options import SpoolOptions


@dataclass(frozen=True, kw_only=True)
class StartWriting:
    """The producer's first message: what the file is for; with ``resume`` another process wrote it until it died."""

    path: Path
    layout: BlockLayout
    options: SpoolOptions
    start: datetime
    start_ns: int
    resume: bool = False

    def codec(self) -> Codec | None:
        """Return what compresses the chunks, if anything does."""
        g = self.layout
        name = self.options.compression
        return codec.find(name, g.dtype.itemsize, g.block_bytes) if name else None


@dataclass(frozen=True)
class BlockReady:
    """A descriptor: the ring holds all frames before ``stop``."""

    stop: int


@dataclass(frozen=True)
class StopWriting:
    """The producer's last message: nothing more will be put."""

    interrupted: bool
    end_reason: str


@dataclass(frozen=True)
class FileReady:
    """The writer's answer to `StartWriting`: the file is there."""


@dataclass(frozen=True)
class FileClosed:
    """The writer's last message: the file is closed and on the device."""

    frames: int
    lost: int
    state: str
    end_reason: str
    file_bytes: int


Message = StartWriting | BlockReady | StopWriting
