"""What the producer and the persistence process say to each other; pixels and counters are in the ring."""

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from . import codec
from .codec import Codec
from .geometry import Geometry
from .info import DetectorInfo


@dataclass(frozen=True, kw_only=True)
class Begin:
    """The producer's first message: what the file is for; with ``resume`` another process wrote it until it died."""

    path: Path
    geometry: Geometry
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
        g = self.geometry
        return codec.find(self.compression, g.dtype.itemsize, g.block_bytes) if self.compression else None


@dataclass(frozen=True)
class Block:
    """A descriptor: the ring holds all frames before ``stop``."""

    stop: int


@dataclass(frozen=True)
class End:
    """The producer's last message: nothing more will be put."""

    interrupted: bool
    reason: str


@dataclass(frozen=True)
class Ready:
    """The writer's answer to `Begin`: the file is there."""


@dataclass(frozen=True)
class Ended:
    """The writer's last message: the file is closed and on the device."""

    frames: int
    lost: int
    state: str
    reason: str
    file_bytes: int


Message = Begin | Block | End
