"""How far tests of random cases look: ``HYPOTHESIS_PROFILE=deep`` looks further, with a new seed each time."""

import os
import random

DEEP = os.environ.get("HYPOTHESIS_PROFILE") == "deep"

SEED = random.randrange(2**32) if DEEP else 1
"""For what is not Hypothesis' own; a failure names it."""


def deep(count: int, deep_count: int) -> int:
    """Return how many cases to try."""
    return deep_count if DEEP else count
