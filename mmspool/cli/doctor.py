"""The command ``doctor``."""

import contextlib
import os
import platform
import subprocess
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
_LOADED_S = 20.0  # for a library to be loaded, past a virus scanner
_READ_INTERFACE = """
import ctypes, sys
if sys.platform == "win32":
    ctypes.windll.kernel32.SetErrorMode(0x8001)  # no window about what is missing
print(ctypes.CDLL(sys.argv[1]).GetDeviceInterfaceVersion())
"""
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
        *map(_micro_manager, _micro_managers()),
    ]


def _device_interface() -> Finding:
    """Compare the device interface of the core with that of the demo's adapters: the fourth and the first number."""
    core, adapters = version_of("pymmcore"), version_of("mm-test-adapters")
    if not core:
        value, advice = "pymmcore is not installed", "--headless and --demo need it: pip install pymmcore"
        return Finding(name="device interface", value=value, rating="note", advice=advice)
    interface = _interface_of(core)
    value = f"{interface} (pymmcore {core}): Micro-Manager's has to be the same, see its Help > About"
    if adapters and adapters.split(".")[0] != interface:
        advice = f"no device of mm-test-adapters {adapters} can be loaded: install the version for {interface}"
        return Finding(name="device interface", value=value, rating="problem", advice=advice)
    return Finding(name="device interface", value=value)


def _interface_of(core: str) -> str:
    return core.split(".")[3] if core.count(".") >= 3 else "unknown"


def _micro_managers() -> list[Path]:
    """Return the folders of Micro-Manager: the one that pymmcore-plus is given, and those where installers put it."""
    programs = Path(os.environ.get("PROGRAMFILES", "C:/Program Files"))
    places = {"win32": [programs], "darwin": [Path("/Applications"), Path.home()]}
    found = [each for place in places.get(sys.platform, []) for each in sorted(place.glob("Micro-Manager*"))]
    given = os.environ.get("MICROMANAGER_PATH")
    return list(dict.fromkeys([Path(given), *found] if given else found))


def _micro_manager(folder: Path) -> Finding:
    """Compare an installed Micro-Manager's device interface with that of pymmcore."""
    core, interface = _interface_of(version_of("pymmcore")), ""
    if adapter := next(folder.glob("*mmgr_dal_DemoCamera*"), None):  # each has it
        # A core loads it and calls this too; here in a process of its own, since nobody knows what it is.
        command = [sys.executable, "-c", _READ_INTERFACE, str(adapter.absolute())]
        with contextlib.suppress(OSError, subprocess.TimeoutExpired):
            interface = subprocess.run(command, capture_output=True, text=True, timeout=_LOADED_S).stdout.strip()  # noqa: S603
    value = f"{folder}: device interface {interface or 'unknown'}"
    if interface == core:
        return Finding(name="Micro-Manager", value=value)
    advice = f"--headless cannot load its devices: install the pymmcore whose fourth number is {interface}"
    if not interface:
        advice = "it has no DemoCamera that could be asked: see Help > About in Micro-Manager"
    return Finding(name="Micro-Manager", value=value, rating="note", advice=advice)


def _summary(findings: list[Finding]) -> str:
    problems = sum(finding.rating == "problem" for finding in findings)
    notes = sum(finding.rating == "note" for finding in findings)
    if problems:
        return f"{problems} in the way of a recording, {notes} to consider"
    return f"nothing is in the way of a recording, {notes} to consider"
