"""The page about a recording is whole, true, and shows in a browser."""

import base64
import json
import re
import shutil
import subprocess
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner

import mmspool
from mmspool import ExportError, MissingPackageError
from mmspool.cli import main
from mmspool.reporting import report
from mmspool.statistics import frame_statistics

from .conftest import FRAMES

pytestmark = pytest.mark.filterwarnings("ignore:::(?!mmspool)")


class Page(HTMLParser):
    """What a page consists of."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.links: list[str] = []
        self.words: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note a tag and what it refers to."""
        self.tags.append(tag)
        names = ("src", "href", "xlink:href", "data")
        self.links += [value for name, value in attrs if name in names and value]

    def handle_data(self, data: str) -> None:
        """Note a text."""
        self.words.append(data.strip())


@pytest.fixture(scope="module")
def page(source: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the page about the recording with losses."""
    return report(source, tmp_path_factory.mktemp("page") / "page.html")


def test_needs_nothing_else(page: Path) -> None:
    """The page has no scripts and loads nothing: every image is in it."""
    parsed = Page(page.read_text(encoding="utf-8"))
    assert "script" not in parsed.tags
    assert parsed.tags.count("svg") == 5
    assert [link for link in parsed.links if not link.startswith(("#", "data:"))] == []


def test_says_what_the_file_says(page: Path) -> None:
    """State, counts, losses and settings are on the page."""
    words = Page(page.read_text(encoding="utf-8")).words
    assert words[words.index("lost") + 1] == "3"
    assert words[words.index("frames") + 1] == "20"
    assert "incomplete" in words
    assert "frames lost: 3" in words
    assert "20 of 20 frames checked" in words


def test_text_of_the_user_stays_text(tmp_path: Path) -> None:
    """A sample called like a script is shown, not run."""
    path = tmp_path / "<b> & run.h5"
    with mmspool.Spool(path, buffer_bytes=16_000_000, metadata={"sample": "<script>alert(1)</script>"}) as spool:
        spool.put(np.zeros((8, 8), np.uint16))
    text = report(path, tmp_path / "page.html").read_text(encoding="utf-8")
    assert "<script" not in text
    assert "&lt;script&gt;alert(1)" in text


@pytest.mark.skipif(shutil.which("chromium") is None, reason="needs chromium: apt install chromium")
def test_shows_in_a_browser(page: Path, tmp_path: Path) -> None:
    """Chromium draws the page without an error, with the images in it."""
    shot = tmp_path / "page.png"
    flags = [
        "--headless",
        "--no-sandbox",
        "--disable-gpu",
        "--window-size=1200,1600",
        f"--user-data-dir={tmp_path / 'u'}",
    ]
    subprocess.run(
        ["chromium", *flags, f"--screenshot={shot}", page.as_uri()], check=True, capture_output=True, timeout=120
    )
    from matplotlib import image

    pixels = image.imread(shot)[..., :3]
    assert pixels.shape[:2] == (1600, 1200)
    assert len(np.unique(pixels.reshape(-1, 3), axis=0)) > 100


def test_png(source: Path, tmp_path: Path) -> None:
    """The drawings are one image, wide enough to print."""
    from matplotlib import image

    pixels = image.imread(report(source, tmp_path / "page.png"))
    assert pixels.shape[1] == 1600


def test_image_shows_the_frames(page: Path) -> None:
    """The thumbnails on the page are the frames: six embedded images that differ."""
    text = page.read_text(encoding="utf-8")
    images = {base64.b64decode(each) for each in re.findall(r"data:image/png;base64,\s*([A-Za-z0-9+/=\s]+)", text)}
    assert len(images) == 6


class TestStatistics:
    """The figures of frames."""

    def test_as_numpy(self, source: Path, expected: np.ndarray[Any, Any]) -> None:
        """Mean, deviation and range of every frame are NumPy's."""
        with mmspool.open(source) as run:
            found = frame_statistics(run, samples=None)
        assert found.frame.tolist() == list(range(20))
        assert np.allclose(found.mean, expected.mean((1, 2)))
        assert np.allclose(found.std, expected.std((1, 2)))
        assert found.low.tolist() == expected.min((1, 2)).tolist()
        assert found.high.tolist() == expected.max((1, 2)).tolist()

    def test_noise_and_saturation(self, tmp_path: Path) -> None:
        """Noise is the standard deviation of a pixel in time, whatever the image, and saturation counts pixels."""
        path = tmp_path / "noise.h5"
        generator = np.random.default_rng(1)
        scene = np.linspace(100, 4000, 256 * 256).reshape(256, 256)
        info = mmspool.DetectorInfo(bit_depth=12)
        with mmspool.Spool(path, buffer_bytes=64_000_000, info=info) as spool:
            for _ in range(4):
                frame = scene + generator.normal(0, 5, scene.shape)
                frame[:64] = 4095
                spool.put(frame.astype(np.uint16))
        with mmspool.open(path) as run:
            found = frame_statistics(run)
        assert found.saturated.tolist() == pytest.approx([0.25] * 4, abs=0.01)
        assert found.noise[:3] == pytest.approx([5 * 0.67] * 3, rel=0.15)  # a quarter of the pixels has none
        assert np.isnan(found.noise[3])

    def test_samples(self, camera_file: Path) -> None:
        """Samples are spread over the whole recording, first and last frame included."""
        with mmspool.open(camera_file) as run:
            frames = frame_statistics(run, samples=5).frame
        assert (len(frames), frames[0], frames[-1]) == (5, 0, FRAMES - 1)


class TestCommand:
    """``mmspool report``."""

    def test_default_name(self, source: Path, tmp_path: Path) -> None:
        """The page lies beside the recording, and an older one is kept unless asked otherwise."""
        path = shutil.copy(source, tmp_path / "run.h5")
        result = CliRunner().invoke(main, ["report", str(path), "--json", "--no-checksums"])
        facts = json.loads(result.stdout)
        assert facts["path"] == str(tmp_path / "run.html")
        assert facts["size_bytes"] == (tmp_path / "run.html").stat().st_size
        again = CliRunner().invoke(main, ["report", str(path)])
        assert (again.exit_code, "exists" in again.stderr) == (1, True)

    def test_no_such_package(self, source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """Without matplotlib the message has the command that installs it."""
        monkeypatch.setitem(__import__("sys").modules, "matplotlib.figure", None)
        with pytest.raises(MissingPackageError, match="pip install matplotlib"):
            report(source, tmp_path / "page.html")

    def test_other_endings(self, source: Path, tmp_path: Path) -> None:
        """A kind of file that a report is not is refused."""
        with pytest.raises(ExportError, match=r"\.html or \.png"):
            report(source, tmp_path / "page.pdf")
