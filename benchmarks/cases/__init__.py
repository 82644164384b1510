"""What is measured. A new case is a module here with a ``CASE``; a new way to compare is one more entry in its ways."""

import sys
from importlib.util import find_spec
from pathlib import Path

if find_spec("mmspool") is None:  # an installed one goes first; without one, the checkout's is measured
    sys.path.append(str(Path(__file__).resolve().parents[2]))

from . import long, memory, real_core, small, startup, sustained
from .base import Case, Figure, Record, Target

_MODULES = (sustained, small, long, real_core, memory, startup)
CASES: dict[str, Case] = {module.CASE.name: module.CASE for module in _MODULES}

__all__ = ["CASES", "Case", "Figure", "Record", "Target"]
