"""Probes mutants one after the other, in a process that may crash, hang or run out of memory without harm."""

import faulthandler
import json
import random
import resource
import shutil
import sys
import tempfile
import traceback
from pathlib import Path

from fuzz.mutate import mutate
from fuzz.probe import probe
from fuzz.samples import NAMES, map_of

MEMORY_BYTES = 1 << 30
CPU_S = 20


def limit_memory() -> None:
    """Allow so much more memory than the process has."""
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[0])
    limit = pages * resource.getpagesize() + MEMORY_BYTES
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))


def limit_time() -> None:
    """Allow so much more processor time than the process has used; the signal then kills it."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    limit = int(used.ru_utime + used.ru_stime) + CPU_S
    resource.setrlimit(resource.RLIMIT_CPU, (limit, resource.RLIM_INFINITY))


def run(samples: Path, seed: int, numbers: range) -> None:
    """Make and probe the mutants of these numbers; a line of JSON before and after each."""
    maps = {name: map_of(samples / f"{name}.h5") for name in NAMES}
    limit_memory()
    with tempfile.TemporaryDirectory(dir=samples) as folder:
        for number in numbers:
            limit_time()
            chance = random.Random(f"{seed} {number}")
            name = NAMES[number % len(NAMES)]
            place = Path(folder) / "mutant.h5"
            shutil.copyfile(samples / f"{name}.h5", place)
            what = f"{name}: {mutate(place, maps[name], chance)}"
            _say({"begin": number, "what": what})
            try:
                _say({"end": number, "exits": probe(place, checked=name != "no-checksums", as_json=number % 2 > 0)})
            except BaseException as exc:  # noqa: BLE001 - whatever it was, it is what is looked for
                trace = "".join(traceback.format_exception(exc))
                _say({"end": number, "error": f"{type(exc).__name__}: {exc}", "trace": trace[-3000:]})


def _say(line: dict[str, object]) -> None:
    print(json.dumps(line), flush=True)  # noqa: T201


if __name__ == "__main__":
    faulthandler.enable()
    run(Path(sys.argv[1]), int(sys.argv[2]), range(int(sys.argv[3]), int(sys.argv[4])))
