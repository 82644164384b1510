"""Camera families: which property of which device adapter is what in mmspool's vocabulary (docs/cameras.md)."""

from .andor_sdk3 import ANDOR_SDK3
from .check import check_dump
from .demo import DEMO
from .family import Choice, Family, Feature, Number, OwnWords, Values, matching
from .generic import GENERIC
from .hamamatsu import HAMAMATSU
from .pco import PCO
from .pvcam import PVCAM
from .tucam import TUCAM

FAMILIES = (ANDOR_SDK3, HAMAMATSU, PCO, PVCAM, TUCAM, DEMO, GENERIC)
"""Every family; the last one takes any camera."""

__all__ = [
    "FAMILIES",
    "Choice",
    "Family",
    "Feature",
    "Number",
    "OwnWords",
    "Values",
    "check_dump",
    "family_of",
    "matching",
]


def family_of(library: str) -> Family:
    """Return the family of a device adapter's library."""
    return next(family for family in FAMILIES if matching(family.library, (library,)))
