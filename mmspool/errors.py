"""Every exception mmspool raises on purpose, in one tree.

::

    MmspoolError
    ├── SpoolError                  writing a recording
    │   ├── FrameError              one frame or its metadata does not fit; it was not stored, the spool goes on
    │   ├── SpoolClosedError        the spool was closed before; nothing was stored
    │   ├── RingFullError           no room in the ring in time; the frame was not stored and is counted as lost
    │   ├── StorageError            the file or the ring cannot be created here (also an ``OSError``)
    │   └── WriterError             the writer process failed; its cause is ``__cause__``
    ├── RecordingError              a file cannot be read as an mmspool recording
    ├── ExportError                 a recording cannot be written in another format
    │   └── SelectionError          the part asked for is not in the recording (also a ``ValueError``)
    ├── ClusterError                no dask scheduler answers (also a ``ConnectionError``)
    ├── MissingPackageError         an optional package is not installed (also an ``ImportError``)
    └── CameraError                 controlling a camera
        ├── CoreError               the Micro-Manager core refused or failed; its own error is ``__cause__``
        ├── SettingError            a value that the camera cannot take (also a ``ValueError``)
        │   └── PropertyNotFoundError   the device has no property of this name (also a ``KeyError``)
        ├── CameraBusyError         refused, because it would kill the running sequence
        └── ConnectError            no Micro-Manager core could be reached or started

A message says what happened, the value, what was expected and what to do.
"""

import itertools
import traceback
from types import FrameType

__all__ = [
    "CameraBusyError",
    "CameraError",
    "ClusterError",
    "ConnectError",
    "CoreError",
    "ExportError",
    "FrameError",
    "MissingPackageError",
    "MmspoolError",
    "PropertyNotFoundError",
    "RecordingError",
    "RingFullError",
    "SelectionError",
    "SettingError",
    "SpoolClosedError",
    "SpoolError",
    "StorageError",
    "WriterError",
]


class MmspoolError(Exception):
    """Base of every error mmspool raises on purpose."""

    def _render_traceback_(self) -> list[str]:
        """Return what IPython prints: the caller's own lines and the message, in place of pages of ours."""
        frames = (pair for pair in traceback.walk_tb(self.__traceback__) if not _is_of("IPython", pair[0]))
        callers = itertools.takewhile(lambda pair: not _is_of("mmspool", pair[0]), frames)
        return [*traceback.StackSummary.extract(callers).format(), *traceback.format_exception_only(self)]


def _is_of(package: str, frame: FrameType) -> bool:
    return str(frame.f_globals.get("__name__")).partition(".")[0] == package


class SpoolError(MmspoolError):
    """Base of the errors of writing a recording."""


class FrameError(SpoolError, ValueError):
    """A frame or its metadata does not fit; it was not stored, and the spool stays usable."""


class SpoolClosedError(SpoolError):
    """The spool was closed before this call; nothing was stored."""


class RingFullError(SpoolError):
    """The ring had no room in time; the frame was not stored and is counted as lost."""


class StorageError(SpoolError, OSError):
    """The recording's file or ring cannot be created or extended.

    ``errno`` and ``filename`` are set where there is one, as in any ``OSError``.
    """

    def __str__(self) -> str:
        parts = (self.filename, self.strerror) if self.strerror else self.args
        return ": ".join(str(part) for part in parts if part is not None)


class WriterError(SpoolError):
    """The writer process failed; ``__cause__`` has the reason, and what it wrote stays readable."""


class RecordingError(MmspoolError):
    """A file cannot be read as an mmspool recording; it was not changed."""


class ExportError(MmspoolError):
    """A recording cannot be written in another format; nothing is left at the target."""


class SelectionError(ExportError, ValueError):
    """The part of a recording that was asked for is not in it, or makes no sense; nothing was written."""


class ClusterError(MmspoolError, ConnectionError):
    """No dask scheduler answers at the address; nothing was computed."""


class MissingPackageError(MmspoolError, ImportError):
    """An optional package is not installed; the message has the command that installs it."""


class CameraError(MmspoolError):
    """Base of the errors of controlling a camera."""


class CoreError(CameraError):
    """The Micro-Manager core refused a call or failed in it; its own error is ``__cause__``."""


class SettingError(CameraError, ValueError):
    """A value that the camera cannot take; the camera keeps what it had, unless the message says otherwise."""


class PropertyNotFoundError(SettingError, KeyError):
    """The device has no property of this name."""

    __str__ = Exception.__str__  # a KeyError shows the repr of its message


class CameraBusyError(CameraError):
    """The call would kill the running sequence, so it was refused; the sequence goes on."""


class ConnectError(CameraError):
    """No Micro-Manager core could be reached or started."""
