"""What a user of Windows types: the README's first command, and each command by hand."""

import itertools
import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
from support.paths import PACKAGE_HOME, PROJECT, environment

pytestmark = pytest.mark.process

PROGRAM = PACKAGE_HOME / "bin" / "mmspool.exe"
"""The program that pip has made of the wheel's entry point: there if it was installed into a folder, as under Wine."""
if not PROGRAM.exists():
    PROGRAM = Path(sys.executable).with_name("mmspool.exe")


def readme_commands() -> list[list[str]]:
    """Return the words of each command of the README's line for PowerShell."""
    readme = (PROJECT / "README.md").read_text(encoding="utf-8")
    (line,) = re.findall(r"^    py -3\.11 .*$", readme, re.MULTILINE)
    return [command.split() for command in line.split("; ")]


def mmspool(folder: Path, *words: str, encoding: str = "utf-8") -> str:
    """Run the program in a folder, with a console of this code page; return what it prints."""
    run = subprocess.run(
        [str(PROGRAM), *words],
        cwd=folder,
        env=environment(PYTHONIOENCODING=encoding),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=240,
        check=False,
    )
    assert run.returncode == 0, (words, run.stdout, run.stderr)
    return run.stdout.decode(encoding)


def test_powershell_and_cmd_take_the_readme_s_words() -> None:
    """Each word is plain, or in double quotes where PowerShell would make a list of it.

    Wine has no PowerShell. Nor can the first two commands run: ``py`` comes with python.org's installer, and what pip
    would fetch from PyPI is the wheel and the packages that the other tests use.
    """
    for word in itertools.chain(*readme_commands()):
        assert re.fullmatch(r'[\w.:\\/=-]+|"[\w.,\[\]]+"', word, re.ASCII), word


def test_the_commands_of_a_recording(tmp_path: Path) -> None:
    """The README's command records from the real core; the others look at the file, check it and measure the disk."""
    program, *words = readme_commands()[-1]
    assert program == ".venv\\Scripts\\mmspool"
    words[words.index("--frames") + 1] = "20"
    mmspool(tmp_path, *words)
    assert json.loads(mmspool(tmp_path, "info", "run.h5", "--json"))["frames_written"] == 20
    assert json.loads(mmspool(tmp_path, "verify", "run.h5", "--json"))["intact"]
    mmspool(tmp_path, "repair", "run.h5", "--dry-run")
    assert "in the way of a recording" in mmspool(tmp_path, "doctor")
    mmspool(tmp_path, "preflight", ".", "--size", "64x64", "--fps", "10", "--seconds", "1")


@pytest.mark.parametrize("encoding", ["cp1252", "cp437"])
def test_old_code_pages(tmp_path: Path, encoding: str) -> None:
    """A file whose name the console cannot show is recorded and described all the same."""
    name = "細胞 µm ß.h5"
    size = ["--roi", "0,0,64,64", "--frames", "5", "--buffer-mb", "16"]
    mmspool(tmp_path, "record", name, "--mock", *size, encoding=encoding)
    assert "\\u7d30\\u80de µm ß.h5" in mmspool(tmp_path, "info", name, encoding=encoding)
