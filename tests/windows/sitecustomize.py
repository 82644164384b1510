"""Loaded by every Python of the run on Windows, before all else: what Wine needs, limits of files' sizes, and kills.

Under Wine files are slow: `bundle.py` puts the code of all modules into one file beside this one. And one of some
thousand processes that it starts ends before it has begun: that one is started again, and noted for `run.py` to report.

A test may limit the size of the files that a process writes, as setrlimit does: `support.processes.limit_files` writes
the limit down, and the calls of the product look at it before each write. It may have the writer process, the script
or both end at a call: `KILL_AT` in the environment says at which.
"""

import _frozen_importlib_external as files
import itertools
import marshal
import mmap
import os
import sys
import time

_INTERNAL_ERROR = 1359  # what Wine calls it when a new process ends before it has begun
_PATCHED = "mmspool.persistence.system.windows_file"
_WRITER = "mmspool.persistence.writer_process.main"

KILL_AT = "MMSPOOL_TEST_KILL_AT"
"""The call's name, its number among the writer's, "before" or "after" it, whom to kill, and a file to rename then."""


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


def start_again(create, note, pauses_s=(0.2, 1.0, 3.0)):
    """Return ``create`` made to create a process once more where Wine fails, with a line in the file ``note``."""

    def start(*arguments):
        for pause_s in pauses_s:
            try:
                return create(*arguments)
            except OSError as error:
                if error.winerror != _INTERNAL_ERROR:
                    raise
            with open(note, "a", encoding="utf-8") as file:  # noqa: PTH123
                file.write(f"STARTED AGAIN, since Wine failed: {arguments[1]}\n")
            time.sleep(pause_s)
        return create(*arguments)

    return start


class _Calls:
    """Finds the product's module of calls, lets those that write look at the limit, and one of them kill."""

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
            if KILL_AT in os.environ:
                name, *step = os.environ[KILL_AT].split(" ", 4)
                setattr(module, name, _killing(getattr(module, name), *step))

        spec.loader.exec_module = exec_module
        return spec


def _limit_file():
    """Return the file with this process's limit; psutil names it by the same id and start, seconds since 1970."""
    import ctypes
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


def _killing(call, number, when, whom, claim):
    """Return ``call`` as one that kills when the writer process makes it for the ``number``-th time."""
    numbers = itertools.count(1)

    def killing(*arguments):
        due = _WRITER in sys.modules and next(numbers) == int(number)
        if due and when == "before":
            _kill(whom, claim)
        result = call(*arguments)
        if due and when == "after":
            _kill(whom, claim)
        return result

    return killing


def _kill(whom, claim):
    """End the writer, which this is, its script or both at once, the first time that a writer gets here."""
    try:
        os.rename(claim, f"{claim}.done")  # noqa: PTH104
    except FileNotFoundError:
        return  # a writer that has taken over
    for process, names in ((os.getppid(), ("script", "both")), (os.getpid(), ("writer", "both"))):
        if whom in names:
            os.kill(process, 15)  # which is TerminateProcess here


def _help_wine(folder):
    import _winapi

    sys.meta_path.insert(0, _Bundle(folder + "modules.bundle"))
    _winapi.CreateProcess = start_again(_winapi.CreateProcess, folder + "started-again.txt")


if sys.platform == "win32":
    try:  # noqa: SIM105 - contextlib is not imported yet
        _help_wine(__file__.removesuffix("sitecustomize.py"))
    except FileNotFoundError:
        pass  # on Windows itself nothing is bundled
    sys.meta_path.insert(0, _Calls())
