"""What must hold of any file whatever: a right answer, or a plain refusal."""

from pathlib import Path

import numpy as np
import numpy.typing as npt
from click.testing import CliRunner, Result
from fuzz.samples import EXPECTED

import mmspool
from mmspool import RecordingError
from mmspool.cli import main

OK_EXITS = (0, 1, 3)


def probe(path: Path, *, checked: bool, as_json: bool) -> dict[str, int]:
    """Do everything with a file that a user can do; return the commands' exit codes.

    Parameters
    ----------
    path
        The file, which was a sample once.
    checked
        Whether the sample had checksums: then what is called intact must be what was recorded.
    as_json
        Whether ``info`` is to print JSON.

    Raises
    ------
    AssertionError
        A traceback, an error of more than a line, or a wrong answer.
    """
    before = path.read_bytes()
    exits = {
        "info": _run(["info", *(["--json"] if as_json else []), str(path)]),
        "verify": _run(["verify", str(path)]),
        "dry-run": _run(["repair", "--dry-run", str(path)]),
    }
    frames = _read(path)
    assert path.read_bytes() == before, "looking at the file changed it"
    if checked and exits["verify"] != 1:
        assert frames is not None
        assert (frames == EXPECTED[: len(frames)]).all(), "called intact, and is not"
    exits["repair"] = _run(["repair", str(path)])
    assert exits["repair"] or not exits["dry-run"], "repair did what its dry run refused"
    _read(path)
    return exits


def _run(arguments: list[str]) -> int:
    result: Result = CliRunner().invoke(main, arguments)
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise AssertionError(f"mmspool {arguments[0]}: a traceback") from result.exception
    assert result.exit_code in OK_EXITS, f"mmspool {arguments[0]} exits with {result.exit_code}"
    errors = [line for line in result.stderr.splitlines() if line.strip()]
    if result.exit_code == 1 and arguments[0] != "verify":
        assert len(errors) == 1, f"mmspool {arguments[0]} says {result.stderr!r}"
        assert errors[0].startswith("Error: "), errors
    return result.exit_code


def _read(path: Path) -> npt.NDArray[np.generic] | None:
    """Read all as a user's script does; None if it is refused."""
    try:
        with mmspool.open(path) as recording:
            assert len(recording.frame_table()) == len(recording)
            assert all(loss.count == loss.count for loss in recording.losses)
            assert str(path) in repr(recording)
            assert recording.plan is None or recording.aligned().frames.max(initial=-1) < len(recording)
            return recording[:]
    except RecordingError:
        return None
