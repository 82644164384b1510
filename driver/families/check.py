"""Checking a family's table against what a camera really has."""

from collections.abc import Mapping
from typing import Any

from .family import Choice, Family, matching

Dump = Mapping[str, Mapping[str, Any]]
"""What ``camera.properties.dump()`` returns: for each property its ``value``, ``allowed`` values, ``limits``, ..."""


def check_dump(family: Family, dump: Dump) -> list[str]:
    """Compare a family's table with a camera's properties.

    Parameters
    ----------
    family
        The table.
    dump
        The camera's properties, from ``camera.properties.dump()`` or a JSON file of that.

    Returns
    -------
    list of str
        One line for each setting or word that this camera does not have, and why. A camera need not have all; a table
        none of whose words fits is wrong.
    """
    lines = []
    for name, feature in family.features.items():
        if isinstance(feature, Choice):
            for word, assignments in feature.words.items():
                lines += [f"{name} = {word}: {why}" for why in _missing(assignments, dump)]
        elif not any(matching(each, tuple(dump)) for each in feature.properties):
            lines.append(f"{name}: the camera has none of {', '.join(feature.properties)}")
    lines += [f"order: the camera has no property {name}" for name in family.order if name not in dump]
    return lines


def _missing(assignments: tuple[tuple[str, str], ...], dump: Dump) -> list[str]:
    missing = []
    for wanted, pattern in assignments:
        name = next(iter(matching(wanted, tuple(dump))), wanted)
        if name not in dump:
            missing.append(f"the camera has no property {name}")
        elif not matching(pattern, tuple(dump[name]["allowed"])):
            missing.append(f"none of {', '.join(dump[name]['allowed'])} of {name} is {pattern}")
    return missing
