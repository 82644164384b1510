"""Loaded by every Python of the run on Windows: the largest file that a test allows a process, as setrlimit does it.

`support.processes.limit_files` writes the limit; the calls of the product look at it before each write. It imports
little, as each module costs a start about four milliseconds under Wine; `importlib.abc` would bring ten of them.
"""

import ctypes
import errno
import importlib.machinery
import os
import sys
import tempfile
from pathlib import Path

_PATCHED = "mmspool.persistence.system.windows_file"


def _began():
    """Return when this process began, seconds since 1970, as psutil does: its id may have been another's before."""
    times = (ctypes.c_uint64 * 4)()
    kernel = ctypes.windll.kernel32
    kernel.GetCurrentProcess.restype = ctypes.c_void_p
    handle = ctypes.c_void_p(kernel.GetCurrentProcess())
    kernel.GetProcessTimes(handle, *(ctypes.byref(times, 8 * place) for place in range(4)))
    return (times[0] - 116444736000000000) / 1e7


def _limit():
    try:
        return int(_LIMIT.read_text(encoding="ascii"))
    except (OSError, ValueError):
        return sys.maxsize


def _too_large():
    return OSError(errno.EFBIG, os.strerror(errno.EFBIG))


def _limited_write(write):
    def limited(descriptor, data, offset):
        room = _limit() - offset
        if room <= 0 and len(data):
            raise _too_large()
        return write(descriptor, data[:room], offset)

    return limited


def _limited_allocate(allocate):
    def limited(descriptor, start, length):
        if start + length > _limit():
            raise _too_large()
        return allocate(descriptor, start, length)

    return limited


class _Loader:
    def __init__(self, loader):
        self._loader = loader

    def create_module(self, spec):
        return self._loader.create_module(spec)

    def exec_module(self, module):
        self._loader.exec_module(module)
        module.write_once = _limited_write(module.write_once)
        module.write_direct_once = _limited_write(module.write_direct_once)
        module.allocate = _limited_allocate(module.allocate)


class _Finder:
    def find_spec(self, name, path, target=None):
        if name != _PATCHED:
            return None
        spec = importlib.machinery.PathFinder.find_spec(name, path, target)
        spec.loader = _Loader(spec.loader)
        return spec


if sys.platform == "win32":
    _LIMIT = Path(tempfile.gettempdir()) / f"mmspool-limit-{os.getpid()}-{_began():.2f}"
    sys.meta_path.insert(0, _Finder())
