"""Run a torture test at length: ``python tests/torture.py kill-matrix --kills 1000``; ``--help`` lists them all."""

import importlib
import sys
from pathlib import Path

sys.path.append(str(Path(__file__).parents[1]))  # a checkout that is not installed

RUNS = {
    "kill-matrix": "crash.kill_matrix",
    "power-cuts": "powercut.power_cuts",
    "fuzz": "fuzz.mutants",
    "stateful": "stateful.spool_machine",
    "soak": "soak.soak",
    "situations": "field.situation_runner",
}


def main() -> int:
    """Run what the first argument names, with the other arguments."""
    name, *arguments = sys.argv[1:] or [""]
    if name not in RUNS:
        print(f"usage: torture.py {{{','.join(RUNS)}}} [options]; each has its own --help", file=sys.stderr)  # noqa: T201
        return 2
    sys.argv[0] = f"torture.py {name}"
    return int(importlib.import_module(RUNS[name]).main(arguments))


if __name__ == "__main__":
    sys.exit(main())
