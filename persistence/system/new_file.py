"""Files that take their name only when they are whole."""

import contextlib
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

from ...errors import StorageError
from .os_file import open_file, remove_file, replace_file, sync


@contextlib.contextmanager
def beside(final: Path) -> Iterator[Path]:
    """Yield an empty file in the final one's folder, to be written and given its name; what is left there is removed.

    Nobody else can read it: `publish` makes it readable.

    Raises
    ------
    StorageError
        There is no such folder.
    """
    folder = final.absolute().parent
    if not folder.is_dir():
        raise StorageError(f"{folder} is not a folder: create it first")
    descriptor, name = tempfile.mkstemp(prefix=f".{final.name}-", suffix=".part", dir=folder)
    os.close(descriptor)
    try:
        yield Path(name)
    except BaseException as exc:
        discard_file(Path(name), exc)
        raise
    remove_file(Path(name))


def discard_file(path: Path, why: BaseException) -> None:
    """Remove a file that did not come about; where that fails, ``why`` gets a note and is not hidden."""
    try:
        remove_file(path)
    except OSError as removing:
        why.add_note(f"{path} could not be removed: {removing.strerror}")


def publish(partial: Path, final: Path) -> None:
    """Give a new file its name, in place of another if there is one, and let everybody read it."""
    with contextlib.suppress(OSError):  # FAT has no such modes
        partial.chmod(0o644)
    replace_file(partial, final)


def sync_file(path: Path) -> None:
    """Return when what was written to a file is on the device."""
    descriptor = open_file(path, os.O_RDWR)
    try:
        sync(descriptor)
    finally:
        os.close(descriptor)
