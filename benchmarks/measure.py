"""Measure one way of one case in this process and print the record as a line of JSON; `run.py` calls it.

It prints "ready" before it starts and goes on when a line comes. A way that is not available is a record with the
reason as ``missing``.
"""

import contextlib
import json
import sys
from pathlib import Path

from cases import CASES, Setting
from peers import NotAvailableError
from tree import resident_bytes


def main() -> None:
    """Run what the command line names: case, way, folder, folder of the frames, and the sizes."""
    case, way, folder, shared, *sizes = sys.argv[1:]
    before = 0

    def ready() -> None:
        nonlocal before
        before = resident_bytes("self")
        print("ready", file=sys.__stdout__, flush=True)
        sys.stdin.readline()

    setting = Setting(
        folder=Path(folder), shared=Path(shared), quick="quick" in sizes, long="long" in sizes, ready=ready
    )
    try:
        with contextlib.redirect_stdout(sys.stderr):  # some libraries chatter, more than a pipe holds
            record = CASES[case].ways[way](setting)
    except NotAvailableError as exc:
        record = {"missing": str(exc)}
    print(json.dumps(record | {"memory before": before / 1e6}))


if __name__ == "__main__":
    main()
