"""Measure mmspool on this machine: ``python benchmarks/run.py --help``; see README.md."""

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import click
import report
from cases import CASES, Case, Record
from rich.console import Console

HERE = Path(__file__).resolve().parent
RESULTS = HERE / "results"

_SPARE_BYTES = 2 * 10**9  # a disk filled to the brim is slow, and somebody else may need it
_LIMIT_S = 1200.0

_console = Console(highlight=False, width=None if sys.stdout.isatty() else 120)


class MeasurementError(Exception):
    """One measurement failed; the others go on."""


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--rounds", default=3, show_default=True, type=click.IntRange(min=1), help="How often each is measured.")
@click.option("--cases", "names", metavar="A,B,...", help=f"Only some of: {', '.join(CASES)}.")
@click.option(
    "--dir",
    "folder",
    default=RESULTS,
    type=click.Path(file_okay=False, path_type=Path),
    help="Folder on the disk to measure.  [default: benchmarks/results]",
)
@click.option("--quick", is_flag=True, help="Smaller sizes: whether it works, rather than how fast it is.")
@click.option("--json", "json_file", type=click.Path(dir_okay=False, path_type=Path), help="Where to write the JSON.")
def main(*, rounds: int, names: str | None, folder: Path, quick: bool, json_file: Path | None) -> None:
    """Measure mmspool, each case in processes of its own, what is compared side by side.

    Exit code 0 even where a target was missed; 1 if a measurement failed.
    """
    cases = _choose(names)
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # so that the big files are removed then too
    folder.mkdir(parents=True, exist_ok=True)
    measured: dict[str, list[dict[str, Record]]] = {case.name: [] for case in cases}
    failures: list[str] = []
    for number in range(1, rounds + 1):
        for case in cases:
            records: dict[str, Record] = {}
            for way in case.ways:
                started = time.perf_counter()
                try:
                    records[way] = _measure(case, way, folder, quick=quick)
                except MeasurementError as exc:
                    failures.append(f"{case.name}, {way}: {exc}")
                took = time.perf_counter() - started
                _console.print(f"[dim]round {number} of {rounds}  {case.name}, {way}: {took:.1f} s[/]")
            if len(records) == len(case.ways):
                measured[case.name].append(records)
    summary = report.summarise(cases, measured)
    _console.print(report.table(cases, summary, rounds=rounds, quick=quick))
    file = json_file or RESULTS / f"{time.strftime('%Y%m%d-%H%M%S')}.json"
    file.parent.mkdir(parents=True, exist_ok=True)
    facts = {"machine": report.machine(folder), "rounds": rounds, "quick": quick, "failures": failures}
    file.write_text(json.dumps(facts | {"summary": summary, "measured": measured}, indent=1), encoding="utf-8")
    _console.print(f"[dim]{file}[/]")
    for failure in failures:
        _console.print(f"failed: {failure}", style="red", markup=False)
    sys.exit(1 if failures else 0)


def _choose(names: str | None) -> list[Case]:
    chosen = names.split(",") if names else list(CASES)
    if unknown := [name for name in chosen if name not in CASES]:
        raise click.BadParameter(f"{', '.join(unknown)}: expected some of {', '.join(CASES)}", param_hint="--cases")
    return [CASES[name] for name in chosen]


def _measure(case: Case, way: str, folder: Path, *, quick: bool) -> Record:
    """Measure one way in a fresh process and a fresh folder, which is gone afterwards."""
    needed, free = case.disk_bytes(quick) + _SPARE_BYTES, shutil.disk_usage(folder).free
    if free < needed:
        raise MeasurementError(f"{folder} has {free:,} bytes free, and {needed:,} are needed")
    with tempfile.TemporaryDirectory(prefix="mmspool-benchmark-", dir=folder) as place:
        os.sync()  # what came before is not to be paid for here
        command = [sys.executable, str(HERE / "measure.py"), case.name, way, place, "quick" if quick else "full"]
        try:
            ended = subprocess.run(command, capture_output=True, text=True, timeout=_LIMIT_S, check=False)
        except subprocess.TimeoutExpired as exc:
            raise MeasurementError(f"not done in {_LIMIT_S:g} s") from exc
    if ended.returncode:
        raise MeasurementError(f"exit code {ended.returncode}\n{ended.stderr.strip()}")
    record: Record = json.loads(ended.stdout.splitlines()[-1])
    return record


if __name__ == "__main__":
    main()
