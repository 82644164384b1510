"""What the figures depend on: the machine and the versions."""

import os
import platform
import subprocess
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import psutil

_PACKAGES = [
    "mmspool",
    "numpy",
    "h5py",
    "pycromanager",
    "pymmcore",
    "mm-test-adapters",
    "tables",
    "ndstorage",
    "tifffile",
    "zarr",
    "zarrs",
    "tensorstore",
    "acquire-zarr",
    "ome-writers",
    "hdf5plugin",
]


def describe(folder: Path) -> dict[str, Any]:
    """Return what the figures depend on, for the disk that ``folder`` is on."""
    disk = max(
        (part for part in psutil.disk_partitions(all=True) if folder.resolve().is_relative_to(part.mountpoint)),
        key=lambda part: len(part.mountpoint),
    )
    return {
        "processor": _processor(),
        "cores": os.cpu_count(),
        "memory_bytes": psutil.virtual_memory().total,
        "system": platform.platform(),
        "python": platform.python_version(),
        "packages": {name: _version(name) for name in _PACKAGES},
        "commit": _commit(),
        "file_system": disk.fstype,
        "device": disk.device,
        "mount_options": disk.opts,
    }


def _processor() -> str:
    for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "not installed"


def _commit() -> str:
    command = ["git", "-C", str(Path(__file__).parent), "describe", "--always", "--dirty"]
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
