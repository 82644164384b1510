"""The file opens by itself in the tools that people have; each is asked for pixels that are compared."""

import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

import mmspool

from .browser import Browser, fetch, free_port
from .conftest import HEIGHT, PIXEL_UM, WIDTH, record

pytestmark = pytest.mark.filterwarnings("ignore:::(?!mmspool)")

LIMIT_S = 120


def run(*command: object, **options: Any) -> str:
    """Run a tool and return what it prints; skip where it is not installed, visibly."""
    if shutil.which(str(command[0])) is None:
        pytest.skip(f"{command[0]} is not installed (Debian packages: see .ci/packages)")
    done = subprocess.run(
        list(map(str, command)), capture_output=True, text=True, timeout=LIMIT_S, check=False, **options
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module", params=["raw", "universal"])
def plain_file(request: pytest.FixtureRequest, source: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a recording that needs no plugin: uncompressed, or with HDF5's own gzip."""
    if request.param == "raw":
        return source
    return record(tmp_path_factory.mktemp("look") / "universal.h5", lost_before=(10,), compression="universal")


class TestHdf5Tools:
    """Debian's own, much older than the library that writes."""

    def test_h5dump(self, plain_file: Path, expected: np.ndarray[Any, Any]) -> None:
        """H5dump prints a row of a frame."""
        text = run("h5dump", "-d", "/data", "-s", "7,3,0", "-c", f"1,1,{WIDTH}", "-y", "-A", "0", plain_file)
        numbers = re.findall(r"\d+", text[text.index("DATA {") :])
        assert [int(number) for number in numbers] == expected[7, 3].tolist()

    def test_h5ls(self, plain_file: Path) -> None:
        """H5ls lists the frames with their shape."""
        text = run("h5ls", "-r", plain_file)
        assert re.search(r"/entry/data/data +Dataset \{20/Inf, 48, 64\}", text)


def test_octave(plain_file: Path, expected: np.ndarray[Any, Any]) -> None:
    """Octave loads the file in one call, with the axes in its own order."""
    code = f"s = load('-hdf5', '{plain_file}'); printf('%d ', size(s.data)); printf('%d', s.data(5, 4, 8));"
    *shape, pixel = run("octave", "--no-gui", "--quiet", "--eval", code).split()
    assert [int(size) for size in shape] == [WIDTH, HEIGHT, 20]
    assert int(pixel) == expected[7, 3, 4]


def test_r(plain_file: Path, expected: np.ndarray[Any, Any], tmp_path: Path) -> None:
    """R runs what the docs show, and has a frame and its time."""
    page = (Path(__file__).parents[2] / "docs" / "how-to" / "other-programs.md").read_text(encoding="utf-8")
    (shown,) = re.findall(r"^```r\n(.*?)^```", page, re.MULTILINE | re.DOTALL)
    (tmp_path / "run.h5").symlink_to(plain_file)
    script = tmp_path / "page.R"
    script.write_text(f"{shown}\ncat(dim(frame), frame[5, 4], length(time), all(diff(time) > 0))", encoding="ascii")
    assert run("Rscript", script, cwd=tmp_path).split() == f"{WIDTH} {HEIGHT} {expected[0, 3, 4]} 20 TRUE".split()
    assert (tmp_path / "Rplots.pdf").exists()


def test_java(plain_file: Path, expected: np.ndarray[Any, Any], tmp_path: Path) -> None:
    """The HDF Group's Java library, on which Fiji's readers are built, reads a frame."""
    jars = [Path("/usr/share/java") / name for name in ("jarhdf5.jar", "slf4j-api.jar")]
    if not all(jar.exists() for jar in jars):
        pytest.skip("the Java HDF5 library is not installed (Debian: libhdf5-java, libslf4j-java)")
    (tmp_path / "Look.java").write_text(
        """
        import hdf.hdf5lib.H5;
        import hdf.hdf5lib.HDF5Constants;
        public class Look {
            public static void main(String[] names) throws Exception {
                long plain = HDF5Constants.H5P_DEFAULT;
                long file = H5.H5Fopen(names[0], HDF5Constants.H5F_ACC_RDONLY, plain);
                long data = H5.H5Dopen(file, "/data", plain);
                long space = H5.H5Dget_space(data);
                long[] shape = new long[3];
                H5.H5Sget_simple_extent_dims(space, shape, null);
                long[] start = {7, 0, 0}, count = {1, shape[1], shape[2]};
                H5.H5Sselect_hyperslab(space, HDF5Constants.H5S_SELECT_SET, start, null, count, null);
                long memory = H5.H5Screate_simple(3, count, null);
                short[] pixels = new short[(int) (shape[1] * shape[2])];
                H5.H5Dread(data, HDF5Constants.H5T_NATIVE_USHORT, memory, space, plain, pixels);
                long sum = 0;
                for (short pixel : pixels) sum += pixel & 0xffff;
                System.out.println(shape[0] + " " + sum);
            }
        }
        """,
        encoding="ascii",
    )
    classes = os.pathsep.join(map(str, [*jars, tmp_path]))
    run("javac", "-cp", classes, "-d", tmp_path, tmp_path / "Look.java")
    library = "-Djava.library.path=/usr/lib/x86_64-linux-gnu/jni"
    assert run("java", library, "-cp", classes, "Look", plain_file).split() == ["20", str(expected[7].sum())]


def test_pytables(plain_file: Path, expected: np.ndarray[Any, Any]) -> None:
    """PyTables opens the frames and the table of frames."""
    import tables

    with tables.open_file(plain_file) as file:
        assert np.array_equal(file.get_node("/entry/data/data")[7], expected[7])
        assert file.get_node("/entry/instrument/detector/sequence_number")[10] == 13


def test_nexus(plain_file: Path) -> None:
    """NeXus' validator nxcheck finds nothing in the entry, and at the root only the name /data."""
    command = Path(sys.executable).with_name("nxcheck")
    entry, text = (re.sub(r"\x1b\[[0-9;]*m", "", run(command, "-p", path, plain_file)) for path in ("/entry", "/"))
    assert "Total number of warnings: 0" in entry, entry
    assert "Total number of errors: 0" in entry, entry
    assert "Total number of errors: 0" in text, text
    assert re.findall(r"(\S+)\n +This field is not defined", text) == ["/data"], text
    assert "Total number of warnings: 1" in text, text


def test_nexusformat(plain_file: Path, expected: np.ndarray[Any, Any]) -> None:
    """The default plot of the file is the stack of frames with its axes."""
    from nexusformat.nexus import nxload

    root = nxload(plain_file)
    plot = root.plottable_data
    assert plot.nxsignal.nxname == "data"
    assert [axis.nxname for axis in plot.nxaxes] == ["time", "y", "x"]
    assert np.array_equal(plot.nxsignal[7].nxdata, expected[7])


SILX = """
import os, sys, time
import numpy as np
from silx.gui import qt
app = qt.QApplication([])
from silx.app.view.Viewer import Viewer
from silx.gui.plot import PlotWidget
viewer = Viewer()
viewer.show()
viewer.appendFile(sys.argv[1])
limit = time.monotonic() + 60
image = None
while image is None and time.monotonic() < limit:
    app.processEvents()
    time.sleep(0.02)
    shown = [plot.getActiveImage() for plot in viewer.findChildren(PlotWidget) if plot.isVisible()]
    image = next((each for each in shown if each is not None), None)
np.save(sys.argv[2], image.getData())
print(type(image).__name__, flush=True)
os._exit(0)
"""


def shown_by_silx(path: Path, folder: Path) -> tuple[str, np.ndarray[Any, Any]]:
    """Return what silx view shows when a file is opened: the kind of its plot's image, and the pixels."""
    environment = os.environ | {"QT_QPA_PLATFORM": "offscreen"}
    kind = run(sys.executable, "-c", SILX, path, folder / "seen.npy", env=environment).split()[-1]
    return kind, np.load(folder / "seen.npy")


@pytest.mark.parametrize("compression", [None, "fast"])
def test_silx(tmp_path: Path, expected: np.ndarray[Any, Any], compression: str | None) -> None:
    """Silx view shows the first frame at once when the file is opened, compressed with Blosc too."""
    _, pixels = shown_by_silx(record(tmp_path / "run.h5", compression=compression), tmp_path)
    assert np.array_equal(pixels, expected[0])


def test_silx_colour(tmp_path: Path, colour: tuple[Path, np.ndarray[Any, Any]]) -> None:
    """Colours of 8 and of 16 bits are shown by silx view as colours, with the file's own numbers."""
    path, frames = colour
    kind, pixels = shown_by_silx(path, tmp_path)
    assert kind == "ImageRgba"
    assert np.array_equal(pixels, frames[0])


class TestH5web:
    """jupyterlab-h5web in a browser without a window."""

    @pytest.fixture
    def lab(self, tmp_path: Path) -> Iterator[str]:
        """Start JupyterLab in the test's folder and yield its address."""
        if shutil.which("chromium") is None:
            pytest.skip("chromium is not installed")
        port = free_port()
        places = {f"JUPYTER_{name}_DIR": str(tmp_path / ".jupyter" / name) for name in ("CONFIG", "DATA", "RUNTIME")}
        options = ["--no-browser", "--allow-root", f"--port={port}", "--IdentityProvider.token="]
        with (tmp_path / "lab.log").open("w") as log:
            process = subprocess.Popen(
                [sys.executable, "-m", "jupyterlab", *options, f"--ServerApp.root_dir={tmp_path}"],
                env=os.environ | places,
                stdout=log,
                stderr=log,
            )
            try:
                fetch(f"http://127.0.0.1:{port}/api")
                yield f"http://127.0.0.1:{port}"
            finally:
                process.terminate()
                process.wait()

    def test_shows_the_picture(self, tmp_path: Path, lab: str) -> None:
        """A double click on the file shows the frames as an image with a slider over all of them."""
        record(tmp_path / "run.h5")
        with Browser() as browser:
            browser.go(f"{lab}/lab")
            picture = "document.querySelectorAll('canvas').length > 0"
            browser.open_by_double_click(".jp-DirListing-item", "run.h5", picture)
            browser.wait_for("document.body.innerText.includes('NX Heatmap')")
            words = browser.text.split("\n")
            assert "camera frames" in words
            assert "0:19" in words

    @pytest.mark.parametrize(("dtype", "words"), [("uint8", "NX RGB"), ("uint16", "NX Heatmap")])
    def test_shows_colours(self, tmp_path: Path, lab: str, dtype: str, words: str) -> None:
        """Colours of 8 bits are shown as they are; of 16 bits, one channel as a picture."""
        colour = np.array([250, 120, 20], dtype)
        with mmspool.Spool(tmp_path / "run.h5", buffer_bytes=16_000_000) as spool:
            for _frame in range(3):
                spool.put(np.broadcast_to(colour, (HEIGHT, WIDTH, 3)))
        with Browser() as browser:
            browser.go(f"{lab}/lab")
            picture = "document.querySelectorAll('canvas').length > 0"
            browser.open_by_double_click(".jp-DirListing-item", "run.h5", picture)
            browser.wait_for(f"document.body.innerText.includes({words!r})")
            if dtype == "uint16":
                assert "NX RGB" not in browser.text.split("\n")
                return
            limit = time.monotonic() + LIMIT_S
            while np.count_nonzero(np.abs(_screenshot(browser, tmp_path) - colour).max(axis=2) < 3) < HEIGHT * WIDTH:
                assert time.monotonic() < limit, "the colour is not on the screen"


def _screenshot(browser: Browser, folder: Path) -> np.ndarray[Any, Any]:
    """Return what a browser shows ``(Y, X, 3)``, red, green, blue from 0 to 255."""
    from matplotlib.image import imread

    browser.screenshot(folder / "screen.png")
    return np.rint(255 * imread(folder / "screen.png")[..., :3]).astype(int)


class TestXarray:
    """Labelled arrays."""

    def test_opens_by_itself(self, plain_file: Path, expected: np.ndarray[Any, Any]) -> None:
        """Xarray finds t, y and x with their coordinates, without any help of ours."""
        import xarray

        with xarray.open_dataset(plain_file, engine="h5netcdf", group="/entry/data") as data:
            assert data["data"].dims == ("time", "y", "x")
            assert np.allclose(data["x"][:3], [0, PIXEL_UM[1], 2 * PIXEL_UM[1]])
            assert np.array_equal(data["data"][7], expected[7])


@pytest.mark.usefixtures("processes")
def test_pandas(tmp_path: Path) -> None:
    """A data frame of the frame table has a column for each of its own, with numbers, texts and truth values."""
    import pandas

    columns = {"z_um": float, "dose": int, "open": bool, "channel": "U16"}
    with mmspool.Spool(tmp_path / "run.h5", buffer_bytes=16_000_000, columns=columns) as spool:
        for index in range(3):
            values = {"z_um": index / 2, "dose": index, "open": index == 1, "channel": "DÄPI"}
            spool.put(np.full((8, 8), index, np.uint16), values)
    with mmspool.open(tmp_path / "run.h5") as recording:
        table = recording.frame_table()
        whole, rows = pandas.DataFrame(dict(table)), pandas.DataFrame(table[1:])
    assert tuple(whole) == tuple(rows) == table.keys()
    assert whole["z_um"].tolist() == [0, 0.5, 1]
    assert rows[["dose", "open", "channel"]].values.tolist() == [[1, True, "DÄPI"], [2, False, "DÄPI"]]


@pytest.mark.parametrize("lost_before", [(), (10,)])
def test_hyperspy(tmp_path: Path, expected: np.ndarray[Any, Any], lost_before: tuple[int, ...]) -> None:
    """HyperSpy's NeXus reader finds the stack, of a recording with losses and of one without."""
    from rsciio.nexus import file_reader

    path = record(tmp_path / "run.h5", lost_before=lost_before)
    signals = [each for each in file_reader(str(path)) if each["data"].ndim == 3]
    assert signals
    assert np.array_equal(signals[0]["data"], expected)


def test_no_pixel_size_is_invented(tmp_path: Path) -> None:
    """Where the pixel size is unknown, no reader is given one."""
    path = record(tmp_path / "run.h5", frames=3, info=mmspool.DetectorInfo())
    with h5py.File(path) as file:
        assert "element_size_um" not in file["data"].attrs
        assert file["/entry/data/x"].attrs["units"] in ("pixel", b"pixel", "px", b"px")
