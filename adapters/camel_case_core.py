"""Cores with the C++ names (pymmcore-plus, pymmcore and what looks like them), seen under pycromanager's names."""

import re
import sys
from functools import cache
from typing import Any, NamedTuple

_METHODS = ("startSequenceAcquisition", "getRemainingImageCount", "popNextImageMD")
_WORD_START = re.compile(r"_([a-z])")


class TaggedImage(NamedTuple):
    """A frame as it was popped: pixels ``(Y, X)``, colours packed into one number a pixel, and the tags as text."""

    pix: Any
    tags: dict[str, str]


class CamelCaseCore:
    """A core whose methods have the C++ names, such as ``pymmcore_plus.CMMCorePlus``, under snake_case names.

    Parameters
    ----------
    core
        It stays the caller's, who may go on using it.
    """

    def __init__(self, core: Any) -> None:
        self._core = core
        # pymmcore-plus turns colours into (Y, X, 3), for which the core itself has one number a pixel.
        self._unchanged: dict[str, bool] = {"fix": False} if hasattr(core, "fixImage") else {}

    def __getattr__(self, name: str) -> Any:
        return getattr(self._core, _camel_case(name))

    def get_image(self) -> Any:
        """Return the snapped image, as the core has it."""
        return self._core.getImage(**self._unchanged)

    def pop_next_tagged_image(self) -> TaggedImage:
        """Take the oldest frame and its tags out of the core's buffer; an ``IndexError`` when it is empty."""
        if hasattr(self._core, "popNextImageAndMD"):
            pixels, tags = self._core.popNextImageAndMD(**self._unchanged)
            return TaggedImage(pixels, dict(tags))
        tags = _metadata_class(type(self._core))()
        pixels = self._core.popNextImageMD(tags)
        return TaggedImage(pixels, {key: tags.GetSingleTag(key).GetValue() for key in tags.GetKeys()})


def has_camel_case(core: Any) -> bool:
    """Return whether `core` has the methods of a C++ core."""
    return all(callable(getattr(core, name, None)) for name in _METHODS)


@cache
def _camel_case(name: str) -> str:
    if name.startswith("_"):
        raise AttributeError(name)
    return _WORD_START.sub(lambda word: word[1].upper(), name).replace("Roi", "ROI")


def _metadata_class(core_class: type) -> Any:
    modules = (sys.modules[cls.__module__] for cls in core_class.__mro__)
    return next(module.Metadata for module in modules if hasattr(module, "Metadata"))
