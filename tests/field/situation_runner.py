"""Try the situations of `situations`: ``python tests/torture.py situations`` prints the table of docs/situations.md."""

# ruff: noqa: T201 - it is a command

import argparse
import os
import platform
import re
import shutil
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from pathlib import Path

from field.situations import PREAMBLE, Situation
from field.situations import SITUATIONS as OF_SCRIPTS
from field.system_situations import SYSTEM_SITUATIONS
from support import seccomp
from support.control_groups import root_of
from support.frames import check_frames
from support.paths import environment
from support.waiting import wait_until

import mmspool
from mmspool.persistence import verify

LIMIT_S = 120
SITUATIONS = (*OF_SCRIPTS, *SYSTEM_SITUATIONS)

_THERE = {
    "seccomp": lambda: seccomp.AVAILABLE,
    "memory group": lambda: root_of("memory") is not None,
    "pids group": lambda: root_of("pids") is not None,
}
"""What a situation may need that is no program or library, and whether it is there."""


def why_not(situation: Situation) -> str:
    """Return why a situation cannot be tried here, an empty string if it can."""
    if situation.needs and not _is_there(situation.needs):
        return f"needs {situation.needs}"
    if situation.root and (os.name == "nt" or os.geteuid() != 0):
        return "needs root"
    return ""


def _is_there(need: str) -> bool:
    if need in _THERE:
        return _THERE[need]()
    if ".so" in need:
        return any(Path("/usr/lib").glob(f"*/{need}"))
    return shutil.which(need) is not None


def attempt(situation: Situation, folder: Path) -> str:
    """Try a situation in an empty folder, and return what came of it.

    Raises
    ------
    AssertionError
        Something else came of it than what is right.
    """
    if situation.shell:
        command = ["bash", "-c", situation.script.replace("{python}", sys.executable)]
    else:
        (folder / "script.py").write_text(PREAMBLE + situation.script, encoding="utf-8")
        command = [sys.executable, "script.py"]
    output = folder / "output"
    with output.open("wb") as printed:
        done = subprocess.run(
            command, cwd=folder, env=environment(), stdin=subprocess.DEVNULL, stdout=printed, stderr=printed,
            timeout=LIMIT_S, check=False,
        )  # fmt: skip
    said = output.read_text(encoding="utf-8", errors="replace")
    assert done.returncode in situation.codes, f"exit code {done.returncode}: {said[-2000:]}"
    assert situation.says in said, said[-2000:]
    for core in folder.glob("core*"):
        core.unlink()
    path = folder / "run.h5"
    if situation.state is None:
        assert not path.exists(), said[-2000:]
        return f"no file, exit code {done.returncode}"
    wait_until(lambda: ended(path), "the file is closed")
    with mmspool.open(path) as run:
        state, frames, lost = run.state, len(run), run.frames_lost
        if situation.shell and "script.py" not in situation.script:  # the simulated camera's frames
            assert [mmspool.frame_index(image) for image in run] == list(range(frames))
        else:
            check_frames(run, frames)
    report = verify(path)
    assert report.intact, report.damage
    assert state == situation.state or not situation.state, f"{state}: {said[-2000:]}"
    right = frames >= situation.frames if situation.at_least else frames == situation.frames
    assert right, f"{frames} frames"
    return f"`{state}`, {frames:,} frames, {lost} lost, exit code {done.returncode}"


def ended(path: Path) -> bool:
    """Return whether a recording is closed."""
    try:
        with mmspool.open(path) as run:
            return run.state != "recording"
    except mmspool.RecordingError:
        return False


def row(situation: Situation) -> tuple[str, bool]:
    """Try a situation; return its row of the table, and whether it came out right."""
    if reason := why_not(situation):
        return f"| {situation.name} | not tried here: {reason} |", True
    with tempfile.TemporaryDirectory(prefix="mmspool-situation-") as folder:
        try:
            return f"| {situation.name} | {attempt(situation, Path(folder))} |", True
        except (AssertionError, mmspool.MmspoolError, subprocess.TimeoutExpired) as exc:
            text = re.sub(r"\s+", " ", str(exc))
            return f"| {situation.name} | **wrong**: {text[-300:]} |", False


def main(arguments: list[str] | None = None) -> int:
    """Print the table; 1 if one did not come out right."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", default="", help="those whose name contains this")
    parser.add_argument("--jobs", type=int, default=2, help="how many are tried at a time")
    options = parser.parse_args(arguments)
    chosen = [situation for situation in SITUATIONS if options.only in situation.name]
    with ThreadPoolExecutor(options.jobs) as pool:
        rows, right = zip(*pool.map(row, chosen), strict=True)
    system = f"{platform.system()} {platform.release()}, Python {platform.python_version()}"
    print(
        "# Situations of the field\n\n"
        f"`python tests/torture.py situations`, {datetime.now().astimezone().date()}, {system}: "
        f"{len(rows)} situations, {right.count(False)} came out wrong.\n"
        "Each recorded numbered frames to a file, of which every pixel was compared afterwards. `interrupted` is\n"
        "right where the script died or was ended: the frames are there.\n\n"
        "| what happened | what came of it |\n|---|---|"
    )
    print("\n".join(rows))
    return not all(right)
