"""The path a recording is written to: checked, reserved and locked before anything is recorded."""

import errno
import logging
import os
from pathlib import Path

from ...errors import StorageError
from ..system.file_holders import in_use
from ..system.os_file import close_file, is_locked, lock_for_writing, open_file, remove_file, unlock
from ..system.paths import recording_path

_log = logging.getLogger("mmspool")


class OutputPath:
    """A path at which nobody else will write.

    Parameters
    ----------
    path
        Where the file will be. A free name is taken at once; an existing file is left alone until `create`.
    overwrite
        Whether an existing file may be replaced.

    Raises
    ------
    StorageError
        The folder is missing or cannot be written to, or the file exists and must not or cannot be replaced.
    """

    def __init__(self, path: Path, *, overwrite: bool) -> None:
        self.path = path
        self._lock: int | None = None
        self._is_lost = False
        try:
            self._check(overwrite=overwrite)
        except StorageError:
            raise
        except OSError as exc:
            message = f"no file can have this path ({exc.strerror}): choose another one"
            raise StorageError(exc.errno, message, str(path)) from exc

    def create(self) -> None:
        """Replace the file that was there by an empty one; nothing to do where the name was free."""
        if self._lock is None:
            if self.path.exists():
                self._refuse_if_used()  # again: much may have happened before the first frame
                remove_file(self.path)
            self._create()

    def kept(self) -> str:
        """Return what is at the path when nothing was recorded: text for `end_reason`, empty if nothing is there."""
        return "the file that was there before was kept" if self._lock is None and self.path.exists() else ""

    def locate(self) -> tuple[Path, str]:
        """Return where the recording is now, and what became of it if it is not at its path: text for `end_reason`.

        A file that was deleted stays open in this process, through which its data can be copied until it ends.
        """
        if self._lock is None or self._is_at(self.path):
            return self.path, ""
        now = Path(f"/proc/self/fd/{self._lock}")
        if os.fstat(self._lock).st_nlink:
            moved = now.readlink() if now.exists() else self.path
            if self._is_at(moved):
                return moved, ""
            return self.path, "the file was moved away while it was recorded"
        what = "replaced by another file" if self.path.exists() else "deleted"
        self._is_lost = True
        way = f": its data can be copied from /proc/{os.getpid()}/fd/{self._lock} until this process ends"
        return self.path, f"the file was {what} while it was recorded{way if now.exists() else ''}"

    def release(self, *, remove: bool) -> None:
        """Release the name, and remove the empty file that held it if nothing was recorded; idempotent."""
        if self._lock is not None:
            unlock(self._lock)  # for good, also for processes that have inherited it
            remove = remove and self._is_at(self.path)  # not what another program has put there since
            if not self._is_lost:
                self.forget()
            if remove:
                try:
                    remove_file(self.path)
                except OSError as exc:  # callers may have something worse to report
                    _log.warning("%s: the file is left, it could not be removed: %s", self.path, exc.strerror)

    def forget(self) -> None:
        """Leave the path to the process that this one was forked from; idempotent."""
        if self._lock is not None:
            close_file(self._lock)
            self._lock = None

    def _is_at(self, path: Path) -> bool:
        """Return whether the file that this object has made is what is at a path."""
        try:
            return self._lock is not None and os.path.samestat(path.stat(), os.fstat(self._lock))
        except OSError:
            return False

    def _check(self, *, overwrite: bool) -> None:
        """Take a free name, and refuse one that must not or cannot be used."""
        folder = self.path.parent
        if not folder.is_dir():
            raise StorageError(errno.ENOENT, f"the folder {folder} does not exist: create it first", str(self.path))
        if self.path.is_dir():
            raise StorageError(errno.EISDIR, "this is a folder: name a file in it", str(self.path))
        if not self.path.exists():
            self._create()
        elif not overwrite:
            raise StorageError(
                errno.EEXIST,
                "the file exists: choose another name, or replace it with overwrite=True (--overwrite)",
                str(self.path),
            )
        elif not os.access(folder, os.W_OK):
            message = f"no permission to replace files in {folder}: choose another folder"
            raise StorageError(errno.EACCES, message, str(self.path))
        else:
            self._refuse_if_used()

    def _refuse_if_used(self) -> None:
        if is_locked(self.path):
            raise StorageError(errno.EBUSY, f"{in_use(self.path)}: close that first", str(self.path))

    def _create(self) -> None:
        try:
            self._lock = open_file(self.path, os.O_RDWR | os.O_CREAT | os.O_EXCL)
        except OSError as exc:
            raise StorageError(
                exc.errno, f"the file cannot be created ({exc.strerror}): choose another folder", str(self.path)
            ) from exc
        if not lock_for_writing(self._lock, self.path):
            _log.warning(
                "%s: locks on this file system keep the writer from writing, so the file is not locked: do not repair, "
                "replace or change it while it is recorded",
                self.path,
            )


def check_output_path(path: str | os.PathLike[str], *, overwrite: bool) -> None:
    """Refuse, before anything else is set up, a path at which no recording can be written; leaves nothing there.

    Raises
    ------
    StorageError
        As for `OutputPath`.
    """
    OutputPath(recording_path(path), overwrite=overwrite).release(remove=True)
