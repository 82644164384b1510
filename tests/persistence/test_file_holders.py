"""Messages name the programs that have a file open, as far as the system says which."""

import ctypes
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from mmspool.persistence.system import file_holders
from mmspool.persistence.system.file_holders import holders, in_use

PROGRAMS = [(4711, "HDFView"), (os.getpid(), "python.exe")]


class RestartManager:
    """Windows' Restart Manager at the boundary of `ctypes`, since Wine's reports no program.

    Parameters
    ----------
    programs
        Process id and name of each that has the file open.
    appear
        How many of them are there only at the second question.
    errors
        The error code of each call that fails.
    """

    def __init__(self, programs: list[tuple[int, str]], appear: int = 0, errors: dict[str, int] | None = None) -> None:
        self._programs, self._appear, self._errors = programs, appear, errors or {}
        self.calls: list[str] = []
        self.path = ""

    def _call(self, name: str) -> int:
        self.calls.append(name)
        return self._errors.get(name, 0)

    def RmStartSession(self, session: Any, flags: int, key: Any) -> int:  # noqa: N802
        """Start a session; the key has room for 32 characters and the end."""
        assert flags == 0
        assert len(key) == 33
        session._obj.value = 7
        return self._call("start")

    def RmRegisterResources(self, session: Any, files: int, names: Any, *others: Any) -> int:  # noqa: N802
        """Note the file."""
        assert (session.value, files, others) == (7, 1, (0, None, 0, None))
        self.path = names[0]
        return self._call("register")

    def RmGetList(self, session: Any, needed: Any, count: Any, programs: Any, reasons: Any) -> int:  # noqa: N802
        """Fill in the programs, or say how many there are."""
        assert session.value == 7
        assert isinstance(reasons._obj, ctypes.c_uint32)
        there = self._programs[: len(self._programs) - self._appear]
        self._appear = 0
        needed._obj.value = len(self._programs)
        if len(there) > count._obj.value:
            self._call("list")
            return 234
        for place, (pid, name) in enumerate(there):
            programs[place].pid, programs[place].name = pid, name
        count._obj.value = len(there)
        return self._call("list")

    def RmEndSession(self, session: Any) -> int:  # noqa: N802
        """End the session."""
        assert session.value == 7
        return self._call("end")


def ask(manager: RestartManager) -> list[tuple[int, str]]:
    """Ask an imitated Restart Manager who has a file open."""
    return file_holders._registered("C:\\data\\run.h5", manager)


class TestRestartManager:
    """What is asked of Windows."""

    def test_programs_are_found(self) -> None:
        """Each program comes with its process id and name, and the session ends."""
        manager = RestartManager(PROGRAMS)
        assert ask(manager) == PROGRAMS
        assert manager.path == "C:\\data\\run.h5"
        assert manager.calls == ["start", "register", "list", "end"]

    def test_more_programs_than_there_was_room_for(self) -> None:
        """When there are more than expected the question is repeated with room for all."""
        many = [(pid, f"viewer {pid}") for pid in range(1, 40)]
        manager = RestartManager(many)
        assert ask(manager) == many
        assert manager.calls == ["start", "register", "list", "list", "end"]

    @pytest.mark.parametrize(
        ("failing", "calls"),
        [
            ("start", ["start"]),
            ("register", ["start", "register", "end"]),
            ("list", ["start", "register", "list", "end"]),
        ],
    )
    def test_a_call_that_fails(self, failing: str, calls: list[str]) -> None:
        """An error of any call names no program, and every session that was started ends."""
        manager = RestartManager(PROGRAMS, errors={failing: 5})
        assert ask(manager) == []
        assert manager.calls == calls

    def test_the_structure_is_that_of_windows(self) -> None:
        """The fields lie where <RestartManager.h> has them: the name from byte 12 on, four numbers at the end."""
        character = ctypes.sizeof(ctypes.c_wchar)  # two bytes on Windows
        assert file_holders._Process.name.offset == 12
        assert ctypes.sizeof(file_holders._Process) == 12 + (256 + 64) * character + 4 * 4


class TestThisSystem:
    """What is found here."""

    def test_a_program_is_named(self, start_script: Callable[..., Any], tmp_path: Path) -> None:
        """Whoever has the file open is named, this process as such, and nobody else."""
        path = tmp_path / "run.h5"
        path.touch()
        assert holders(path) == []
        other = start_script("file = open('run.h5')\nprint('open', flush=True)\ninput()")
        assert other.line() == "open\n"
        with path.open():
            found = holders(path)
        assert len(found) == 2
        assert "this process" in found
        assert any(each.endswith(f"(process {other.pid})") for each in found)
        other.process.communicate("\n", timeout=60)
        assert holders(path) == []

    def test_a_relative_path(self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
        """The system is asked for the whole path of a file that is named relative to the current folder."""
        (tmp_path / "run.h5").touch()
        monkeypatch.chdir(tmp_path)
        asked: list[str] = []
        ask = "_registered" if sys.platform == "win32" else "_listed"
        monkeypatch.setattr(file_holders, ask, lambda path, *_: asked.append(path) or [])
        holders("run.h5")
        assert Path(asked[0]).is_absolute()
        assert Path(asked[0]).samefile(tmp_path / "run.h5")

    def test_nobody_is_known(self, tmp_path: Path) -> None:
        """Where the system does not say who it is, the sentence says what kind of program it may be."""
        assert in_use(tmp_path / "run.h5") == "the file is in use by a recording or a program that reads it"
