"""The benchmark suite runs through and tells everything; how fast anything is, is not asked here."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from support.paths import environment

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"
WAYS = ("O_DIRECT, the limit", "mmspool", "h5py", "tifffile")
LIMIT_S = 300.0


def run(*arguments: str | Path, missing: Path | None = None) -> subprocess.CompletedProcess[str]:
    """Run the suite as a user does; modules in ``missing`` are found before the installed ones."""
    command = [sys.executable, str(BENCHMARKS / "run.py"), *map(str, arguments)]
    env = environment(PYTHONPATH=str(missing or ""))
    return subprocess.run(command, capture_output=True, text=True, env=env, timeout=LIMIT_S, check=False)


@pytest.fixture(scope="module")
def measured(tmp_path_factory: pytest.TempPathFactory) -> tuple[subprocess.CompletedProcess[str], Path]:
    """Return what a run of two tiny cases said, on a machine without tifffile, and the folder with its results."""
    folder = tmp_path_factory.mktemp("benchmarks")
    missing = tmp_path_factory.mktemp("missing")
    (missing / "tifffile.py").write_text("raise ImportError('no such module')")
    ways = [word for way in WAYS for word in ("--way", way)]
    files = ("--json", folder / "run.json", "--page", folder / "page.md", "--dir", folder)
    told = run("--quick", "--rounds", "2", "--cases", "512x512,1003x777", *ways, *files, missing=missing)
    assert told.returncode == 0, told.stdout + told.stderr
    return told, folder


def test_json_has_every_number_of_every_round(measured):
    """Two rounds of each way, with rates, processor time and memory."""
    results = json.loads((measured[1] / "run.json").read_text())
    for case in ("512x512", "1003x777"):
        rounds = results["cases"][case]["rounds"]
        assert len(rounds) == 2
        for records in rounds:
            assert set(records) == {"O_DIRECT, the limit", "mmspool", "h5py"}
            for record in records.values():
                assert record["MB/s"] > 0
                assert {"seconds", "frames", "frames/s", "CPU", "memory"} <= set(record)
    assert results["machine"]["cores"] == os.cpu_count()


def test_missing_peer_is_reported(measured):
    """For a peer that is not installed, table, JSON and page name the command that installs it."""
    told, folder = measured
    problem = json.loads((folder / "run.json").read_text())["cases"]["512x512"]["problems"]["tifffile"]
    assert problem["kind"] == "not available"
    assert "pip install -r benchmarks/requirements.txt" in problem["reason"]
    assert "512x512, tifffile: not available" in told.stdout
    assert "512x512, tifffile: not available" in (folder / "page.md").read_text()


def test_page_has_the_figures(measured):
    """The page names machine, method, a summary, cases and what is not measured."""
    page = (measured[1] / "page.md").read_text()
    for part in ("# Performance", "## How it was measured", "## In short", "## 512x512", "## 1003x777", "cores"):
        assert part in page
    assert "| **mmspool** |" in page
    assert "Measured with --quick" in page


def test_plots_are_drawn_or_said_to_be_skipped(measured):
    """PNGs where there is matplotlib, otherwise a line that says how to get it."""
    told, folder = measured
    pictures = sorted(path.name for path in (folder / "run").glob("*.png"))
    if "plots: skipped" in told.stdout:
        assert not pictures
    else:
        assert "512x512-rate.png" in pictures
        assert all((folder / "run" / name).stat().st_size > 1000 for name in pictures)


def test_nothing_is_left_on_the_disk(measured):
    """The benchmark leaves none of its files on the disk."""
    assert not list(measured[1].glob("mmspool-benchmark-*"))


def test_page_from_results(measured, tmp_path):
    """A page can be made again from the JSON, without measuring."""
    _, folder = measured
    told = run("--from", folder / "run.json", "--page", tmp_path / "again.md", "--no-plots")
    assert told.returncode == 0, told.stderr
    assert (tmp_path / "again.md").read_text() == (folder / "page.md").read_text()


def test_unknown_case_is_refused(tmp_path):
    """A case that does not exist is an error that lists the ones that do."""
    told = run("--cases", "nonsense", "--dir", tmp_path)
    assert told.returncode == 2
    assert "nonsense: expected some of" in " ".join(told.stderr.replace("│", " ").split())


def test_cases_of_mmspool_alone_measure(tmp_path):
    """The cases that look into the writer process, and the compressed recordings, give figures and no problems."""
    ways = ("short", "long", "mmspool", "spool", "mmspool, fast, spots")
    cases = "memory,growth,chunks,compression"
    chosen = [word for way in ways for word in ("--way", way)]
    told = run("--quick", "--rounds", "1", "--no-plots", "--cases", cases, *chosen, "--json", tmp_path / "run.json")
    assert told.returncode == 0, told.stdout + told.stderr
    results = json.loads((tmp_path / "run.json").read_text())["cases"]
    measured = {case: set(result["rounds"][0]) for case, result in results.items()}
    assert measured == {
        "memory": {"short", "long"},
        "growth": {"mmspool"},
        "chunks": {"spool"},
        "compression": {"mmspool, fast, spots"},
    }
    assert not any(result["problems"] for result in results.values())
