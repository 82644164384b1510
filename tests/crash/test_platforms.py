"""What other platforms and file systems lack: everything works without it."""

from collections.abc import Callable
from pathlib import Path

import h5py
import pytest
from crash.harness import Phase, Producer, Slot
from support.frames import check_frames
from support.processes import kill

from mmspool.persistence import verify

Start = Callable[..., Producer]

WITHOUT = {
    "O_DIRECT": "O_DIRECT",
    "posix_fallocate": "posix_fallocate",
    "fdatasync": "fdatasync",
    "posix_fadvise": "posix_fadvise",
    "memfd": "memfd_create",
    "memfd and O_TMPFILE": "memfd_create,O_TMPFILE",
    "everything that macOS lacks": "O_DIRECT,posix_fallocate,fdatasync,posix_fadvise,memfd_create,O_TMPFILE",
    "direct writes": "direct writes",
    "writes of more than 3 pages": "long writes",
    "writes of more than 1000 bytes": "long writes",
}


@pytest.mark.parametrize("missing", WITHOUT)
@pytest.mark.parametrize("killed", [False, True], ids=["undisturbed", "with a take-over"])
def test_a_recording_is_the_same_without(start: Start, tmp_path: Path, missing: str, killed: bool) -> None:
    """All frames arrive, with a new writer process too; both processes really lacked it."""
    seen = tmp_path / "seen"
    producer = start(
        700,
        shape=(61, 67),
        stop=300,
        pauses=(101,),
        block_bytes=64 << 10,
        growth_bytes=512 << 10,
        options={"grow_frames": 20},
        environment={
            "PYTHONPATH": str(Path(__file__).parent / "platform_shims"),
            "MMSPOOL_TEST_WITHOUT": WITHOUT[missing],
            "MMSPOOL_TEST_SHORT": "12288" if "3 pages" in missing else "1000",
            "MMSPOOL_TEST_SEEN": str(seen),
        },
    )
    producer.wait_for_phase(Phase.READY)
    writer = producer.writer
    producer.order()
    producer.wait_for_phase(Phase.STOPPED)
    if killed:
        kill(writer)
        producer.wait_for(lambda: producer[Slot.RESTARTS] == 1 and producer.writer != writer, "a new one takes over")
    producer.order()
    result = producer.result()
    assert (result["frames"], result["state"], result["restarts"]) == (700, "complete", int(killed)), result
    with h5py.File(tmp_path / "run.h5", "r") as file:
        assert file["data"].shape[0] == 700
        check_frames(file["data"], 700)
    assert verify(tmp_path / "run.h5").complete
    assert {str(producer.pid), str(writer)} <= set(seen.read_text().split())
