"""Measure one way of one case in this process and print the record as a line of JSON; `run.py` calls it."""

import json
import sys
from pathlib import Path

from cases import CASES


def main() -> None:
    """Run what the command line names: case, way, folder, and ``quick`` or ``full``."""
    case, way, folder, size = sys.argv[1:]
    print(json.dumps(CASES[case].ways[way](Path(folder), size == "quick")))


if __name__ == "__main__":
    main()
