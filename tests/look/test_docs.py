"""The pages of the documentation do what they say: every Python block, every option, every schema."""

import json
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import click
import pytest
from click.testing import CliRunner

import mmspool
from mmspool.cli import main

from .conftest import record

pytestmark = pytest.mark.filterwarnings("ignore:::(?!mmspool)")

DOCS = Path(__file__).parents[2] / "docs"
PAGES = sorted([*DOCS.glob("tutorial/*.md"), *DOCS.glob("how-to/*.md"), DOCS / "troubleshooting.md"])
SCHEMAS = {path.stem: path for path in sorted((DOCS / "schema").glob("*.json"))}
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```", re.MULTILINE | re.DOTALL)


def blocks(page: Path, *languages: str) -> list[str]:
    """Return a page's blocks of some languages."""
    return [text for language, text in BLOCK.findall(page.read_text(encoding="utf-8")) if language in languages]


@pytest.mark.parametrize("page", [page for page in PAGES if blocks(page, "python")], ids=lambda page: page.stem)
def test_python_blocks(page: Path, tmp_path: Path, source: Path) -> None:
    """A page's Python runs from top to bottom, in a folder with a ``run.h5`` where the page does not record it."""
    code = "\n".join(blocks(page, "python"))
    if 'record("run.h5"' not in code:
        shutil.copy(source, tmp_path / "run.h5")
    script = tmp_path / "page.py"
    script.write_text(code, encoding="utf-8")
    done = subprocess.run([sys.executable, str(script)], cwd=tmp_path, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr


def commands() -> list[tuple[str, str]]:
    """Return every line of the docs that calls mmspool, with its page."""
    found = []
    for page in [*PAGES, *DOCS.glob("reference/*.md")]:
        for block in blocks(page, "console", "powershell"):
            lines = [line.removeprefix("$ ").strip() for line in block.splitlines()]
            found += [(page.stem, line) for line in lines if line.startswith("mmspool ")]
    return found


@pytest.mark.parametrize(("page", "line"), commands())
def test_commands(page: str, line: str) -> None:
    """Each command that a page shows exists, with its options, and takes its arguments."""
    words = shlex.split(line.replace("\\", "/"))[1:]
    if words[0] == "--log":
        words = words[2:]
    command = main.commands[words[0]]
    with click.Context(command) as context:
        command.make_parser(context).parse_args(words[1:])


@pytest.mark.parametrize(
    "page",
    sorted(path for path in DOCS.rglob("*.md") if "_generated" not in path.parts),
    ids=lambda page: str(page.relative_to(DOCS)),
)
def test_links(page: Path) -> None:
    """What a page links to is there."""
    links = re.findall(r"\]\(([^)#\s]+)[^)]*\)", page.read_text(encoding="utf-8"))
    missing = [
        link for link in links if "://" not in link and "_generated" not in link and not (page.parent / link).exists()
    ]
    assert missing == []


def test_troubleshooting_quotes_messages() -> None:
    """What the page is sorted by are words of mmspool's messages, or names of its errors, as they are now."""
    package = Path(mmspool.__file__).parent
    folders = [package, *(package.parent / name for name in ("adapters", "driver", "persistence"))]
    sources = "\n".join(
        path.read_text(encoding="utf-8") for folder in folders if folder.is_dir() for path in folder.rglob("*.py")
    )
    joined = re.sub(r"[\"']\s*\n\s*f?[\"']", "", sources)  # a message over several lines
    headings = re.findall(r"^## (.*`.*)$", (DOCS / "troubleshooting.md").read_text(encoding="utf-8"), re.MULTILINE)
    quoted = [part for heading in headings for text in re.findall(r"`([^`]+)`", heading) for part in text.split("...")]
    known = ("mmspool: command not found", "no Micro-Manager answers on port 4827")
    missing = [part for part in quoted if part.strip() and part.strip() not in joined and part not in known]
    assert len(quoted) > 10
    assert missing == []


class TestSchemas:
    """Real output of each command is what its published schema says."""

    @pytest.fixture(scope="class")
    def folder(self, tmp_path_factory: pytest.TempPathFactory) -> Path:
        """Return a folder with a small recording, one of a single frame, and one of two cameras."""
        path = tmp_path_factory.mktemp("schemas")
        record(path / "run.h5", frames=10, lost_before=(4,))
        record(path / "single.h5", frames=1)
        cameras = {name: mmspool.Camera.mock(width=64, height=48) for name in ("left", "right")}
        mmspool.record_cameras(path / "pair.h5", cameras, frames=3, buffer_bytes=16_000_000)
        return path

    def test_all_are_there(self) -> None:
        """Every command with ``--json`` has a schema, and no other has."""
        with_json = {
            name
            for name, command in main.commands.items()
            if any("--json" in parameter.opts for parameter in command.params)
        }
        assert with_json == set(SCHEMAS)

    @pytest.mark.parametrize(
        ("command", "arguments"),
        [
            ("info", ["run.h5"]),
            ("info", ["single.h5"]),
            ("info", ["pair.h5"]),
            ("verify", ["run.h5"]),
            ("repair", ["run.h5", "--dry-run"]),
            ("watch", ["run.h5"]),
            ("export", ["run.h5", "run.npy", "--overwrite"]),
            ("report", ["run.h5", "run.html", "--overwrite"]),
            ("compress", ["run.h5", "small.h5"]),
            ("join", ["twice.h5", "run.h5", "run.h5"]),
            ("record", ["new.h5", "--mock", "--roi", "0,0,64,64", "--frames", "5", "--buffer-mb", "16"]),
            ("doctor", ["."]),
            ("preflight", [".", "--size", "64x64", "--fps", "10", "--seconds", "1"]),
        ],
    )
    def test_output(self, folder: Path, monkeypatch: pytest.MonkeyPatch, command: str, arguments: list[str]) -> None:
        """The output is one JSON object that the schema describes."""
        import jsonschema

        monkeypatch.chdir(folder)
        result = CliRunner().invoke(main, [command, *arguments, "--json"])
        assert result.exit_code in (0, 3), result.output
        schema: Any = json.loads(SCHEMAS[command].read_text(encoding="utf-8"))
        jsonschema.Draft202012Validator.check_schema(schema)
        jsonschema.validate(json.loads(result.stdout), schema)
