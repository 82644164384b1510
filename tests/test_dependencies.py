"""What the package imports and what pyproject.toml declares are the same."""

import ast
import re
import sys
import tomllib
from importlib import metadata
from pathlib import Path

from support.paths import PROJECT

LAYERS = ("mmspool", "driver", "adapters", "persistence")
TOOLS = {"test", "lint", "dev"}
"""Extras for whoever works on mmspool: no module of the package imports them."""

IMPORTERS = {"import_module", "require", "_load"}
"""Functions whose first argument is a module's name."""

HOSTS = {"IPython"}
"""Imported only where it is running already: a notebook brings it."""

PLUGINS = {
    "pycromanager": "the user's script; the package uses its parts",
    "pymmcore": "the core, held to the device interface of mm-test-adapters",
    "pymmcore-plus": "cores that the user hands over, and their signals",
}
"""Declared and used, but not by an import that can be seen."""


def imported() -> set[str]:
    """Return the top names of all absolute imports in the package, and of the modules that it names as text."""
    names: set[str] = set()
    for layer in LAYERS:
        for path in (PROJECT / layer).rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                if isinstance(node, ast.Import):
                    names |= {alias.name.partition(".")[0] for alias in node.names}
                elif isinstance(node, ast.ImportFrom) and not node.level:
                    names.add(str(node.module).partition(".")[0])
                elif isinstance(node, ast.Call) and node.args and isinstance(node.args[0], ast.Constant):
                    called, text = ast.unparse(node.func).rpartition(".")[2], node.args[0].value
                    if called in IMPORTERS and isinstance(text, str):
                        names.add(text.partition(".")[0])
    return names - set(sys.stdlib_module_names) - {"mmspool", ""}


def declared(*, with_extras: bool = False) -> set[str]:
    """Return the distributions that pyproject.toml names, on request with the names of the extras asked of them."""
    project = tomllib.loads((PROJECT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    wanted = list(project["dependencies"])
    for extra, more in project["optional-dependencies"].items():
        wanted += [] if extra in TOOLS else more
    names = [re.split(r"[\s<>=!~;]", name, maxsplit=1)[0].lower() for name in wanted]
    parts = [[part for part in re.split(r"[\[\],]", name) if part] for name in names]
    return {part for name, *extras in parts for part in (name, *(extras if with_extras else ()))}


def distributions(name: str) -> set[str]:
    """Return the distributions that may bring a module of this name."""
    found = metadata.packages_distributions().get(name, [name])
    return {each.lower() for each in found} | {name.lower().replace("_", "-")}


def test_everything_imported_is_declared() -> None:
    """Each module that the package imports comes from a distribution that pyproject.toml names."""
    assert sorted(name for name in imported() - HOSTS if not distributions(name) & declared(with_extras=True)) == []


def test_everything_declared_is_imported() -> None:
    """Each distribution that pyproject.toml names is imported, or is in the list of what is used otherwise."""
    used = set().union(*(distributions(name) for name in imported())) | set(PLUGINS)
    assert sorted(declared() - used) == []


def test_versions_have_one_place() -> None:
    """The version in the package's metadata is read from mmspool/_version.py, and stands nowhere else."""
    text = (PROJECT / "pyproject.toml").read_text(encoding="utf-8")
    assert 'version = { attr = "mmspool._version.__version__" }' in text
    found = re.search(r'"(.+)"', Path(PROJECT / "mmspool" / "_version.py").read_text(encoding="utf-8"))
    assert found
    assert f'"{found[1]}"' not in text
    assert not re.search(r"^version:", (PROJECT / "CITATION.cff").read_text(encoding="utf-8"), re.MULTILINE)
