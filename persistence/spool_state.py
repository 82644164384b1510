"""What a spool is in the middle of."""

from enum import Enum


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
