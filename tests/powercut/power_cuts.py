"""Cut the power of real recordings at thousands of moments, and look at what is left.

``python tests/torture.py power-cuts --count 20000 [--seed 1]``. A tenth of the images are of files whose repair is cut.
"""

import argparse
import random
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from unittest.mock import patch

import numpy as np
import numpy.typing as npt
from powercut.checks import examine, watermarks
from powercut.disk_model import STRATEGIES, Disk
from powercut.recordings import SPECS, Spec, record
from powercut.traced_run import Log, each_file, run_traced
from support.paths import quick_folder

import mmspool

Stack = npt.NDArray[np.generic]

REPAIR_SCRIPT = """
import sys
from unittest.mock import patch
from mmspool.persistence import repair

with patch("mmspool.persistence.repair.boot", lambda: "after the power cut"):
    for name in sys.argv[1:]:
        repair(name)
"""

_AROUND = 4  # events before and after a sync or a change of size that are cut more often


@dataclass
class Outcome:
    """What the images of one recording came to."""

    images: int = 0
    frames: int = 0
    refused: int = 0
    opened_at_once: int = 0
    repaired: int = 0
    failures: list[str] = field(default_factory=list)

    def add(self, other: "Outcome") -> None:
        """Count another one in."""
        for name in ("images", "frames", "refused", "opened_at_once", "repaired"):
            setattr(self, name, getattr(self, name) + getattr(other, name))
        self.failures += other.failures


def another_boot() -> AbstractContextManager[object]:
    """Have this be a computer that was started again."""
    return patch("mmspool.persistence.repair.boot", lambda: "after the power cut")


def moments(log: Log, count: int, chance: random.Random) -> Counter[int]:
    """Choose events after which to cut, how often each: half anywhere, half about syncs, sizes and the end.

    Before the first sync there is not a recording yet: one in ten is enough of that.
    """
    first = next(index for index, (op, _) in enumerate(log.events) if op.kind == "sync")
    events, early = range(first, len(log.events)), range(first)
    turns = [index for index, (op, _) in enumerate(log.events) if op.kind != "write"]
    near = sorted({at for turn in turns for at in range(turn - _AROUND, turn + _AROUND + 1) if at in events})
    kinds = [early or events, *[near, events] * 5]
    return Counter(chance.choice(kinds[number % len(kinds)]) for number in range(count))


def images(log: Log, count: int, chance: random.Random, start: bytes = b"") -> Iterator[tuple[int, str, bytes]]:
    """Return the event, the strategy and the content of each image."""
    chosen, disk = moments(log, count, chance), Disk(start)
    for index, (op, ends) in enumerate(log.events):
        disk.apply(op, ends)
        for _ in range(chosen[index]):
            strategy = chance.choice(STRATEGIES)
            yield index, strategy, disk.image(chance, strategy)


def cut(spec: Spec, log: Log, path: Path, count: int, seed: int, keep: Path | None = None) -> Outcome:
    """Cut a recording's power ``count`` times and examine each image."""
    outcome, marks = Outcome(), watermarks(log, path, spec)
    expected = spec.expected()
    chance = random.Random(f"{seed} {spec.name}")
    with quick_folder() as folder, another_boot():
        for index, strategy, image in images(log, count, chance):
            name = f"{spec.name}: image {outcome.images} after event {index} ({log.events[index][0].kind}), {strategy}"
            _examine(folder / "image.h5", image, spec, expected, marks[index], outcome, name)
            if keep is not None and len(outcome.failures) and outcome.failures[-1].startswith(name):
                (keep / f"{spec.name}-{outcome.images}.h5").write_bytes(image)
    return outcome


def cut_repairs(spec: Spec, log: Log, path: Path, damaged: int, count: int, seed: int) -> Outcome:
    """Repair ``damaged`` images under strace and cut the power of that, ``count`` times in all."""
    outcome, marks = Outcome(), watermarks(log, path, spec)
    expected = spec.expected()
    chance = random.Random(f"{seed} {spec.name} repair")
    with tempfile.TemporaryDirectory() as place:
        folder, begun = Path(place), {}
        for index, _, image in images(log, damaged * 3, chance):
            if marks[index] is not None and len(begun) < damaged:
                name = folder / f"{len(begun):04}.h5"
                name.write_bytes(image)
                begun[name.resolve()] = image, marks[index]
        logs = dict(each_file(run_traced(REPAIR_SCRIPT, [str(name) for name in begun], folder)))
        with quick_folder() as quick, another_boot():
            for name, one in logs.items():
                start, mark = begun[name]
                with mmspool.open(name) as whole:
                    frames, lost = len(whole), whole.frames_lost
                for index, strategy, image in images(one, count // len(logs), chance, start):
                    where = f"{spec.name}: repair of {name.name}, event {index}, {strategy}"
                    image_file = quick / "image.h5"
                    _examine(image_file, image, spec, expected, mark, outcome, where)
                    with mmspool.open(image_file) as again:
                        if (len(again), again.frames_lost) != (frames, lost):
                            outcome.failures.append(
                                f"{where}: {len(again)} frames, {again.frames_lost} lost; "
                                f"without the cut {frames} and {lost}"
                            )
    return outcome


def _examine(
    place: Path, image: bytes, spec: Spec, expected: Stack, watermark: int | None, outcome: Outcome, name: str
) -> None:
    place.write_bytes(image)
    outcome.images += 1
    try:
        found = examine(place, spec, expected, watermark)
    except Exception as exc:  # noqa: BLE001 - nothing may come out but what `examine` expects
        outcome.failures.append(f"{name}: {type(exc).__name__}: {exc}")
        return
    outcome.frames += found.frames or 0
    outcome.refused += found.frames is None
    outcome.opened_at_once += found.opened_at_once
    outcome.repaired += found.repaired


def cut_all(
    count: int, seed: int, specs: Sequence[Spec] = SPECS, keep: Path | None = None, say: Callable[[str], None] = print
) -> Outcome:
    """Make every recording and cut it and its repairs ``count`` times in all."""
    total = Outcome()
    for spec in specs:
        started, share = time.monotonic(), int(count // len(specs) * spec.share)
        with tempfile.TemporaryDirectory() as folder:
            path, log = record(spec, Path(folder))
            one = cut(spec, log, path, share * 9 // 10, seed, keep)
            one.add(cut_repairs(spec, log, path, 4 + share // 500, share // 10, seed))
        total.add(one)
        say(
            f"{spec.name:24} {one.images:7,} images, {one.frames:10,} frames right, {one.refused:5,} refused, "
            f"{one.opened_at_once:6,} opened as they were, {one.repaired:6,} repaired, "
            f"{len(one.failures):4} failed  {time.monotonic() - started:.0f} s"
        )
        for failure in one.failures[:5]:
            say(f"    {failure}")
    return total


def main(arguments: list[str] | None = None) -> int:
    """Run as `torture.py` does."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=20_000, help="images in all")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only", help="the recording of this name alone")
    parser.add_argument("--keep", type=Path, help="a folder for the images that failed")
    options = parser.parse_args(arguments)
    specs = [spec for spec in SPECS if options.only in (None, spec.name)]
    total = cut_all(options.count, options.seed, specs, options.keep)
    print(f"{total.images:,} images, {total.frames:,} frames right, {len(total.failures)} failed")  # noqa: T201
    return bool(total.failures)
