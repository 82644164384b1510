"""Wait for what another process or thread does, without a blind sleep."""

import time
from collections.abc import Callable

LIMIT_S = 120.0
"""How long a test waits for what must come; a loaded machine needs some of it, no machine all of it."""


def wait_until(condition: Callable[[], bool], what: str = "the condition", limit_s: float = LIMIT_S) -> None:
    """Poll a condition until it holds.

    Raises
    ------
    AssertionError
        It does not hold within ``limit_s``; the message names ``what`` was waited for.
    """
    limit = time.monotonic() + limit_s
    while not condition():
        assert time.monotonic() < limit, f"not within {limit_s:g} s: {what}"
        time.sleep(0.001)
