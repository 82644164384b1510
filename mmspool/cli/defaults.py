"""A lab's defaults: values of options from a file, used where the command line says nothing."""

import os
import sys
import tomllib
from pathlib import Path
from typing import Any

import click

VARIABLE = "MMSPOOL_CONFIG"
NAME = "mmspool.toml"


def find() -> Path | None:
    """Return the file of defaults: the one that is named, in the current folder, or the user's own; None without one.

    Raises
    ------
    click.UsageError
        The one that is named does not exist.
    """
    if named := os.environ.get(VARIABLE):
        if not Path(named).is_file():
            raise click.UsageError(f"{VARIABLE} names {named}, which is not a file")
        return Path(named)
    return next((path for path in (Path(NAME), _user_folder() / NAME) if path.is_file()), None)


def read(path: Path, group: click.Group) -> dict[str, dict[str, Any]]:
    """Return the defaults as click takes them: by command, by parameter.

    Raises
    ------
    click.UsageError
        The file is no TOML, or names a command or an option that does not exist.
    """
    try:
        tables = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as exc:
        raise click.UsageError(f"{path} cannot be read as TOML: {exc}") from exc
    return {name: _of_command(path, name, values, group) for name, values in tables.items()}


def _of_command(path: Path, name: str, values: Any, group: click.Group) -> dict[str, Any]:
    command = group.commands.get(name)
    if command is None or not isinstance(values, dict):
        raise click.UsageError(f"{path}: {name!r} is not a command; it has tables for {', '.join(group.commands)}")
    options = {
        word.removeprefix("--").replace("-", "_"): str(option.name)
        for option in command.params
        if isinstance(option, click.Option)
        for word in option.opts
        if word.startswith("--")
    }
    for key in values:
        if key not in options:
            raise click.UsageError(f"{path}: {name} has no option {key!r}; it has {', '.join(sorted(options))}")
    return {options[key]: value for key, value in values.items()}


def _user_folder() -> Path:
    if os.name == "nt":
        return Path(os.environ.get("APPDATA", str(Path.home()))) / "mmspool"
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Application Support" / "mmspool"
    return Path(os.environ.get("XDG_CONFIG_HOME", str(Path.home() / ".config"))) / "mmspool"
