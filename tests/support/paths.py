"""Where the tests, the tested package and quick temporary folders are, also for the processes that tests start."""

import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import mmspool

TESTS = Path(__file__).parents[1]
PROJECT = TESTS.parent
PACKAGE_HOME = Path(mmspool.__file__).parents[1]
"""The folder that has to be on the import path for this very mmspool: site-packages, or the checkout."""

SHM = Path("/dev/shm") if os.name == "posix" else Path("no shared memory in files")


def environment(**changes: str) -> dict[str, str]:
    """Return the environment for a Python process that imports the tested package and `support`.

    Parameters
    ----------
    **changes
        Further variables; folders in ``PYTHONPATH`` come first on the import path.
    """
    folders = [changes.get("PYTHONPATH", ""), str(TESTS), str(PACKAGE_HOME), os.environ.get("PYTHONPATH", "")]
    return {**os.environ, **changes, "PYTHONPATH": os.pathsep.join(filter(None, folders))}


def allocated_bytes(path: Path) -> int:
    """Return how many bytes the disk has set aside for a file."""
    if sys.platform != "win32":
        return path.stat().st_blocks * 512
    import ctypes
    import msvcrt

    standard_info = (ctypes.c_int64 * 3)()  # FILE_STANDARD_INFO: allocation size, end of file, links and flags
    with path.open("rb") as file:
        handle = ctypes.c_void_p(msvcrt.get_osfhandle(file.fileno()))
        assert ctypes.windll.kernel32.GetFileInformationByHandleEx(handle, 1, standard_info, 24)
    return standard_info[0]


@contextmanager
def quick_folder(prefix: str = "mmspool-test-") -> Iterator[Path]:
    """Yield a temporary folder, in memory where the system has shared memory."""
    with tempfile.TemporaryDirectory(dir=SHM if SHM.is_dir() else None, prefix=prefix) as folder:
        yield Path(folder)
