"""File systems that tests mount: of images, of memory, through FUSE, and of an SFTP server."""

import contextlib
import os
import shutil
import socket
import subprocess
import sys
from functools import cache
from pathlib import Path

from support.waiting import wait_until

IMAGE_BYTES = 700 << 20
SFTP_SERVER = "/usr/lib/openssh/sftp-server"

MAKERS = {
    "ext2": ["mkfs.ext2", "-q", "-F"],
    "ext3": ["mkfs.ext3", "-q", "-F"],
    "xfs": ["mkfs.xfs", "-q", "-f"],
    "btrfs": ["mkfs.btrfs", "-q", "-f"],
    "vfat": ["mkfs.vfat"],
    "exfat": ["mkfs.exfat"],
    "ntfs": ["mkfs.ntfs", "-q", "-F", "-f"],
}
"""What makes a file system in an image."""

BY_FUSE = {"ntfs": "ntfs-3g", "exfat": "mount.exfat-fuse", "bindfs": "bindfs", "sshfs": "sshfs"}
"""What mounts a file system that is a program."""

_ADMIN = 1 << 21  # CAP_SYS_ADMIN


@cache
def can_mount(kind: str) -> bool:
    """Return whether this process may mount a file system of a kind, and has its programs and the kernel's support."""
    if sys.platform != "linux":
        return False
    status = Path("/proc/self/status").read_text(encoding="ascii")
    capabilities = int(status.partition("CapEff:")[2].split()[0], 16)
    programs = [MAKERS[kind][0]] if kind in MAKERS else []
    programs += [BY_FUSE[kind]] if kind in BY_FUSE else []
    programs += [SFTP_SERVER] if kind == "sshfs" else []
    known = {line.split()[-1] for line in Path("/proc/filesystems").read_text(encoding="ascii").splitlines()}
    device = "/dev/fuse" if kind in BY_FUSE else "/dev/loop-control" if kind in MAKERS else "/dev/null"
    return (
        bool(capabilities & _ADMIN)
        and all(_find(program) for program in programs)
        and (kind in known or kind in BY_FUSE)
        and os.access(device, os.R_OK | os.W_OK)
    )


class Mounts:
    """Mounts file systems below a folder; `close` unmounts them.

    Parameters
    ----------
    folder
        For images and mount points.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._undo = contextlib.ExitStack()

    def __call__(self, kind: str, *, size_mb: int = 300) -> Path:
        """Mount a file system; ``size_mb`` is that of one in memory. Returns its folder."""
        place = self._folder / kind
        place.mkdir()
        if kind == "tmpfs":
            _run("mount", "-t", "tmpfs", "-o", f"size={size_mb}m", "tmpfs", place)
        elif kind == "overlay":
            base = self("tmpfs")
            for name in ("lower", "upper", "work"):
                (base / name).mkdir()
            options = f"lowerdir={base}/lower,upperdir={base}/upper,workdir={base}/work"
            _run("mount", "-t", "overlay", "-o", options, "overlay", place)
        elif kind == "sshfs":
            self._mount_sshfs(place)
        elif kind == "bindfs":
            (self._folder / "below").mkdir()
            _run("bindfs", self._folder / "below", place)
        else:
            image = self._folder / f"{kind}.img"
            with image.open("wb") as file:
                file.truncate(IMAGE_BYTES)
            _run(*MAKERS[kind], image)
            device = _run("losetup", "-f", "--show", image)
            self._undo.callback(_run, "losetup", "-d", device)
            _run(*([BY_FUSE[kind]] if kind in BY_FUSE else ["mount", "-t", kind]), device, place)
        self._undo.callback(_run, "umount", "-l", place)  # a process that ends may still have a file there
        return place

    def close(self) -> None:
        """Unmount all."""
        self._undo.close()

    def _mount_sshfs(self, place: Path) -> None:
        """Mount a folder through an SFTP server, to which a socket leads instead of ssh."""
        below = self._folder / "served"
        below.mkdir()
        here, there = socket.socketpair()
        with here, there:
            server = subprocess.Popen([SFTP_SERVER], stdin=there, stdout=there)
            self._undo.callback(server.wait)
            command = [_find("sshfs"), "-f", "-o", "passive", f":{below}", str(place)]
            client = subprocess.Popen(command, stdin=here, stdout=here)
            self._undo.callback(client.wait)
        wait_until(lambda: os.path.ismount(place) or client.poll() is not None, "sshfs is mounted")
        assert os.path.ismount(place), f"sshfs ended with {client.returncode}"


def _find(program: str) -> str:
    return shutil.which(program) or shutil.which(program, path="/usr/sbin:/sbin") or ""


def _run(*words: object) -> str:
    command = [_find(str(words[0])), *map(str, words[1:])]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert not done.returncode, f"{' '.join(command)}: {done.stderr.strip()[-300:]}"
    return done.stdout.strip()
