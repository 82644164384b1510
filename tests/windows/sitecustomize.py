"""Loaded by every Python of the run on Windows, before all else: what Wine needs, and limits of files' sizes.

Under Wine files are slow: `bundle.py` puts the code of all modules into one file beside this one. And one of some
thousand processes that it starts ends before it has begun: that one is started again, and noted for `run.py` to report.

A test may limit the size of the files that a process writes, as setrlimit does: `support.processes.limit_files` writes
the limit down, and the calls of the product look at it before each write.
"""

import _frozen_importlib_external as files
import marshal
import mmap
import sys

_INTERNAL_ERROR = 1359  # what Wine calls it when a new process ends before it has begun
_PATCHED = "mmspool.persistence.system.windows_file"


class _Bundled:
    """Loads a module as from its own file; only the code comes from the bundle."""

    def __init__(self, name, path, code):
        super().__init__(name, path)
        self._code = code

    def get_code(self, name):
        """Return the module's code."""
        return files._compile_bytecode(self._code, name, None, self.path if self.path.endswith(".py") else None)


class _Source(_Bundled, files.SourceFileLoader):
    """Of a module whose source is there."""


class _Sourceless(_Bundled, files.SourcelessFileLoader):
    """Of a module of Python's own library, which came without."""


class _Bundle:
    """Finds modules by their names alone."""

    def __init__(self, path):
        with open(path, "rb") as file:  # noqa: PTH123 - pathlib imports a dozen modules
            self._bytes = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        self._modules = marshal.loads(self._bytes[-8 - int.from_bytes(self._bytes[-8:], "little") : -8])

    def find_spec(self, name, path=None, target=None):
        """Return the module's spec, None if it is not in the bundle."""
        if name not in self._modules:
            return None
        place, folder, start, stop = self._modules[name]
        if stop > start:
            kind = _Source if place.endswith(".py") else _Sourceless
            loader = kind(name, place, self._bytes[start:stop])
        else:
            loader = files.ExtensionFileLoader(name, place)
        places = [folder] if folder else None
        return files.spec_from_file_location(name, place, loader=loader, submodule_search_locations=places)


def start_again(create, note):
    """Return ``create`` made to create a process once more where Wine fails, with a line in the file ``note``."""

    def start(*arguments):
        try:
            return create(*arguments)
        except OSError as error:
            if error.winerror != _INTERNAL_ERROR:
                raise
        with open(note, "a", encoding="utf-8") as file:  # noqa: PTH123
            file.write(f"STARTED AGAIN, since Wine failed: {arguments[1]}\n")
        return create(*arguments)

    return start


class _Limits:
    """Finds the product's module of calls, and lets the calls that write look at the limit."""

    def find_spec(self, name, path=None, target=None):
        """Return that module's spec, None for others."""
        if name != _PATCHED:
            return None
        found = (finder.find_spec(name, path, target) for finder in sys.meta_path if finder is not self)
        spec = next(filter(None, found))
        execute = spec.loader.exec_module

        def exec_module(module):
            execute(module)
            limit = _limit_file()
            module.write_once = _limited_write(module.write_once, limit)
            module.write_direct_once = _limited_write(module.write_direct_once, limit)
            module.allocate = _limited_allocate(module.allocate, limit)

        spec.loader.exec_module = exec_module
        return spec


def _limit_file():
    """Return the file with this process's limit; psutil names it by the same id and start, seconds since 1970."""
    import ctypes
    import os
    import tempfile
    from pathlib import Path

    times = (ctypes.c_uint64 * 4)()
    kernel = ctypes.windll.kernel32
    kernel.GetCurrentProcess.restype = ctypes.c_void_p
    handle = ctypes.c_void_p(kernel.GetCurrentProcess())
    kernel.GetProcessTimes(handle, *(ctypes.byref(times, 8 * place) for place in range(4)))
    began_s = (times[0] - 116444736000000000) / 1e7
    return Path(tempfile.gettempdir()) / f"mmspool-limit-{os.getpid()}-{began_s:.2f}"


def _read(limit):
    try:
        return int(limit.read_text(encoding="ascii"))
    except (OSError, ValueError):
        return sys.maxsize


def _too_large():
    import errno
    import os

    return OSError(errno.EFBIG, os.strerror(errno.EFBIG))


def _limited_write(write, limit):
    def limited(descriptor, data, offset):
        room = _read(limit) - offset
        if room <= 0 and len(data):
            raise _too_large()
        return write(descriptor, data[:room], offset)

    return limited


def _limited_allocate(allocate, limit):
    def limited(descriptor, start, length):
        if start + length > _read(limit):
            raise _too_large()
        return allocate(descriptor, start, length)

    return limited


def _help_wine(folder):
    import _winapi

    sys.meta_path.insert(0, _Bundle(folder + "modules.bundle"))
    _winapi.CreateProcess = start_again(_winapi.CreateProcess, folder + "started-again.txt")


if sys.platform == "win32":
    try:  # noqa: SIM105 - contextlib is not imported yet
        _help_wine(__file__.removesuffix("sitecustomize.py"))
    except FileNotFoundError:
        pass  # on Windows itself nothing is bundled
    sys.meta_path.insert(0, _Limits())
