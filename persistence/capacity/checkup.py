"""What of this machine and of a folder matters to a recording, looked up without measuring anything."""

import os
import shutil
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import psutil

from ..block_layout import PAGE
from ..hdf5_file.direct_file import DirectFile
from ..shared_ring.buffer_size import available, default_buffer_bytes, own_groups
from ..shared_ring.hugepages import private_memory
from ..system.keep_awake import can_keep_awake
from ..system.os_file import is_locked, lock_shared, open_file
from .probes import check_folder

Rating = Literal["ok", "note", "problem"]

_LEAST_RING_BYTES = 128 << 20  # a sixth of a second of a fast camera
_LEAST_FREE_BYTES = 10 * 10**9
_NETWORK = {"nfs", "nfs4", "cifs", "smb3", "smbfs", "afs", "fuse.sshfs", "9p", "ceph", "glusterfs", "lustre"}
_SMALL_FILES = {"fat", "fat32", "vfat", "msdos"}
_REMOTE_DRIVE = 4  # of GetDriveTypeW


@dataclass(frozen=True, kw_only=True)
class Finding:
    """One thing that was looked at.

    Attributes
    ----------
    name
        What it is about.
    value
        What was found.
    rating
        ``"ok"``, ``"note"`` where something could be better or is not known, ``"problem"`` where a recording would
        fail or be at risk.
    advice
        What to do about it; empty where there is nothing to do.
    """

    name: str
    value: str
    rating: Rating = "ok"
    advice: str = ""


def examine_memory() -> list[Finding]:
    """Look at shared memory, at limits of the container or service, and at who removes shared memory."""
    return [_shared_memory(), _removal_at_logout(), *_processor_limits()]


def examine_folder(folder: Path) -> list[Finding]:
    """Look at the folder that recordings go to; an empty file is made in it for a moment.

    Raises
    ------
    StorageError
        The folder is missing, or no file can be made in it.
    """
    check_folder(folder)
    findings = [_file_system(folder), _free_room(folder)]
    with tempfile.TemporaryDirectory(dir=folder, prefix=".mmspool-doctor-") as name:
        path = Path(name) / "file"
        path.touch()
        findings += [_direct_writes(path), _locks(path)]
    return findings


def examine_system() -> list[Finding]:
    """Look at what else may disturb a recording: sleep, and virus scanners where they can be seen."""
    return [_sleep(), *_virus_scanner()]


def _shared_memory() -> Finding:
    (largest, limit), default = available(), default_buffer_bytes()
    value = f"room for a ring of {largest / 1e6:,.0f} MB, by {limit}; {default / 1e6:,.0f} MB by default"
    if largest >= _LEAST_RING_BYTES:
        return Finding(name="shared memory", value=value)
    advice = "a ring so small is full after a short stall: close other programs, or raise that limit"
    return Finding(name="shared memory", value=value, rating="problem", advice=advice)


def _processor_limits() -> list[Finding]:
    """Look at the limits that Linux sets a container or service; nothing on other systems."""
    limits = [(limit, folder) for folder, _ in own_groups("cpu") if (limit := _limit(folder / "cpu.max"))]
    return [
        Finding(
            name="processor limit",
            value=f"{quota / period:.2g} processors for this container or service ({folder})",
            rating="note",
            advice="a recording wants two: one for the camera, one for the disk",
        )
        for (quota, period), folder in limits
        if quota < 2 * period
    ]


def _limit(file: Path) -> tuple[int, int] | None:
    """Read quota and period of a limit; None where there is none."""
    try:
        quota, period = file.read_text(encoding="ascii").split()
        return int(quota), int(period)
    except (OSError, ValueError):  # "max"
        return None


def _removal_at_logout() -> Finding:
    """Report that neither systemd's RemoveIPC nor any other clean-up can remove the ring of a running recording."""
    if hasattr(os, "memfd_create") or sys.platform == "win32":
        value = "memory without a name in a file system: neither RemoveIPC nor a clean-up finds it"
    else:
        value = "memory whose name is removed at once: no clean-up finds it"
    return Finding(name="ring", value=value)


