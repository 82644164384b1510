"""The options that say what is stored beside each frame: its columns, and its place in a plan."""

import json
from collections.abc import Mapping
from pathlib import Path

import click
import numpy.typing as npt

from ..persistence import Plan, PlanLike, SpoolOptions

Columns = Mapping[str, tuple[str, npt.DTypeLike]]

_TYPES: Mapping[str, type] = {"text": str, "float": float, "int": int}


def read_columns(_context: click.Context, _parameter: click.Parameter, given: tuple[str, ...]) -> Columns | None:
    """Read columns, each of which is a tag of the core: ``elapsed_ms=ElapsedTime-ms:float``."""
    columns = {}
    for text in given:
        name, equals, source = text.partition("=")
        tag, colon, kind = source.rpartition(":")
        if not colon or kind not in _TYPES:
            tag, kind = source, "text"
        if not (name and equals and tag):
            raise click.BadParameter(f"{text!r} is not NAME=TAG[:TYPE], such as elapsed_ms=ElapsedTime-ms:float")
        columns[name] = (tag, _TYPES[kind])
    try:
        SpoolOptions(columns={name: dtype for name, (_, dtype) in columns.items()})
    except ValueError as exc:
        raise click.BadParameter(str(exc)) from exc
    return columns or None


def read_plan(_context: click.Context, _parameter: click.Parameter, text: str | None) -> PlanLike | None:
    """Read a plan: a number of frames, axes with their lengths, or a JSON file of anything that ``plan=`` takes."""
    if text is None:
        return None
    try:
        plan: PlanLike
        if Path(text).suffix == ".json":
            plan = json.loads(Path(text).read_text(encoding="utf-8"))
        else:
            plan = dict(map(_axis, text.split(","))) if "=" in text else int(text)
        Plan.of(plan)
    except OSError as exc:
        raise click.BadParameter(f"{text} cannot be read: {exc.strerror or exc}") from exc
    except (ValueError, TypeError) as exc:
        message = f"{text!r} is no plan ({exc}): give a number of frames, axes such as z=5,channel=2, or a JSON file"
        raise click.BadParameter(message) from exc
    return plan


def _axis(text: str) -> tuple[str, int]:
    name, _, length = text.partition("=")
    return name.strip(), int(length)
