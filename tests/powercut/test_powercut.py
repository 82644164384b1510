"""A power cut at any moment costs no frame that was durable, and shows none that is wrong."""

import random
import shutil
from pathlib import Path

import pytest
from powercut.disk_model import PAGE, STRATEGIES, Disk
from powercut.power_cuts import cut, cut_repairs
from powercut.recordings import SPECS, Spec, record
from powercut.traced_run import Op, run_traced
from support.depth import SEED, deep
from support.strace import StraceMissingError, need_strace

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
