"""Measure mmspool on this machine: ``python benchmarks/run.py --help``; see README.md."""

import json
import signal
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import machine
import page
import plots
import report
from cases import CASES, Case
from rich.console import Console
from runner import HERE, MeasurementError, MissingError, Runner, runner

RESULTS = HERE / "results"

_console = Console(highlight=False, width=None if sys.stdout.isatty() else 160)
_file = click.Path(dir_okay=False, path_type=Path)


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--rounds", default=3, show_default=True, type=click.IntRange(min=1), help="How often each is measured.")
@click.option("--cases", "names", metavar="A,B,...", help=f"Only some of: {', '.join(CASES)}.")
@click.option("--way", "ways", multiple=True, metavar="NAME", help="Only this way of the cases; may be repeated.")
@click.option(
    "--dir",
    "folder",
    default=RESULTS,
    type=click.Path(file_okay=False, path_type=Path),
    help="Folder on the disk to measure.  [default: benchmarks/results]",
)
@click.option("--quick", is_flag=True, help="Smaller sizes: whether it works, rather than how fast it is.")
@click.option("--long", is_flag=True, help="Longer sizes where a case has them: 20 GB over time.")
@click.option("--json", "json_file", type=_file, help="Where to write the JSON.")
@click.option("--add", "add_file", type=_file, help="Put the cases into this JSON, instead of what it had of them.")
@click.option("--from", "from_file", type=_file, help="Measure nothing: table, plots and page from this JSON.")
@click.option("--page", "page_file", type=_file, help="Write this page, in Markdown.")
@click.option("--note", help="A sentence about the circumstances, for JSON and page.")
@click.option("--no-plots", is_flag=True, help="Draw nothing.")
def main(
    *,
    rounds: int,
    names: str | None,
    ways: tuple[str, ...],
    folder: Path,
    quick: bool,
    long: bool,
    json_file: Path | None,
    add_file: Path | None,
    from_file: Path | None,
    page_file: Path | None,
    note: str | None,
    no_plots: bool,
) -> None:
    """Measure mmspool, each case in processes of its own, beside other ways to store frames.

    Exit code 0 even where a target was missed or a way is not installed; 1 if a measurement failed.
    """
    noted = {"note": note} if note else {}
    if from_file:
        results = json.loads(from_file.read_text(encoding="utf-8")) | noted
        file = from_file
    else:
        signal.signal(signal.SIGTERM, signal.default_int_handler)  # so that the big files are removed then too
        results = {"version": 1, "cases": {}}
        if add_file and add_file.exists():
            results = json.loads(add_file.read_text(encoding="utf-8"))
        file = add_file or json_file or RESULTS / f"{time.strftime('%Y%m%d-%H%M%S')}.json"
        file.parent.mkdir(parents=True, exist_ok=True)
        with runner(folder, quick=quick, long=long) as measuring:
            results |= {"machine": machine.describe(folder), "quick": quick} | noted
            for fresh in _measure(_choose(names), measuring, rounds, ways):
                results["cases"] |= fresh
                file.write_text(json.dumps(results, indent=1), encoding="utf-8")
    _tell(results, file, page_file, draw=not no_plots)
    failed = any(
        problem["kind"] == "failed" for case in results["cases"].values() for problem in case["problems"].values()
    )
    sys.exit(1 if failed else 0)


def _measure(cases: list[Case], runner: Runner, rounds: int, only: tuple[str, ...]) -> Iterator[dict[str, Any]]:
    """Measure every way of every case, in turn within each round; yield what there is after each case of a round."""
    measured: dict[str, Any] = {case.name: {"rounds": [], "problems": {}, "long": runner.long} for case in cases}
    for number in range(1, rounds + 1):
        for case in cases:
            into, records = measured[case.name], {}
            for way in case.ways:
                if way in into["problems"] or (only and way not in only):
                    continue
                started = time.perf_counter()
                try:
                    records[way] = runner.measure(case, way)
                    said = report.brief(records[way])
                except MissingError as exc:
                    into["problems"][way] = {"kind": "not available", "reason": str(exc)}
                    said = f"not available: {exc}"
                except MeasurementError as exc:
                    into["problems"][way] = {"kind": "failed", "reason": str(exc)}
                    said = f"failed: {str(exc).splitlines()[-1]}"
                took = time.perf_counter() - started
                _console.print(
                    f"round {number} of {rounds}  {case.name}, {way}: {said} ({took:.1f} s)", style="dim", markup=False
                )
            into["rounds"].append(records)
            yield {case.name: into}


def _tell(results: dict[str, Any], file: Path, page_file: Path | None, *, draw: bool) -> None:
    summary = report.summarise(list(CASES.values()), results)
    for table in report.tables(summary):
        _console.print(table)
    for line in report.problems(summary):
        _console.print(line, markup=False)
    if page_file:
        page_file.write_text(page.render(results, summary), encoding="utf-8")
        _console.print(f"page: {page_file}", style="dim", markup=False)
    if draw:
        said = plots.draw(results, summary, file.with_suffix(""))
        _console.print(said, style="dim", markup=False, soft_wrap=True)
    _console.print(f"results: {file}", style="dim", markup=False, soft_wrap=True)


def _choose(names: str | None) -> list[Case]:
    chosen = names.split(",") if names else list(CASES)
    if unknown := [name for name in chosen if name not in CASES]:
        raise click.BadParameter(f"{', '.join(unknown)}: expected some of {', '.join(CASES)}", param_hint="--cases")
    return [CASES[name] for name in chosen]


if __name__ == "__main__":
    main()
