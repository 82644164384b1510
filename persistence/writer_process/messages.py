"""What the producer and the persistence process say to each other; pixels and counters are in the ring."""

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from ..block_layout import BlockLayout
from ..detector_info import DetectorInfo
from ..hdf5_file import codec
from ..hdf5_file.codec import Codec


@dataclass(frozen=True, kw_only=True)
class StartWriting:
    """The producer's first message: what the file is for; with ``resume`` another process wrote it until it died."""

    path: Path
    layout: BlockLayout
    info: DetectorInfo
    metadata_json: str
    start: datetime
    start_ns: int
    direct: bool
    checksum: bool
    sync_interval_s: float
    compression: str | None
    raw_if_slow: bool
    resume: bool = False

    def codec(self) -> Codec | None:
        """Return what compresses the chunks, if anything does."""
        g = self.layout
        return codec.find(self.compression, g.dtype.itemsize, g.block_bytes) if self.compression else None


@dataclass(frozen=True)
class BlockReady:
    """A descriptor: the ring holds all frames before ``stop``."""

    stop: int


@dataclass(frozen=True)
class StopWriting:
    """The producer's last message: nothing more will be put."""

    interrupted: bool
    reason: str


@dataclass(frozen=True)
class FileReady:
    """The writer's answer to `StartWriting`: the file is there."""


@dataclass(frozen=True)
class FileClosed:
    """The writer's last message: the file is closed and on the device."""

    frames: int
    lost: int
    state: str
    reason: str
    file_bytes: int


Message = StartWriting | BlockReady | StopWriting
