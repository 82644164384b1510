"""Tab completion in a real shell."""

import os
import shutil
import stat
import subprocess
import sys

import pytest
from support.paths import environment

pytestmark = [
    pytest.mark.usefixtures("processes"),
    pytest.mark.skipif(shutil.which("bash") is None, reason="bash is not installed"),
    pytest.mark.skipif(sys.platform == "win32", reason="a bash of Windows starts no script for Python"),
]


@pytest.fixture
def complete(tmp_path):
    """Return what bash offers at the end of a line, in a folder with ``run.h5``."""
    command = tmp_path / "bin" / "mmspool"
    command.parent.mkdir()
    command.write_text(f"#!{sys.executable}\nfrom mmspool.cli import main\nmain(prog_name='mmspool')\n")
    command.chmod(command.stat().st_mode | stat.S_IXUSR)
    (tmp_path / "run.h5").touch()
    env = environment(PATH=f"{command.parent}{os.pathsep}{os.environ['PATH']}")

    def offered(line):
        words = [*line.split(), *([""] if line.endswith(" ") else [])]
        script = 'eval "$(_MMSPOOL_COMPLETE=bash_source mmspool)"; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); '
        script += 'compopt() { echo "files"; }; complete -p mmspool >/dev/null && _mmspool_completion mmspool; '
        script += 'printf "%s\\n" "${COMPREPLY[@]}"'
        done = subprocess.run(
            ["bash", "--norc", "-c", script, "bash", *words],
            cwd=tmp_path,
            env=env,
            capture_output=True,
            text=True,
            timeout=60,
            check=True,
        )
        assert done.stderr == ""
        return done.stdout.split()

    return offered


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("mmspool ver", {"verify"}),
        ("mmspool re", {"record", "repair", "report"}),
        ("mmspool record run.h5 --comp", {"--compression"}),
        ("mmspool record run.h5 --compression ", {"fast", "small", "universal"}),
        ("mmspool export run.h5 x.npy --project m", {"max", "mean", "min"}),
    ],
)
def test_offers(complete, line, expected):
    """Commands, options and the values of options are completed."""
    assert set(complete(line)) == expected


def test_files(complete):
    """Where a file is wanted, bash completes the names of files itself."""
    assert complete("mmspool verify r") == ["files"]
