"""strace: what a process asks of the kernel, and what the kernel is to answer."""

import contextlib
import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path

from support.processes import LIMIT_S
from support.waiting import wait_until


class StraceMissingError(RuntimeError):
    """Tests that trace system calls prove nothing without strace, so its absence is an error, not a skip."""


@cache
def need_strace() -> str:
    """Return the path of strace.

    Raises
    ------
    StraceMissingError
        It is not installed, or this system does not let it trace.
    """
    strace = shutil.which("strace")
    if strace is None:
        raise StraceMissingError("these tests need strace: apt-get install strace")
    probe = [strace, "-qq", "-e", "trace=none", "-o", os.devnull, "true"]
    done = subprocess.run(probe, capture_output=True, text=True, check=False)
    if done.returncode:
        raise StraceMissingError(f"strace does not work here; ptrace must be allowed: {done.stderr.strip()}")
    return strace


@contextlib.contextmanager
def traced(threads: Sequence[int], *arguments: str) -> Iterator[Path]:
    """Attach strace to threads; it detaches when they end or at the end of the block. Yields the path of its log."""
    with tempfile.TemporaryDirectory(prefix="mmspool-strace-") as folder:
        log, said = Path(folder, "log"), Path(folder, "said")
        with said.open("wb") as errors:
            places = [word for thread in threads for word in ("-p", str(thread))]
            process = subprocess.Popen([need_strace(), "-o", str(log), *arguments, *places], stderr=errors)
        try:
            wait_until(
                lambda: process.poll() is not None or said.read_bytes().count(b" attached") >= len(threads),
                f"strace attaches to {threads}",
            )
            assert process.poll() is None or said.read_bytes().count(b" attached"), said.read_text()
            yield log
        finally:
            if process.poll() is None:
                process.send_signal(signal.SIGINT)  # it detaches
            process.wait(LIMIT_S)
