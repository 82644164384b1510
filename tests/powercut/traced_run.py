"""Running a script under strace and keeping everything it wrote to its recordings, with the data, in order."""

import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from support.paths import environment
from support.strace import need_strace

CALLS = ("pwrite64", "fallocate", "ftruncate", "fdatasync", "fsync")
_OTHER_WAYS = ("write", "writev", "pwritev", "pwritev2", "truncate", "copy_file_range", "sendfile")
_LINE = re.compile(r"(\d+) +(.*)")
_STARTED = re.compile(rb"(\w+)\((\d+)<([^>]*)>(.*)", re.DOTALL)
_RESUMED = re.compile(r"<\.\.\. (\w+) resumed>")
_RETURNED = re.compile(r"\) += (-?\d+|\?)")
_LIMIT_S = 120


@dataclass(slots=True)
class Op:
    """One system call on one file: ``write`` (offset, data), ``size`` (size, only larger if ``grows``), ``sync``."""

    kind: str
    offset: int = 0
    data: bytes = b""
    size: int = 0
    grows: bool = False
    thread: int = 0
    done: bool = False


@dataclass(slots=True)
class Log:
    """What happened to one file, in order: ``(operation, whether it ends here)``."""

    events: list[tuple[Op, bool]] = field(default_factory=list)


def run_traced(script: str, arguments: list[str], folder: Path, inject: str = "") -> dict[str, Log]:
    """Run Python source under strace and return the log of each file that it wrote below ``folder``.

    Parameters
    ----------
    script
        Python source.
    arguments
        What it finds in ``sys.argv``.
    folder
        Where its files are.
    inject
        What strace is to do to it, such as ``fdatasync:signal=KILL:when=3``, counted in each thread.
    """
    log = folder / "strace.log"
    calls = ",".join((*CALLS, *_OTHER_WAYS))
    command = [need_strace(), "-f", "-y", "-xx", "-q", "-s", "90000000", "-e", "signal=none", "-o", str(log)]
    command += ["-e", f"trace={calls}", *(["-e", f"inject={inject}"] if inject else [])]
    ended = subprocess.run(
        [*command, sys.executable, "-W", "error", "-c", script, *arguments],
        capture_output=True,
        text=True,
        env=environment(),
        timeout=_LIMIT_S,
        check=False,
    )
    if ended.returncode:
        raise RuntimeError(f"the traced script failed ({ended.returncode}):\n{ended.stdout}\n{ended.stderr}")
    logs = _parse(log, str(folder.resolve()))
    log.unlink()
    return logs


def _parse(path: Path, folder: str) -> dict[str, Log]:
    logs: dict[str, Log] = {}
    running: dict[int, tuple[str, Op]] = {}
    with path.open(encoding="ascii") as lines:
        for line in lines:
            thread, text = _LINE.match(line).groups()
            pid = int(thread)
            if text.startswith("+++"):
                # How far a write came is unknown, and another process makes it again. A change of size is seen by that
                # process, which then does not repeat it: it is complete, and the next sync makes it durable.
                name, op = running.pop(pid, ("", None))
                if op is not None and op.kind == "size":
                    op.done = True
                    logs[name].events.append((op, True))
            elif _RESUMED.match(text):
                if pid in running:
                    name, op = running.pop(pid)
                    _finish(logs[name], op, text)
            else:
                started = _start(text, folder)
                if started is None:
                    continue
                name, op = started
                op.thread = pid
                log = logs.setdefault(name, Log())
                log.events.append((op, False))
                if "<unfinished ...>" in text[-40:]:
                    running[pid] = name, op
                else:
                    _finish(log, op, text[-80:])
    return logs


def _start(text: str, folder: str) -> tuple[str, Op] | None:
    """Return the file and the operation that a line of the log tells of; None for other files and calls."""
    match = _STARTED.match(text.encode())
    if match is None:
        return None
    call, name, rest = match[1].decode(), _unhex(match[3]).decode().removesuffix("(deleted)"), match[4]
    if not name.startswith(folder):
        return None
    if call in ("fdatasync", "fsync"):
        return name, Op("sync")
    if call == "pwrite64":
        quoted, _, numbers = rest.partition(b'"')[2].partition(b'"')
        data = _unhex(quoted)
        assert not numbers.startswith(b"..."), "strace cut the data of a write short"
        return name, Op("write", offset=int(re.findall(rb"\d+", numbers)[1]), data=data)
    values = re.findall(rb"0x[0-9a-f]+|\d+", rest)
    if call == "ftruncate":
        return name, Op("size", size=int(values[0], 0))
    if call == "fallocate":
        return name, Op("size", size=int(values[1], 0) + int(values[2], 0), grows=True)
    raise AssertionError(f"the writer wrote in a way that is not understood here: {text[:200]}")


def _unhex(text: bytes) -> bytes:
    return bytes.fromhex(text.replace(b"\\x", b"").decode())


def _finish(log: Log, op: Op, text: str) -> None:
    """Note the end of a call; one that failed did nothing, one that wrote less is taken at its word."""
    returned = _RETURNED.search(text)
    if returned is None or returned[1] == "?":
        return
    if int(returned[1]) < 0:
        log.events = [event for event in log.events if event[0] is not op]
        return
    if op.kind == "write":
        op.data = op.data[: int(returned[1])]
    op.done = True
    log.events.append((op, True))


def each_file(logs: dict[str, Log], suffix: str = ".h5") -> Iterator[tuple[Path, Log]]:
    """Return the recordings among the files that were written."""
    return ((Path(name), log) for name, log in sorted(logs.items()) if name.endswith(suffix))