def _file_system(folder: Path) -> Finding:
    kind, where, remote = _mounted(folder.resolve())
    value = f"{kind or 'unknown'} at {where}"
    if kind.lower() in _SMALL_FILES:
        advice = "it has no files beyond 4 GiB: format the disk with NTFS (Windows) or ext4 or XFS (Linux)"
        return Finding(name="file system", value=value, rating="problem", advice=advice)
    if kind == "tmpfs":
        advice = "this is memory, not a disk: recordings compete with the ring and are gone after a restart"
        return Finding(name="file system", value=value, rating="note", advice=advice)
    if remote or kind.lower() in _NETWORK:
        advice = "a network stalls: record to a local disk and copy afterwards, or see preflight's stalls"
        return Finding(name="file system", value=f"{value}, over the network", rating="note", advice=advice)
    return Finding(name="file system", value=value)


def _mounted(folder: Path) -> tuple[str, str, bool]:
    """Return file system, mount point and whether it is a network's of the innermost mount that has the folder."""
    mounts = [each for each in psutil.disk_partitions(all=True) if folder.is_relative_to(each.mountpoint)]
    mount = max(mounts, key=lambda each: len(each.mountpoint), default=None)
    kind, where = (mount.fstype, mount.mountpoint) if mount else ("", folder.anchor)
    remote = False
    if sys.platform == "win32":
        import ctypes

        remote = ctypes.windll.kernel32.GetDriveTypeW(folder.anchor) == _REMOTE_DRIVE
    return kind, where, remote


def _free_room(folder: Path) -> Finding:
    free = shutil.disk_usage(folder).free
    value = f"{free / 1e9:,.1f} GB free"
    if free >= _LEAST_FREE_BYTES:
        return Finding(name="room", value=value)
    return Finding(name="room", value=value, rating="note", advice="that is seconds of a fast camera: make room")


def _direct_writes(path: Path) -> Finding:
    file = DirectFile(path)
    try:
        with private_memory(PAGE) as memory, memoryview(memory) as page:
            file.write_block(page, 0)
        direct = file.direct
    finally:
        file.close()
    if direct:
        return Finding(name="direct writes", value="past the page cache")
    advice = "this file system refuses them: expect a half to a third of the rate; a local NTFS, ext4 or XFS takes them"
    return Finding(name="direct writes", value="through the page cache", rating="note", advice=advice)


def _locks(path: Path) -> Finding:
    descriptor = open_file(path, os.O_RDWR)
    try:
        lock_shared(descriptor)
        works = is_locked(path)
    finally:
        os.close(descriptor)
    if works:
        return Finding(name="file locks", value="work: a file in use is not replaced")
    advice = "nobody is warned who replaces or repairs a file that is being recorded"
    return Finding(name="file locks", value="this file system has none", rating="note", advice=advice)


def _sleep() -> Finding:
    if can_keep_awake():
        return Finding(name="sleep", value="the system is asked to stay awake while it records")
    advice = "switch off automatic sleep in the system's power settings"
    return Finding(name="sleep", value="the system cannot be asked to stay awake", rating="note", advice=advice)


def _virus_scanner() -> list[Finding]:
    """Look for Windows' own virus scanner; others look like any other service."""
    if sys.platform == "win32":
        try:
            running = psutil.win_service_get("WinDefend").status() == "running"
        except (psutil.Error, OSError):
            running = False
        if running:
            advice = "exclude the folder: Windows Security > Virus & threat protection > Manage settings > Exclusions"
            return [Finding(name="virus scanner", value="Microsoft Defender runs", rating="note", advice=advice)]
        return [Finding(name="virus scanner", value="Microsoft Defender does not run; another one may")]
    return []
