r"""Run the tests with a Windows Python, on the wheel, as ``tox -e windows`` does.

``python tests/windows/run.py`` does the same by hand; it takes pytest's arguments too, with paths as Windows has them
(``Z:\home\...``).
"""

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import bundle
from environment import HERE, UnavailableError, Windows, build, windows_path

TOP = HERE.parents[1]
FOLDERS = ["adapters", "cli", "driver", "examples", "persistence", "windows", "test_public.py", "test_readme.py"]
"""What is run: all but the tests that trace Linux's system calls, load its fault-injecting library or measure."""

PACKAGED = ["adapters", "driver", "mmspool", "persistence", "pyproject.toml", "README.md", "LICENSE"]
"""What the wheel is built from."""

APART = "adapters/test_java_bridge.py"
"""What is run in processes of its own, since Wine goes on asking for sockets that ZMQ has closed until they end."""

PARALLEL = ["-n", "2", "--dist", "worksteal"]
"""Each process gets whole modules."""

LIMIT_S = 300
"""How long a test may take before the run ends with all its threads' tracebacks; under Wine none takes a minute."""


def main(arguments: list[str]) -> int:
    """Run the tests and return pytest's exit code, the first that is not 0; without Wine 0, or 1 in CI."""
    try:
        windows = build()
    except UnavailableError as error:
        sys.stderr.write(f"the tests of Windows were NOT run: {error}\n")
        return 1 if os.environ.get("CI") else 0
    with tempfile.TemporaryDirectory(prefix="mmspool-windows-") as folder:
        path = ";".join([_install(windows, Path(folder)), windows_path(HERE)])
        bundle.write(windows, Path(folder) / "site")
        environment = windows.environment(PYTHONPATH=path)
        options = [
            "-c",
            windows_path(TOP / "pyproject.toml"),
            "-p",
            "no:cacheprovider",
            "-p",
            "selection",
            f"--timeout={LIMIT_S}",
            "-o",
            "tmp_path_retention_policy=failed",  # Wine lists long folders slowly
        ]
        temporary = f"--basetemp={windows_path(Path(folder) / 'tests')}"
        tests, apart = [windows_path(TOP / "tests" / name) for name in FOLDERS], windows_path(TOP / "tests" / APART)
        runs = [arguments] if arguments else [[*PARALLEL, apart], [*PARALLEL, *tests, f"--ignore={apart}"]]
        command = ["-m", "pytest", *options, temporary]
        codes = [windows.run([*command, *run], environment=environment, cwd=Path(folder)) for run in runs]
        if (note := Path(folder) / "site" / "started-again.txt").exists():
            sys.stdout.write(note.read_text(encoding="utf-8"))
        return next(filter(None, codes), 0)


def _install(windows: Windows, folder: Path) -> str:
    """Install the wheel as a user of Windows does, with pip; return the folder for ``PYTHONPATH``."""
    wheel = _wheel(folder)
    site = windows_path(folder / "site")
    install = ["-m", "pip", "install", "--quiet", "--no-deps", "--no-index", "--target", site, windows_path(wheel)]
    if code := windows.run(install, environment=windows.environment()):
        sys.exit(f"pip could not install {wheel} under Wine (exit code {code})")
    return site


def _wheel(folder: Path) -> Path:
    """Build the wheel from a copy: in the checkout setuptools would add what earlier builds have left there."""
    source = folder / "source"
    for name in PACKAGED:
        copy = shutil.copytree if (TOP / name).is_dir() else shutil.copy
        source.mkdir(exist_ok=True)
        copy(TOP / name, source / name)
    build = ["wheel", "--quiet", "--disable-pip-version-check", "--no-deps", "--wheel-dir", str(folder), str(source)]
    subprocess.run([sys.executable, "-m", "pip", *build], check=True)
    return next(folder.glob("*.whl"))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
