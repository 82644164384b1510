"""What the measurements say: the table, the figures for JSON, and the machine they were made on."""

import os
import platform
import statistics
from collections.abc import Mapping, Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import psutil
from cases import Case, Record
from rich.table import Table

_PACKAGES = ("mmspool", "numpy", "h5py", "pycromanager", "pymmcore", "mm-test-adapters")


def summarise(cases: Sequence[Case], measured: Mapping[str, Sequence[Mapping[str, Record]]]) -> dict[str, Any]:
    """Return median, minimum and maximum over the rounds of each figure, and whether its target was met."""
    summary: dict[str, Any] = {}
    for case in cases:
        rounds = measured[case.name]
        for figure in case.figures if rounds else ():
            values = [figure.of(records) for records in rounds]
            median = statistics.median(values)
            entry = {"unit": figure.unit, "median": median, "min": min(values), "max": max(values)}
            if figure.target is not None:
                entry |= {"target": str(figure.target), "met": figure.target.met(median)}
            summary.setdefault(case.name, {})[figure.name] = entry
    return summary


def table(cases: Sequence[Case], summary: Mapping[str, Any], *, rounds: int, quick: bool) -> Table:
    """Return the table to print: a row for each figure."""
    size = "quick sizes, which say little about speed" if quick else "full sizes"
    result = Table(title=f"{rounds} rounds, {size}", title_justify="left")
    for name in ("case", "figure", "median", "min", "max", "unit", "target", ""):
        result.add_column(name, justify="right" if name in ("median", "min", "max") else "left")
    for case in cases:
        for index, (name, entry) in enumerate(summary.get(case.name, {}).items()):
            verdict = {True: "[green]met[/]", False: "[red]missed[/]", None: ""}[entry.get("met")]
            numbers = (_number(entry[key]) for key in ("median", "min", "max"))
            title = "" if index else case.name
            result.add_row(title, name, *numbers, entry["unit"], entry.get("target", ""), verdict)
        result.add_section()
    return result


def machine(folder: Path) -> dict[str, Any]:
    """Return what the figures depend on."""
    disk = max(
        (part for part in psutil.disk_partitions(all=True) if folder.resolve().is_relative_to(part.mountpoint)),
        key=lambda part: len(part.mountpoint),
    )
    return {
        "processor": platform.processor() or platform.machine(),
        "cores": os.cpu_count(),
        "memory_bytes": psutil.virtual_memory().total,
        "system": platform.platform(),
        "python": platform.python_version(),
        "packages": {name: _version(name) for name in _PACKAGES},
        "folder": str(folder.resolve()),
        "file_system": disk.fstype,
        "device": disk.device,
    }


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "not installed"


def _number(value: float) -> str:
    if value == int(value) or abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.3g}"
