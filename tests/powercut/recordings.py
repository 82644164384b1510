"""The real recordings whose writes are cut short: one for each way in which the file is written."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from powercut.traced_run import Log, each_file, run_traced
from support.frames import stack

SCRIPT = """
import json, os, signal, sys
import numpy as np
from mmspool import Spool
from mmspool.persistence import block_layout, options
from support.frames import frame
from support.values import COLUMNS, values
from support.waiting import wait_until

options.LEAST_COMPRESSED_BYTES = 0  # small files, quickly examined

spec = json.loads(sys.argv[1])
block_layout._MIN_GROWTH_BYTES = 1  # so that a file of a few MB has grown several times
shape, dtype, index = tuple(spec["shape"]), np.dtype(spec["dtype"]), 0

with Spool(sys.argv[2], buffer_bytes=spec["ring_bytes"], grow_frames=spec["grow_frames"], shape=shape, dtype=dtype,
           sync_interval_s=spec["sync_s"], checksum=spec["checksum"], compression=spec["compression"],
           columns=COLUMNS if spec["columns"] else None, plan=spec["plan"]) as spool:
    for step, count in spec["steps"]:
        if step == "put":
            for index in range(index, index + count):
                own = values(index) if spec["columns"] else None
                if spec["slots"] and index % 2:
                    with spool.slot(own) as place:
                        place[:] = frame(index, shape, dtype)
                else:
                    spool.put(frame(index, shape, dtype), own)
            index += 1
        elif step == "lose":
            spool.record_loss(count, "core")
        elif step == "written":
            wait_until(lambda: spool.stats.frames_written == index)
        elif step == "durable":
            wait_until(lambda: spool.durable == index)
        elif step == "kill":
            os.kill(spool._client.writer.pid, signal.SIGKILL)
"""


@dataclass(frozen=True, kw_only=True)
class Spec:
    """A recording to be made: frames, ring, and the steps of the producer; of a large file fewer images are made."""

    name: str
    shape: tuple[int, ...]
    dtype: str = "<u2"
    ring_bytes: int = 1 << 20
    grow_frames: int = 10
    sync_s: float = 0.02
    checksum: bool = True
    compression: str | None = None
    columns: bool = False
    slots: bool = False
    plan: Any = None
    steps: tuple[tuple[str, int], ...] = ()
    inject: str = ""
    share: float = 1.0

    @property
    def frames(self) -> int:
        """Frames that were put in all."""
        return sum(count for step, count in self.steps if step == "put")

    def expected(self) -> npt.NDArray[np.generic]:
        """Return all frames: no sector of one is like a sector of another."""
        return stack(0, self.frames, self.shape, self.dtype)


SPECS = (
    Spec(name="large-direct", shape=(128, 512), ring_bytes=1 << 20, grow_frames=4, steps=(("put", 18),)),
    Spec(name="large-odd", shape=(301, 203), grow_frames=5, steps=(("put", 7), ("written", 0), ("put", 9))),
    Spec(
        name="tiny",
        shape=(8, 12),
        grow_frames=50,
        steps=(("put", 60), ("written", 0), ("put", 333), ("durable", 0), ("lose", 3), ("put", 280), ("written", 0)),
    ),
    Spec(
        name="partial-blocks",
        shape=(33, 47),
        grow_frames=20,
        ring_bytes=1 << 20,
        sync_s=0.0,
        steps=(("put", 5), ("written", 0)) * 4 + (("put", 41), ("written", 0), ("put", 3), ("durable", 0), ("put", 2)),
    ),
    Spec(
        name="bytes-many-columns",
        shape=(5, 7),
        dtype="u1",
        grow_frames=3000,
        steps=(("put", 8100), ("durable", 0), ("put", 250), ("written", 0), ("lose", 1), ("put", 1)),
    ),
    Spec(
        name="take-over",
        shape=(40, 50),
        grow_frames=10,
        steps=(
            ("put", 33),
            ("written", 0),
            ("kill", 0),
            ("put", 40),
            ("lose", 2),
            ("put", 7),
            ("written", 0),
            ("kill", 0),
            ("put", 5),
        ),
    ),
    Spec(
        name="killed-before-sync",
        shape=(64, 64),
        grow_frames=10,
        ring_bytes=1 << 20,
        steps=(("put", 25), ("durable", 0), ("put", 60)),
        inject="fdatasync:signal=KILL:when=8",
    ),
    Spec(
        name="killed-before-truncate",
        shape=(64, 64),
        grow_frames=10,
        steps=(("put", 75),),
        inject="ftruncate:signal=KILL:when=5",
    ),
    Spec(
        name="no-checksums",
        shape=(24, 32),
        grow_frames=10,
        checksum=False,
        steps=(("put", 45), ("written", 0), ("put", 20)),
    ),
    Spec(
        name="many-losses",
        shape=(16, 16),
        dtype="<f4",
        grow_frames=20,
        steps=(
            *((("lose", 2), ("put", 3)) * 20),
            ("written", 0),
            *((("put", 1), ("lose", 1)) * 20),
            ("durable", 0),
        ),
    ),
    Spec(
        name="columns",
        shape=(40, 50),
        grow_frames=10,
        columns=True,
        slots=True,
        steps=(("put", 33), ("durable", 0), ("kill", 0), ("put", 40), ("written", 0), ("lose", 2), ("put", 7)),
    ),
    Spec(
        name="plan",
        shape=(40, 50),
        grow_frames=10,
        plan={"z": 12, "channel": ["DAPI", "FITC", "Cy5", "µ", "", "none", "7"]},
        steps=(("put", 33), ("durable", 0), ("lose", 2), ("put", 7), ("kill", 0), ("put", 33), ("lose", 1), ("put", 8)),
    ),
    Spec(
        name="packed-columns",
        shape=(96, 128),
        grow_frames=10,
        compression="fast",
        columns=True,
        plan={"trigger": None, "frame": 4},
        steps=(("put", 27), ("durable", 0), ("lose", 3), ("put", 14)),
    ),
    Spec(
        name="packed",
        shape=(128, 512),
        grow_frames=4,
        compression="fast",
        steps=(("put", 9), ("written", 0), ("put", 9)),
    ),
    Spec(
        name="packed-take-over",  # some chunks by a second writer
        shape=(40, 50),
        grow_frames=10,
        compression="universal",
        steps=(("put", 47), ("written", 0), ("kill", 0), ("put", 38), ("lose", 2), ("durable", 0), ("put", 6)),
    ),
    Spec(
        name="colour",
        shape=(40, 30, 3),
        grow_frames=10,
        steps=(("put", 33), ("written", 0), ("lose", 2), ("put", 20), ("durable", 0), ("put", 4)),
    ),
    Spec(
        name="several-commits",  # a growth of more chunks than one commit takes
        shape=(96, 160),
        ring_bytes=300_000,
        grow_frames=1003,
        share=0.1,
        steps=(("put", 20), ("durable", 0), ("put", 6), ("written", 0)),
    ),
)


def record(spec: Spec, folder: Path) -> tuple[Path, Log]:
    """Make the recording under strace; return its file and its log."""
    place = folder / f"{spec.name}.h5"
    logs = run_traced(SCRIPT, [json.dumps(asdict(spec)), str(place)], folder, spec.inject)
    return next(each_file(logs))
