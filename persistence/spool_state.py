"""The states of a spool, and the errors of calls that a state does not allow."""

from enum import Enum
from pathlib import Path

from ..errors import SpoolClosedError, SpoolError


class SpoolState(Enum):
    """States of a spool; frames are taken in ``OPEN`` alone, and in ``SLOT`` the one that is being filled."""

    OPEN = "open"
    SLOT = "open, a slot is being filled"
    STARTING = "starting"
    CLOSING = "closing"
    ENDING = "ending"
    FORKED = "forked"
    FAILED = "failed"
    CLOSED = "closed"


def not_open(state: SpoolState, path: Path) -> SpoolError:
    """Return the error of a call that the spool to ``path`` cannot take in this state."""
    if state is SpoolState.FORKED:
        return SpoolClosedError(
            f"the spool to {path} belongs to the process that this one was forked from: open one of this process's own"
        )
    if state in (SpoolState.STARTING, SpoolState.CLOSING):
        return interrupted_call(path)
    if state is SpoolState.SLOT:
        return SpoolError(
            f"a slot of the spool to {path} is being filled: frames follow each other, so this one has to "
            "wait for the end of that block"
        )
    return SpoolClosedError(f"the spool to {path} is closed: nothing more can be put into it; open another one")


def interrupted_call(path: Path) -> SpoolError:
    """Return the error of a call that interrupted another one of the spool to ``path``."""
    return SpoolError(
        f"this call interrupted another one of the spool to {path}, in the same thread (a signal handler), "
        "which cannot go on meanwhile: let the handler set a flag, and act on it outside"
    )
