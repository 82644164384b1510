"""Probe thousands of damaged files.

``python tests/torture.py fuzz --count 50000 [--seed 1]``
"""

import argparse
import json
import selectors
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

from fuzz.samples import make
from support.paths import environment, quick_folder

_SILENCE_S = 120  # a mutant takes some ms; processor time is limited in the worker


@dataclass
class Outcome:
    """What the mutants came to."""

    mutants: int = 0
    exits: Counter[str] = field(default_factory=Counter)
    failures: list[str] = field(default_factory=list)

    def add(self, other: "Outcome") -> None:
        """Count another one in."""
        self.mutants += other.mutants
        self.exits += other.exits
        self.failures += other.failures


def fuzz(count: int, seed: int, workers: int = 2) -> Outcome:
    """Probe ``count`` mutants in worker processes."""
    total = Outcome()
    with quick_folder() as samples, ThreadPoolExecutor(workers) as pool:
        make(samples)
        bounds = [count * index // workers for index in range(workers + 1)]
        for part in pool.map(lambda i: _batch(samples, seed, bounds[i], bounds[i + 1]), range(workers)):
            total.add(part)
    return total


def _batch(samples: Path, seed: int, first: int, stop: int) -> Outcome:
    """Probe mutants, with a new worker after each one that killed its worker."""
    outcome = Outcome()
    while first < stop:
        first = _run_worker(samples, seed, first, stop, outcome)
    return outcome


def _run_worker(samples: Path, seed: int, first: int, stop: int, outcome: Outcome) -> int:
    """Run a worker to its end; return the first mutant that is still to be probed."""
    command = [sys.executable, str(Path(__file__).with_name("fuzz_worker.py")), str(samples), str(seed)]
    worker = subprocess.Popen(
        [*command, str(first), str(stop)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment(),
    )
    number, what, ended = first - 1, "the start", True
    with worker:
        for line in _lines(worker):
            said = json.loads(line)
            if "begin" in said:
                number, what, ended = said["begin"], said["what"], False
                continue
            ended = True
            outcome.mutants += 1
            outcome.exits.update(f"{name} {code}" for name, code in said.get("exits", {}).items())
            if "error" in said:
                outcome.failures.append(f"mutant {number} ({what}): {said['error']}\n{said['trace']}")
        errors = worker.stderr.read() if worker.stderr else ""
    if worker.returncode:
        outcome.mutants += not ended
        outcome.failures.append(
            f"mutant {number} ({what}): the process died with {worker.returncode}\n{errors[-2000:]}"
        )
        if number < first:
            return stop  # it does not even start: once is enough
    return number + 1


def _lines(worker: "subprocess.Popen[str]") -> Iterator[str]:
    """Return the worker's lines; one that has nothing to say for long hangs, and is killed."""
    assert worker.stdout
    with selectors.DefaultSelector() as selector:
        selector.register(worker.stdout, selectors.EVENT_READ)
        while True:
            if not selector.select(_SILENCE_S):
                worker.kill()
            line = worker.stdout.readline()
            if not line:
                return
            yield line


def main(arguments: list[str] | None = None) -> int:
    """Run as `torture.py` does."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=20_000)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args(arguments)
    outcome = fuzz(options.count, options.seed)
    for failure in outcome.failures[:30]:
        print(failure)  # noqa: T201
    print(f"{outcome.mutants:,} mutants, {len(outcome.failures)} failed; exit codes {dict(outcome.exits)}")  # noqa: T201
    return bool(outcome.failures)
