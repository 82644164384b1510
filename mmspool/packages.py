"""Optional packages: imported when they are used, with advice where they are missing."""

import importlib
import os
import shlex
import subprocess
import sys
from types import ModuleType

from .errors import MissingPackageError


def require(module: str, purpose: str, *, install: str | None = None) -> ModuleType:
    """Import a module of an optional package.

    Parameters
    ----------
    module
        Its name, such as ``"matplotlib.figure"``.
    purpose
        What it is needed for, as the beginning of the message: ``"a report"``.
    install
        What to give pip, where that is not the module's first name; several packages with spaces between them.

    Raises
    ------
    MissingPackageError
        It cannot be imported; the message has the command that installs it.
    """
    try:
        return importlib.import_module(module)
    except ImportError as exc:
        package = module.partition(".")[0]
        raise MissingPackageError(
            f"{purpose} needs the package {package}, which cannot be imported ({exc}): "
            f"{command_line(sys.executable, '-m', 'pip', 'install', *(install or package).split())}"
        ) from exc


def command_line(*words: str) -> str:
    """Return words as they are typed into this system's shell."""
    return subprocess.list2cmdline(words) if os.name == "nt" else shlex.join(words)
