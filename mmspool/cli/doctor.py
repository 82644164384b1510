"""The command ``doctor``."""

import platform
import sys
from dataclasses import asdict
from pathlib import Path

import click
import h5py
from rich.text import Text

from .._version import __version__
from ..persistence.capacity import Finding, examine_folder, examine_memory, examine_system
from .output import EXIT_INCOMPLETE, errors_as_messages, out, print_json, print_rows, version_of

_PACKAGES = ("numpy", "h5py", "pycromanager", "mmpycorex", "pyjavaz", "pymmcore", "pymmcore-plus", "mm-test-adapters")
_STYLES = {"ok": "green", "note": "yellow", "problem": "red"}


@click.command()
@click.argument("directory", metavar="[DIR]", default=".", type=click.Path(path_type=Path))
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def doctor(directory: Path, *, as_json: bool) -> None:
    """Check what on this computer affects a recording to DIR.

    It looks at versions, shared memory, limits, file system, direct writes, locks, sleep and virus scanner, and says
    what to do about each finding. It takes a second and leaves nothing behind. `mmspool preflight` measures how fast
    the disk is.

    \b
    Examples:
      mmspool doctor
      mmspool doctor D:/data

    Exit codes: 0 nothing is in the way, 1 error, 2 wrong usage, 3 something would make a recording fail.
    """  # noqa: D301 - click reads the control character
    with errors_as_messages():
        findings = [*_versions(), *examine_memory(), *examine_folder(directory), *examine_system()]
    problems = [finding for finding in findings if finding.rating == "problem"]
    if as_json:
        facts = {"mmspool": __version__, "folder": str(directory.absolute())}
        print_json(facts | {"findings": [asdict(finding) for finding in findings]})
    else:
        rows: list[tuple[str, str | Text]] = []
        for finding in findings:
            rows.append((finding.name, Text(finding.value, _STYLES[finding.rating])))
            if finding.advice:
                rows.append(("", f"-> {finding.advice}"))
        print_rows(rows)
        out.print(_summary(findings))
    sys.exit(EXIT_INCOMPLETE if problems else 0)


def _versions() -> list[Finding]:
    system = f"{platform.system()} {platform.release()} ({platform.machine()})"
    packages = [f"{name} {found}" for name in _PACKAGES if (found := version_of(name))]
    return [
        Finding(name="mmspool", value=f"{__version__}, Python {platform.python_version()}, {system}"),
        Finding(name="packages", value=", ".join([*packages, f"HDF5 {h5py.version.hdf5_version}"])),
        _device_interface(),
    ]


def _device_interface() -> Finding:
    """Compare the device interface of the core with that of the demo's adapters: the fourth and the first number."""
    core, adapters = version_of("pymmcore"), version_of("mm-test-adapters")
    if not core:
        value, advice = "pymmcore is not installed", "--headless and --demo need it: pip install pymmcore"
        return Finding(name="device interface", value=value, rating="note", advice=advice)
    interface = core.split(".")[3] if core.count(".") >= 3 else "unknown"
    value = f"{interface} (pymmcore {core}): Micro-Manager's has to be the same, see its Help > About"
    if adapters and adapters.split(".")[0] != interface:
        advice = f"no device of mm-test-adapters {adapters} can be loaded: install the version for {interface}"
        return Finding(name="device interface", value=value, rating="problem", advice=advice)
    return Finding(name="device interface", value=value)


def _summary(findings: list[Finding]) -> str:
    problems = sum(finding.rating == "problem" for finding in findings)
    notes = sum(finding.rating == "note" for finding in findings)
    if problems:
        return f"{problems} in the way of a recording, {notes} to consider"
    return f"nothing is in the way of a recording, {notes} to consider"
