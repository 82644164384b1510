"""A power cut at any moment costs no frame that was durable, and shows none that is wrong."""

import random
import shutil
from pathlib import Path

import numpy as np
import pytest
from powercut.disk_model import PAGE, STRATEGIES, Disk
from powercut.power_cuts import another_boot, cut, cut_repairs, images
from powercut.recordings import SPECS, Spec, record
from powercut.traced_run import Op, each_file, run_traced
from support.depth import SEED, deep
from support.strace import StraceMissingError, need_strace

from mmspool import CameraSet, RecordingError
from mmspool.persistence import member_paths, repair, write_master

TWO_CAMERAS = """
import sys
from mmspool import Spool
from mmspool.persistence import block_layout
from support.frames import frame

block_layout._MIN_GROWTH_BYTES = 1
options = {"buffer_bytes": 1 << 20, "grow_frames": 10, "shape": (40, 50), "dtype": "<u2", "sync_interval_s": 0.02}
options["plan"] = {"t": 31, "z": 2}
with Spool(sys.argv[1], **options) as left, Spool(sys.argv[2], **options) as right:
    for index in range(60):
        for spool in (left, right):
            if index == 33:
                spool.record_loss(2, "core")
            spool.put(frame(index, (40, 50)))
"""

IMAGES = deep(160, 2000)
REPAIRED, REPAIR_IMAGES = 3, deep(20, 200)


@pytest.mark.parametrize("spec", SPECS, ids=[spec.name for spec in SPECS])
def test_power_cut(spec: Spec, tmp_path: Path) -> None:
    """Whatever a power cut leaves of a recording, or of its repair, has every durable frame and no wrong one."""
    path, log = record(spec, tmp_path)
    disk = Disk()
    for op, ends in log.events:
        disk.apply(op, ends)
    assert disk.image(random.Random(SEED), "everything") == path.read_bytes(), "the log is not all that was written"

    images, of_repairs = int(IMAGES * spec.share), int(REPAIR_IMAGES * spec.share)
    outcome = cut(spec, log, path, images, SEED)
    outcome.add(cut_repairs(spec, log, path, REPAIRED, of_repairs, SEED))
    assert not outcome.failures, "\n".join([f"seed {SEED}", *outcome.failures])
    assert outcome.images >= images + of_repairs - REPAIRED
    assert outcome.repaired > outcome.refused


def test_two_cameras(tmp_path: Path) -> None:
    """Cut at any two moments, the files of two cameras are repaired each by itself, and their pairs are right."""
    steps = (("put", 33), ("lose", 2), ("put", 27))
    spec = Spec(name="two-cameras", shape=(40, 50), plan={"t": 31, "z": 2}, steps=steps)
    master = tmp_path / "run.h5"
    members = member_paths(master, ["left", "right"])
    write_master(master, members, leader="left", overwrite=False)
    logs = dict(each_file(run_traced(TWO_CAMERAS, list(map(str, members.values())), tmp_path)))
    assert list(logs) == list(members.values())
    for path, log in logs.items():
        outcome = cut(spec, log, path, IMAGES // 4, SEED)
        assert not outcome.failures, "\n".join([f"seed {SEED}", *outcome.failures])
    expected = spec.expected()
    cuts = [images(log, IMAGES // 4, random.Random(f"{SEED} {path.name}")) for path, log in logs.items()]
    place = tmp_path / "cut"
    place.mkdir()
    shutil.copy(master, place)
    pairs = 0
    with another_boot():
        for left, right in zip(*cuts, strict=True):
            try:
                for path, (_, _, content) in zip(logs, (left, right), strict=True):
                    (place / path.name).write_bytes(content)
                    repair(place / path.name)
            except RecordingError:
                continue  # cut before there was a recording: `cut` has looked at that
            with CameraSet(place / "run.h5") as run:
                both = run.pairs()
                assert all(run["left"][a][0, 0] == run["right"][b][0, 0] for a, b in both if min(a, b) >= 0)
                shorter = min(map(len, run.values()))
                assert np.array_equal(run["left"][:shorter], expected[:shorter])
                pairs += len(both)
    assert pairs


def test_disk_forgets_what_was_not_synced() -> None:
    """The model keeps what was synced, and loses or keeps the rest page by page."""
    disk, chance = Disk(), random.Random(SEED)
    old, new, sync = Op("write", data=b"a" * 2 * PAGE), Op("write", data=b"b" * 2 * PAGE), Op("sync")
    for op, ends in ((old, False), (old, True), (sync, False), (new, False), (new, True), (sync, True)):
        disk.apply(op, ends)
    seen = {disk.image(chance, "pages")[::PAGE] for _ in range(50)}
    assert seen == {b"aa", b"ab", b"ba", b"bb"}
    assert {disk.image(chance, strategy)[::PAGE] for strategy in STRATEGIES for _ in range(50)} == seen
    assert disk.image(chance, "nothing") == b"a" * 2 * PAGE


def test_disk_forgets_sizes() -> None:
    """The model may forget a change of size, until it is synced."""
    disk, chance, grown = Disk(b"x" * PAGE), random.Random(SEED), Op("size", size=3 * PAGE, grows=True)
    disk.apply(grown, ends=False)
    disk.apply(grown, ends=True)
    assert {len(disk.image(chance, "pages")) for _ in range(50)} == {PAGE, 3 * PAGE}
    sync = Op("sync")
    disk.apply(sync, ends=False)
    disk.apply(sync, ends=True)
    assert {len(disk.image(chance, "pages")) for _ in range(50)} == {3 * PAGE}


def test_missing_strace_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without strace nothing is proven, so that is an error with its remedy."""
    monkeypatch.setattr(shutil, "which", lambda _name: None)
    need_strace.cache_clear()
    with pytest.raises(StraceMissingError, match="apt-get install strace"):
        run_traced("", [], tmp_path)
