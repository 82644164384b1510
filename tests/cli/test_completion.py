"""Tab completion in real shells."""

import contextlib
import os
import re
import select
import shutil
import stat
import subprocess
import sys
import time
from pathlib import Path

import pytest
from support.paths import environment

pytestmark = pytest.mark.usefixtures("processes")

HABITS = (Path(__file__).parents[2] / "docs" / "how-to" / "lab-defaults.md").read_text(encoding="utf-8")
LIMIT_S = 60
ESCAPES = re.compile(r"\x1b(\[[0-?]*[ -/]*[@-~]|\][^\x07]*\x07|[()].|[=>])")


@pytest.fixture
def shell_environment(tmp_path):
    """Return an environment with the command ``mmspool`` and an empty home, in a folder with ``run.h5``."""
    command = tmp_path / "bin" / "mmspool"
    command.parent.mkdir()
    command.write_text(f"#!{sys.executable}\nfrom mmspool.cli import main\nmain(prog_name='mmspool')\n")
    command.chmod(command.stat().st_mode | stat.S_IXUSR)
    (tmp_path / "run.h5").touch()
    path = f"{command.parent}{os.pathsep}{os.environ['PATH']}"
    home = {name: str(tmp_path) for name in ("HOME", "ZDOTDIR", "XDG_CONFIG_HOME", "XDG_DATA_HOME")}
    return environment(PATH=path, TERM="xterm", **home)


def printed(command, env):
    """Return the words that a command prints, which has no complaint."""
    done = subprocess.run(command, env=env, capture_output=True, text=True, timeout=LIMIT_S, check=True)
    assert done.stderr == ""
    return done.stdout.split()


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
def test_offers(line, expected):
    """Commands, options and the values of options are offered to the shell that asks."""
    asked = {"COMP_WORDS": line, "COMP_CWORD": str(len(f"{line}|".split()) - 1)}
    offered = printed([sys.executable, "-m", "mmspool"], environment(_MMSPOOL_COMPLETE="bash_complete", **asked))
    assert {offer.partition(",")[2] for offer in offered} == expected


def test_files(shell_environment):
    """Where a file is wanted, bash completes the names of files itself."""
    if shutil.which("bash") is None:
        pytest.skip("bash is not installed")
    script = 'eval "$(_MMSPOOL_COMPLETE=bash_source mmspool)"; COMP_WORDS=(mmspool verify r); COMP_CWORD=2; '
    script += 'compopt() { echo "files"; }; complete -p mmspool >/dev/null && _mmspool_completion mmspool; '
    script += 'printf "%s\\n" "${COMPREPLY[@]}"'
    assert printed(["bash", "--norc", "-c", script], shell_environment) == ["files"]


class Terminal:
    """A shell in a terminal of its own, which a person types into."""

    def __init__(self, command, folder, env):
        self._terminal, inside = os.openpty()
        self._process = subprocess.Popen(
            ["setsid", "--ctty", *command], cwd=folder, env=env, stdin=inside, stdout=inside, stderr=inside
        )
        os.close(inside)
        self.screen = ""

    def type(self, keys):
        """Press keys."""
        os.write(self._terminal, keys.encode())

    def wait_for(self, *texts):
        """Wait until all texts are on the screen."""
        limit = time.monotonic() + LIMIT_S
        while not all(text in self.screen for text in texts):
            ready, _, _ = select.select([self._terminal], [], [], max(0, limit - time.monotonic()))
            assert ready, f"{texts} did not come: {self.screen!r}"
            self.screen += ESCAPES.sub("", os.read(self._terminal, 1 << 16).decode(errors="replace"))

    def close(self):
        """End the shell."""
        self._process.kill()
        self._process.wait()
        os.close(self._terminal)


def documented(pattern):
    """Return the line of the docs that switches completion on in a shell."""
    return re.search(pattern, HABITS, re.MULTILINE)[1]


@pytest.fixture(params=["bash", "zsh", "fish"])
def terminal(request, tmp_path, shell_environment):
    """Start a shell in which completion is on as the docs say, and wait for its prompt."""
    shell = request.param
    if shutil.which(shell) is None:
        pytest.skip(f"{shell} is not installed (Debian: {shell})")
    if shell == "fish":
        (tmp_path / "fish/completions").mkdir(parents=True)
        line = documented(r"`(_MMSPOOL_COMPLETE=fish_source .*)`").replace("~/.config/", "$XDG_CONFIG_HOME/")
        start = f"function fish_prompt; echo 'type> '; end; function fish_greeting; end; {line}"
        (tmp_path / "fish/config.fish").write_text(start)
        command = ["fish"]
    elif shell == "zsh":
        start = documented(r"^\$ (eval .*zsh_source.*)$")
        (tmp_path / ".zshrc").write_text(f"autoload -Uz compinit; compinit -u; {start}; PS1='type> '\n")
        command = ["zsh", "-i"]
    else:
        start = documented(r"^\$ (eval .*bash_source.*)$")
        (tmp_path / ".bashrc").write_text(f"{start}; PS1='type> '\n")
        command = ["bash", "-i"]
    opened = Terminal(command, tmp_path, shell_environment)
    with contextlib.closing(opened):
        opened.wait_for("type> ")
        yield opened


def test_a_command_is_completed(terminal):
    """The rest of a command is typed by the shell, which then runs it."""
    terminal.type("mmspool ver\t--help\r")
    terminal.wait_for("Usage: mmspool verify")


def test_several_commands_are_listed(terminal):
    """Where several commands begin so, the shell lists them."""
    terminal.type("mmspool re\t\t")
    terminal.wait_for("record", "repair", "report")
