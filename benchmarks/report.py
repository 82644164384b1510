"""What the measurements say: medians over the rounds, targets, and the tables for the terminal."""

import math
import statistics
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from cases import Case, Record
from rich.table import Table

Summary = dict[str, dict[str, Any]]
"""Of each case: its figures, its ways side by side, and what could not be measured."""


def summarise(cases: Sequence[Case], results: Mapping[str, Any]) -> Summary:
    """Return median, minimum and maximum over the rounds of all figures, and whether their targets were met."""
    summary: Summary = {}
    for case in cases:
        if case.name not in results["cases"]:
            continue
        measured = results["cases"][case.name]
        rounds: list[Mapping[str, Record]] = measured["rounds"]
        figures = {}
        for figure in case.figures:
            if entry := _spread([value for records in rounds if (value := _value(figure, records)) is not None]):
                figures[figure.name] = entry | {"unit": figure.unit}
                if figure.target is not None:
                    figures[figure.name] |= {"target": str(figure.target), "met": figure.target.met(entry["median"])}
        summary[case.name] = {
            "about": case.about,
            "rounds": len(rounds),
            "figures": figures,
            "columns": dict(case.columns or {}),
            "ways": {way: _ways(case, way, rounds) for way in case.ways if any(way in records for records in rounds)},
            "problems": measured["problems"],
        }
    return summary


def tables(summary: Summary) -> Iterator[Table]:
    """Yield the tables to print: every figure with its target, then the ways of each case side by side."""
    result = Table(title="figures: median (min - max) of the rounds", title_justify="left")
    for name in ("case", "figure", "median", "min - max", "unit", "target", ""):
        result.add_column(name, justify="right" if name in ("median", "min - max") else "left")
    for case, told in summary.items():
        for index, (name, entry) in enumerate(told["figures"].items()):
            verdict = {True: "[green]met[/]", False: "[red]missed[/]", None: ""}[entry.get("met")]
            spread = f"{number(entry['min'])} - {number(entry['max'])}"
            title = "" if index else case
            result.add_row(
                title, name, number(entry["median"]), spread, entry["unit"], entry.get("target", ""), verdict
            )
        result.add_section()
    yield result
    for case, told in summary.items():
        if told["columns"]:
            yield _side_by_side(case, told)


def problems(summary: Summary) -> Iterator[str]:
    """Yield a line for each way that could not be measured."""
    for case, told in summary.items():
        for way, problem in told["problems"].items():
            yield f"{case}, {way}: {problem['kind']}: {problem['reason'].splitlines()[-1]}"


def brief(record: Record) -> str:
    """Return what a record says in a few words."""
    keys = [key for key in ("MB/s", "frames/s") if isinstance(record.get(key), float)]
    return ", ".join(f"{number(record[key])} {key}" for key in keys) or "done"


def number(value: float) -> str:
    """Return a number with three significant digits, or whole."""
    if math.isfinite(value) and (value == int(value) or abs(value) >= 100):
        return f"{value:,.0f}"
    return f"{value:.3g}"


def by_rate(told: Mapping[str, Any]) -> list[tuple[str, Mapping[str, Any]]]:
    """Return the ways of a case, the fastest first."""
    return sorted(told["ways"].items(), key=lambda item: -item[1].get("MB/s", {"median": 0})["median"])


def _side_by_side(case: str, told: Mapping[str, Any]) -> Table:
    result = Table(title=f"{case}: {told['about']}", title_justify="left")
    result.add_column("way")
    for name, unit in told["columns"].items():
        result.add_column(name if name == unit else f"{name}, {unit}", justify="right")
    for way, values in by_rate(told):
        cells = []
        for name in told["columns"]:
            entry = values.get(name)
            cells.append(number(entry["median"]) if entry else "")
            if entry and name == "MB/s":
                cells[-1] += f" ({number(entry['min'])} - {number(entry['max'])})"
        result.add_row(way, *cells)
    for way, problem in told["problems"].items():
        result.add_row(way, f"[red]{problem['kind']}[/]")
    return result


def _ways(case: Case, way: str, rounds: Sequence[Mapping[str, Record]]) -> dict[str, Any]:
    records = [measured[way] for measured in rounds if way in measured]
    told = {name: _spread([record[name] for record in records if name in record]) for name in case.columns or {}}
    return {name: entry for name, entry in told.items() if entry}


def _value(figure: Any, records: Mapping[str, Record]) -> float | None:
    try:
        return float(figure.of(records))
    except KeyError:
        return None


def _spread(values: Sequence[float]) -> dict[str, float]:
    if not values:
        return {}
    return {"median": statistics.median(values), "min": min(values), "max": max(values)}
