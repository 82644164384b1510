"""The log that helps a remote colleague: what ran where, and what mmspool did."""

import contextlib
import logging
import os
import platform
import sys
from collections.abc import Iterator
from pathlib import Path

import click

from .._version import __version__
from .output import version_of

_PACKAGES = (
    "h5py",
    "numpy",
    "pycromanager",
    "pymmcore",
    "pymmcore-plus",
    "mm-test-adapters",
    "hdf5plugin",
    "imagecodecs",
)
_FORMAT = "%(asctime)s %(levelname)s %(process)d %(threadName)s %(message)s"


@contextlib.contextmanager
def log_to(path: Path) -> Iterator[None]:
    """Append to a file what happens meanwhile, beginning with versions, system and command.

    Raises
    ------
    click.UsageError
        The file cannot be written.
    """
    try:
        handler = logging.FileHandler(path, encoding="utf-8")
    except OSError as exc:
        raise click.UsageError(f"the log {path} cannot be written: {exc.strerror}") from exc
    handler.setFormatter(logging.Formatter(_FORMAT))
    logger = logging.getLogger("mmspool")
    logger.setLevel(logging.DEBUG)
    logger.addHandler(handler)
    logger.info("mmspool %s, Python %s, %s", __version__, platform.python_version(), platform.platform())
    logger.info("packages: %s", ", ".join(f"{name} {version_of(name) or 'not installed'}" for name in _PACKAGES))
    logger.info("%s processors, in %s", os.cpu_count(), Path.cwd())
    logger.info("command: %s", sys.argv)
    try:
        yield
    finally:
        logger.removeHandler(handler)
        handler.close()
