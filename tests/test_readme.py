"""The README's code does what the README says."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import mmspool
from mmspool import adapters

pytestmark = pytest.mark.usefixtures("processes")

README = Path(__file__).parents[1] / "README.md"
BLOCKS = re.findall(r"^```python\n(.*?)^```", README.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)


@pytest.fixture
def core() -> Iterator[Any]:
    """Yield a pycromanager core whose camera is running a sequence of 20 frames, as a script would have it."""
    with_camera = adapters.demo(width=64, height=64)
    raw = with_camera._core
    raw.start_sequence_acquisition(20, 0, True)
    yield raw
    with_camera.close()


def block(containing: str) -> str:
    """Return the one block with this text, with few frames for many."""
    found = [text for text in BLOCKS if containing in text]
    assert len(found) == 1
    return found[0].replace("frames=1000", "frames=20")


def test_the_script_that_controls_a_microscope(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The first use records and prints that it is complete, and the file reads back as shown."""
    monkeypatch.chdir(tmp_path)
    exec(block("Camera.demo"), {})
    assert capsys.readouterr().out == "True 20 0 ()\n"
    names: dict[str, Any] = {}
    exec(block("mmspool.open").replace("run.shape,", "facts = run.shape,"), names)
    assert names["facts"][0] == (20, 512, 2048)
    assert names["facts"][1] == "complete"


def test_the_pycromanager_script(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, core: Any) -> None:
    """The second use takes every frame of a sequence that the script runs itself."""
    monkeypatch.chdir(tmp_path)
    exec(block("frame_metadata(tagged.tags)"), {"core": core})
    with mmspool.open("run.h5") as run:
        assert run.frame_table()["image_number"].tolist() == list(range(20))


def test_the_mocked_test(tmp_path: Path) -> None:
    """The third use is a test that passes."""
    names: dict[str, Any] = {}
    exec(block("Faults("), names)
    names["test_a_lost_trigger_is_reported"](tmp_path)
