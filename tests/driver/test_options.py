"""Misspelt options and attributes: an error of mypy, and a clear one at run time."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

import mmspool
from mmspool import Camera, PropertyNotFoundError, SettingError
from mmspool.adapters import MockCore

HOME = Path(mmspool.__file__).parents[1]
WRONG = """\
from mmspool import Camera, Spool

camera = Camera.mock(sed=1)
Camera.demo(widht=512)
Camera.headless("/mm", "my.cfg", bufer_mb=512)
camera.record("x.h5", frmaes=10)
camera.start_recording("x.h5", seconds=1.0, on_full="cry")
camera.exposure = 5
Spool("x.h5", bufer_bytes=1 << 20)
Spool("x.h5", compression="fastest")
"""
RIGHT = """\
from mmspool import Camera, Spool

with Camera.mock(seed=1, width=64) as camera:
    camera.roi = (0, 0, 32, 32)
    camera.exposure_ms = 5
    camera.record("x.h5", frames=10, overwrite=True, compression="fast", progress=print)
with Spool("x.h5", shape=(64, 64), dtype="uint16", grow_frames=10) as spool:
    spool.close()
"""


@pytest.fixture(scope="module")
def mypy(tmp_path_factory):
    """Return a function that checks a script as a user's mypy does, and returns the lines with errors."""
    pytest.importorskip("mypy")
    folder = tmp_path_factory.mktemp("typed")
    package = folder / "mmspool"
    if (HOME / "pyproject.toml").exists():  # as it is installed, of links
        package.mkdir()
        for source in (HOME / "mmspool").iterdir():
            (package / source.name).symlink_to(source)
        for layer in ("adapters", "driver", "persistence"):
            (package / layer).symlink_to(HOME / layer)

    def check(source):
        script = folder / "script.py"
        script.write_text(source)
        done = subprocess.run(
            [sys.executable, "-m", "mypy", "--follow-imports=silent", "--ignore-missing-imports", script.name],
            cwd=folder,
            capture_output=True,
            text=True,
            timeout=300,
        )
        assert not done.stderr, done.stderr
        return [int(line) for line in re.findall(r"^script\.py:(\d+): error", done.stdout, re.MULTILINE)]

    return check


@pytest.mark.usefixtures("processes")
class TestTypes:
    """What mypy says of scripts."""

    def test_misspelt_options_are_errors(self, mypy):
        """Every line of a script in which an option or an attribute is misspelt has an error."""
        assert sorted(set(mypy(WRONG))) == [3, 4, 5, 6, 7, 8, 9, 10]

    def test_right_options_are_none(self, mypy):
        """A script that uses the options as they are has no error."""
        assert mypy(RIGHT) == []


class TestAtRunTime:
    """What a script meets that runs without mypy."""

    @pytest.mark.parametrize(
        ("call", "nearest"),
        [
            (lambda _camera: Camera.mock(sed=1), "seed"),
            (lambda _camera: Camera.demo(widht=1), "width"),
            (lambda _camera: Camera.headless("/mm", "my.cfg", bufer_mb=1), "buffer_mb"),
            (lambda camera: camera.record("x.h5", frmaes=1), "frames"),
            (lambda camera: camera.start_recording("x.h5", overwite=True), "overwrite"),
        ],
    )
    def test_misspelt_option(self, mock, call, nearest):
        """The TypeError names the nearest option that there is."""
        with pytest.raises(TypeError, match=f"did you mean {nearest}"):
            call(mock())

    @pytest.mark.parametrize(
        ("name", "nearest"),
        [("exposure", "exposure_ms"), ("ROI", "roi"), ("Binning", "binning"), ("pixeltype", "pixel_type")],
    )
    def test_misspelt_attribute(self, mock, name, nearest):
        """Setting what is no setting is refused, and the nearest name is given."""
        with pytest.raises(AttributeError, match=f"no setting '{name}': did you mean {nearest}"):
            setattr(mock(), name, 5)

    def test_region_as_a_tuple(self, mock):
        """Four whole numbers are a region too; anything else is refused with what is expected."""
        camera = mock()
        camera.roi = (8, 4, 32, 16)
        assert (camera.roi.x, camera.roi.y, camera.roi.width, camera.roi.height) == (8, 4, 32, 16)
        for wrong in ((0, 0, 64), "0,0,64,64", 5, (0, 0, 6.5, 4)):
            with pytest.raises(SettingError, match="those four whole numbers"):
                camera.roi = wrong

    def test_property_that_is_not_there(self, mock):
        """It is an error of mmspool, a KeyError as of any mapping, and reads as a sentence."""
        with pytest.raises(PropertyNotFoundError, match=r"^Camera has no property 'Gian'; it has ") as caught:
            mock().properties["Gian"]
        assert isinstance(caught.value, KeyError)


class TestCalls:
    """How often the core is asked."""

    def test_detector_info_asks_once_a_property(self, mock, raw):
        """The names are read once and each value once: the calls grow with the number of properties, no faster."""
        camera = mock()
        core = raw(camera)
        count = len(camera.properties)
        core.calls.clear()
        camera.detector_info()
        assert core.calls["get_device_property_names"] == 1
        assert core.calls["get_property"] == count


class MultiCamera(MockCore):
    """Micro-Manager's Multi Camera, by its library and name."""

    def get_device_library(self, label):
        """Return the library that has it."""
        return "Utilities"

    def get_device_name(self, label):
        """Return its name."""
        return "Multi Camera"


def changes(core):
    """Return which calls of a simulated core changed something."""
    return {name for name in core.calls if name.startswith(("set_", "clear_", "start_"))}


class TestRefusedAtStart:
    """Recordings that cannot be created."""

    def test_frames_that_would_be_recorded_wrong(self, record, tmp_path):
        """The error says what to choose instead; no file is made, and the camera does not run."""
        core = MultiCamera(width=64, height=64)
        with pytest.raises(SettingError, match="mixed in one stack"):
            record(Camera(core), frames=5)
        assert list(tmp_path.iterdir()) == []
        assert not core.is_sequence_running()

    @pytest.mark.parametrize("options", [{"compression": "zip"}, {"frames": 0}, {"frmes": 1}, {"timeout_s": 0}])
    def test_option_that_makes_no_sense(self, mock, raw, record, options):
        """It is found before the camera is touched: buffer, region and exposure stay."""
        camera = mock()
        raw(camera).calls.clear()
        with pytest.raises((TypeError, ValueError)):
            record(camera, core_buffer_mb=8, **options)
        assert not changes(raw(camera))

    def test_existing_file(self, mock, raw, record, tmp_path):
        """It is found before the core's buffer is set, which may take seconds."""
        (tmp_path / "run.h5").write_text("precious")
        camera = mock()
        raw(camera).calls.clear()
        with pytest.raises(mmspool.StorageError, match="the file exists"):
            record(camera, frames=5, core_buffer_mb=8)
        assert not changes(raw(camera))
