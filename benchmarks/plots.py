"""The results as pictures; without matplotlib there are none, and that is said."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from report import Summary, by_rate

_OURS, _LIMIT, _THEIRS = "#c0392b", "#555555", "#7f9fbf"


def draw(results: Mapping[str, Any], summary: Summary, folder: Path) -> str:
    """Draw everything there is into ``folder``; return what was done, in words."""
    try:
        import matplotlib
    except ImportError:
        return "plots: skipped, matplotlib is not installed (python -m pip install -r benchmarks/requirements.txt)"
    matplotlib.use("Agg")
    from matplotlib import pyplot

    folder.mkdir(parents=True, exist_ok=True)
    drawn = []
    for case, told in summary.items():
        for key, unit, name in (("MB/s", "MB/s", "rate"), ("CPU", "s/GB", "cpu"), ("memory", "MB", "memory")):
            if len(_having(told, key)) > 1:
                drawn.append(_bars(pyplot, case, told, key, unit, folder / f"{case}-{name}.png"))
    for case, way, key, unit in (
        ("over-time", None, "MB/s over time", "MB/s, each quarter of a second"),
        ("growth", "mmspool", "frames/s", "frames/s, each 100,000 frames"),
    ):
        drawn += _series(pyplot, results, case, way, key, unit, folder)
    drawn += _latency(pyplot, results, folder)
    return f"plots: {len(drawn)} in {folder}"


def _having(told: Mapping[str, Any], key: str) -> list[tuple[str, Any]]:
    return [(way, values[key]) for way, values in by_rate(told) if key in values]


def _bars(pyplot: Any, case: str, told: Mapping[str, Any], key: str, unit: str, file: Path) -> Path:
    ways = _having(told, key)[::-1]
    middle = np.array([entry["median"] for _, entry in ways])
    spread = np.array([(entry["median"] - entry["min"], entry["max"] - entry["median"]) for _, entry in ways]).T
    figure, axes = pyplot.subplots(figsize=(9, 1 + 0.32 * len(ways)))
    colours = [_OURS if way.startswith("mmspool") else _LIMIT if "O_DIRECT" in way else _THEIRS for way, _ in ways]
    axes.barh([way for way, _ in ways], middle, xerr=spread, color=colours, ecolor="black", capsize=2)
    axes.set_xlabel(
        f"{key}, {unit}: median, minimum and maximum" if key != unit else f"{unit}: median, minimum and maximum"
    )
    axes.set_title(case)
    return _save(pyplot, figure, file)


def _series(
    pyplot: Any, results: Mapping[str, Any], case: str, only: str | None, key: str, unit: str, folder: Path
) -> list[Path]:
    rounds = results["cases"].get(case, {}).get("rounds", [])
    ways = sorted({way for records in rounds for way in records if only in (None, way)})
    if not ways:
        return []
    figure, axes = pyplot.subplots(figsize=(9, 4))
    for way in ways:
        colour = _OURS if way == "mmspool" else _LIMIT
        lines = [axes.plot(records[way][key], color=colour, alpha=0.7)[0] for records in rounds if way in records]
        lines[0].set_label(way)
    axes.set_ylim(bottom=0)
    axes.set_ylabel(unit)
    axes.set_title(case)
    axes.legend()
    return [_save(pyplot, figure, folder / f"{case}.png")]


def _latency(pyplot: Any, results: Mapping[str, Any], folder: Path) -> list[Path]:
    records = [each["paced"] for each in results["cases"].get("latency", {}).get("rounds", []) if "paced" in each]
    if not records:
        return []
    figure, axes = pyplot.subplots(figsize=(9, 4))
    for name, colour in (("put", _OURS), ("copy", _LIMIT)):
        times = np.sort(np.concatenate([record[f"{name} ms"] for record in records]))
        axes.step(times, 1 - np.arange(len(times)) / len(times), color=colour, label=name, where="post")
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.set_xlabel("ms")
    axes.set_ylabel("share that took longer")
    axes.set_title("latency of put, and of a plain copy, at 100 frames/s")
    axes.legend()
    return [_save(pyplot, figure, folder / "latency.png")]


def _save(pyplot: Any, figure: Any, file: Path) -> Path:
    figure.savefig(file, dpi=110, bbox_inches="tight")
    pyplot.close(figure)
    return file
