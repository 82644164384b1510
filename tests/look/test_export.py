"""Exported files hold the same pixels, scales and times, as the formats' own readers see them."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
from click.testing import CliRunner

import mmspool
from mmspool import ExportError, MissingPackageError, Roi
from mmspool.cli import main
from mmspool.exporting import export

from .conftest import FRAMES, PIXEL_UM, frame, record

pytestmark = pytest.mark.filterwarnings("ignore:::(?!mmspool)")

COMPRESSIONS = (None, "universal", "fast", "small")


def squares(stack: np.ndarray[Any, Any], side: int) -> np.ndarray[Any, Any]:
    """Return ``(T, Y, side, X, side)``, cut to whole squares."""
    count, height, width = len(stack), stack.shape[1] // side, stack.shape[2] // side
    return stack[:, : height * side, : width * side].reshape(count, height, side, width, side)


class TestOmeTiff:
    """OME-TIFF, read by tifffile and by ome-types, which validates it."""

    def test_pixels(self, source: Path, expected: np.ndarray[Any, Any], tmp_path: Path) -> None:
        """The pixels are those of the recording, in one series with a time axis."""
        import tifffile

        export(source, tmp_path / "run.ome.tiff")
        with tifffile.TiffFile(tmp_path / "run.ome.tiff") as file:
            assert file.is_ome
            assert [series.axes for series in file.series] == ["TYX"]
            assert np.array_equal(file.series[0].asarray(), expected)

    def test_metadata(self, camera_file: Path, tmp_path: Path) -> None:
        """Pixel size, times, exposure, date and settings are in a valid OME document."""
        import ome_types

        export(camera_file, tmp_path / "run.ome.tiff", bin=2)
        (image,) = ome_types.from_tiff(tmp_path / "run.ome.tiff", validate=True).images
        with mmspool.open(camera_file) as run:
            times = run.file["/entry/data/time"][:]
            assert image.acquisition_date.isoformat() == run.metadata["start_time"]
        pixels = image.pixels
        assert (pixels.physical_size_y, pixels.physical_size_x) == (2 * PIXEL_UM[0], 2 * PIXEL_UM[1])
        assert pixels.physical_size_x_unit.value == "µm"
        assert [plane.delta_t for plane in pixels.planes] == pytest.approx(times.tolist())
        assert [plane.exposure_time for plane in pixels.planes] == pytest.approx([0.009997344] * FRAMES)
        assert pixels.time_increment == pytest.approx(np.median(np.diff(times)))
        document = ome_types.from_tiff(tmp_path / "run.ome.tiff")
        notes = {m.k: m.value for note in document.structured_annotations.map_annotations for m in note.value.ms}
        assert notes["sample"] == "HeLa"
        assert notes["property ScanMode"] == "2"
        assert notes["source"] == "cells.h5"

    def test_losses_are_named(self, source: Path, tmp_path: Path) -> None:
        """Whoever gets only the exported file still learns which frames are missing."""
        import ome_types

        export(source, tmp_path / "run.ome.tiff")
        document = ome_types.from_tiff(tmp_path / "run.ome.tiff")
        notes = {m.k: m.value for note in document.structured_annotations.map_annotations for m in note.value.ms}
        assert (notes["frames lost"], notes["losses"]) == ("3", "3 before 10")

    def test_compressed(self, source: Path, expected: np.ndarray[Any, Any], tmp_path: Path) -> None:
        """Compression changes the size, and no pixel."""
        import tifffile

        plain = export(source, tmp_path / "plain.ome.tiff")
        packed = export(source, tmp_path / "packed.ome.tiff", compress=True)
        assert packed.size_bytes < plain.size_bytes / 2
        assert np.array_equal(tifffile.imread(tmp_path / "packed.ome.tiff"), expected)

    def test_pixels_it_has_no_type_for(self, tmp_path: Path) -> None:
        """A dtype that OME does not know is refused with those that it knows, and nothing is left behind."""
        path = tmp_path / "wide.h5"
        with mmspool.Spool(path, buffer_bytes=16_000_000) as spool:
            spool.put(np.zeros((8, 8), np.int64))
        with pytest.raises(ExportError, match=r"int64, only bool, .*float64"):
            export(path, tmp_path / "wide.ome.tiff")
        assert [each.name for each in tmp_path.iterdir()] == ["wide.h5"]


class TestTiff:
    """Multi-page TIFF."""

    def test_imagej(self, camera_file: Path, tmp_path: Path) -> None:
        """ImageJ gets a stack in time with its interval and pixel size."""
        import tifffile

        export(camera_file, tmp_path / "run.tif")
        with tifffile.TiffFile(tmp_path / "run.tif") as file, mmspool.open(camera_file) as run:
            assert file.is_imagej
            meta = file.imagej_metadata
            assert (meta["frames"], meta["unit"]) == (FRAMES, "um")
            assert meta["finterval"] == pytest.approx(np.median(np.diff(run.file["/entry/data/time"][:])), rel=1e-3)
            assert "sample = HeLa" in meta["Info"]
            pixels, length = file.pages[0].tags["XResolution"].value
            assert length / pixels == pytest.approx(PIXEL_UM[1])
            assert np.array_equal(file.asarray(), run[:])

    def test_other_dtypes(self, tmp_path: Path) -> None:
        """What ImageJ cannot read becomes plain pages."""
        import tifffile

        path = tmp_path / "run.h5"
        frames = np.arange(3 * 8 * 8, dtype=np.float64).reshape(3, 8, 8)
        with mmspool.Spool(path, buffer_bytes=16_000_000) as spool:
            for each in frames:
                spool.put(each)
        export(path, tmp_path / "run.tif")
        assert np.array_equal(tifffile.imread(tmp_path / "run.tif"), frames)


class TestOmeZarr:
    """OME-Zarr, validated by yaozarrs and read by zarr."""

    @pytest.mark.parametrize("compress", [False, True])
    def test_is_valid(self, camera_file: Path, tmp_path: Path, compress: bool) -> None:
        """The store is valid OME-NGFF with scale and units, and holds the recording's pixels."""
        import yaozarrs
        import zarr

        target = tmp_path / "run.ome.zarr"
        result = export(camera_file, target, compress=compress)
        assert result.size_bytes > 0
        yaozarrs.validate_zarr_store(target)
        (multiscale,) = yaozarrs.open_group(target).ome_metadata().multiscales
        axes = [(axis.name, axis.type, axis.unit) for axis in multiscale.axes]
        assert axes == [("t", "time", "second"), ("y", "space", "micrometer"), ("x", "space", "micrometer")]
        (scale,) = multiscale.datasets[0].coordinateTransformations
        with mmspool.open(camera_file) as run:
            interval = np.median(np.diff(run.file["/entry/data/time"][:]))
            assert scale.scale == pytest.approx([interval, *PIXEL_UM])
            assert np.array_equal(zarr.open_group(target, mode="r")["0"][:], run[:])

    def test_times_and_settings(self, camera_file: Path, tmp_path: Path) -> None:
        """Each plane's time and the camera's settings are in the group's attributes."""
        import zarr

        export(camera_file, tmp_path / "run.ome.zarr", frames=slice(0, 5))
        text = json.dumps(dict(zarr.open_group(tmp_path / "run.ome.zarr", mode="r").attrs))
        assert text.count("delta_t") == 5
        assert '"sample": "HeLa"' in text


class TestZarrView:
    """References to the recording's own chunks."""

    @pytest.mark.parametrize("compression", COMPRESSIONS)
    @pytest.mark.parametrize("shape", [(48, 64), (512, 512)])
    def test_reads_the_same(self, tmp_path: Path, compression: str | None, shape: tuple[int, int]) -> None:
        """Zarr reads the recording's pixels and coordinates from a file of a few kB."""
        import zarr

        source = record(tmp_path / "run.h5", compression=compression, shape=shape)
        result = export(source, tmp_path / "run.zarr.json")
        assert result.size_bytes < 20_000 + 8 * sum(shape) * 2
        store = zarr.storage.FsspecStore.from_url(
            "reference://", storage_options={"fo": str(result.path), "remote_protocol": "file"}, read_only=True
        )
        group = zarr.open_group(store, mode="r", zarr_format=2)
        with mmspool.open(source) as run:
            assert np.array_equal(group["data"][:], run[:])
            assert np.array_equal(group["time"][:], run.file["/entry/data/time"][:])
        assert group["x"][:3].tolist() == pytest.approx([0, PIXEL_UM[1], 2 * PIXEL_UM[1]])

    def test_in_xarray(self, camera_file: Path, tmp_path: Path) -> None:
        """Xarray opens it as a dataset with named axes."""
        import xarray

        export(camera_file, tmp_path / "run.zarr.json")
        options = {"fo": str(tmp_path / "run.zarr.json"), "remote_protocol": "file"}
        data = xarray.open_dataset(
            "reference://", engine="zarr", backend_kwargs={"storage_options": options, "consolidated": False}
        )
        assert data["data"].dims == ("time", "y", "x")
        assert data["data"].sel(time=0, method="nearest").shape == (48, 64)

    def test_part_of_the_frames(self, camera_file: Path, tmp_path: Path) -> None:
        """A view shows whole frames only, and says so."""
        with pytest.raises(ExportError, match="whole frames"):
            export(camera_file, tmp_path / "run.zarr.json", bin=2)


class TestSelections:
    """Parts and reductions are those that NumPy computes."""

    @pytest.mark.parametrize(
        ("options", "compute"),
        [
            ({"frames": slice(3, 17, 4)}, lambda a: a[3:17:4]),
            ({"frames": slice(-5, None)}, lambda a: a[-5:]),
            ({"crop": Roi(10, 5, 30, 20)}, lambda a: a[:, 5:25, 10:40]),
            ({"bin": 4}, lambda a: np.rint(squares(a, 4).mean((2, 4))).astype(np.uint16)),
            ({"bin": 5, "bin_method": "sum"}, lambda a: squares(a, 5).sum((2, 4), dtype=np.uint32)),
            ({"projection": "max"}, lambda a: a.max(0, keepdims=True)),
            ({"projection": "min", "group": 8}, lambda a: np.stack([a[:8].min(0), a[8:16].min(0), a[16:].min(0)])),
            ({"projection": "mean"}, lambda a: a.mean(0, keepdims=True).astype(np.float32)),
            ({"projection": "sum"}, lambda a: a.sum(0, keepdims=True, dtype=np.float64)),
            ({"projection": "std"}, lambda a: a.std(0, keepdims=True).astype(np.float32)),
        ],
    )
    @pytest.mark.parametrize("read_bytes", [1, 20_000, 64 << 20])
    def test_as_numpy(
        self,
        source: Path,
        expected: np.ndarray[Any, Any],
        tmp_path: Path,
        monkeypatch: pytest.MonkeyPatch,
        options: dict[str, Any],
        compute: Callable[[np.ndarray[Any, Any]], np.ndarray[Any, Any]],
        read_bytes: int,
    ) -> None:
        """What is written equals NumPy's result, however little is read at a time."""
        monkeypatch.setattr("mmspool.selection.READ_BYTES", read_bytes)
        result = export(source, tmp_path / "run.npy", **options)
        written, wanted = np.load(tmp_path / "run.npy"), compute(expected)
        assert (written.shape, written.dtype) == (wanted.shape, wanted.dtype) == (result.shape, result.dtype)
        assert np.allclose(written, wanted, rtol=1e-6, atol=0)

    @pytest.mark.parametrize(
        ("options", "message"),
        [
            ({"frames": slice(50, 60)}, "no frame is selected: the recording has 20 frames"),
            ({"crop": Roi(0, 0, 65, 10)}, "not within the frames of 64x48"),
            ({"bin": 0}, "bin is 0"),
            ({"bin": 49}, "only 64x48"),
            ({"group": 5}, "needs a projection"),
            ({"frames": slice(None, None, -1)}, "must go forward"),
            ({"projection": "median"}, "'median', but must be one of"),
        ],
    )
    def test_senseless(self, source: Path, tmp_path: Path, options: dict[str, Any], message: str) -> None:
        """A selection that makes no sense is refused with its figures, before anything is written."""
        with pytest.raises(ValueError, match=message):
            export(source, tmp_path / "run.npy", **options)
        assert not (tmp_path / "run.npy").exists()

    def test_text(self, source: Path, expected: np.ndarray[Any, Any], tmp_path: Path) -> None:
        """A text image is the frame's numbers, and a table has a line a frame."""
        export(source, tmp_path / "one.txt", frames=slice(4, 5))
        assert np.array_equal(np.loadtxt(tmp_path / "one.txt"), expected[4])
        export(source, tmp_path / "trace.csv", crop=Roi(8, 8, 4, 4))
        table = np.genfromtxt(tmp_path / "trace.csv", delimiter=",", names=True)
        assert np.allclose(table["mean"], expected[:, 8:12, 8:12].mean((1, 2)))
        assert table["frame"].tolist() == list(range(20))
        with pytest.raises(ExportError, match="choose one frame"):
            export(source, tmp_path / "many.txt")


class TestTarget:
    """What is at the target is whole, or what was there before."""

    def test_existing(self, source: Path, tmp_path: Path) -> None:
        """A file or folder that exists is replaced only when that is asked for."""
        target = tmp_path / "run.npy"
        target.write_text("mine")
        with pytest.raises(ExportError, match="exists"):
            export(source, target)
        assert target.read_text() == "mine"
        export(source, target, overwrite=True)
        assert np.load(target).shape == (20, 48, 64)

    def test_failure_leaves_nothing(self, source: Path, tmp_path: Path) -> None:
        """An export that fails half way leaves neither a part of a file nor a temporary folder."""

        def fail(done: int, _total: int) -> None:
            if done == 5:
                raise RuntimeError("half way")

        before = sorted(each.name for each in tmp_path.iterdir())
        for name in ("run.ome.tiff", "run.npy", "run.csv", "run.ome.zarr"):
            with pytest.raises(RuntimeError, match="half way"):
                export(source, tmp_path / name, progress=fail)
        assert sorted(each.name for each in tmp_path.iterdir()) == before

    def test_unknown_ending(self, source: Path, tmp_path: Path) -> None:
        """A name that stands for no format is refused with the endings that do."""
        with pytest.raises(ExportError, match=r"\.ome\.tif, .*\.zarr\.json"):
            export(source, tmp_path / "run.avi")

    def test_missing_package(self, source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """Without the format's package, the message has the command that installs it."""
        monkeypatch.setitem(__import__("sys").modules, "tifffile", None)
        with pytest.raises(MissingPackageError, match=r"-m pip install tifffile"):
            export(source, tmp_path / "run.tiff")


class TestCommand:
    """``mmspool export``."""

    def test_json(self, source: Path, tmp_path: Path) -> None:
        """The command writes the file and says in JSON what it wrote."""
        arguments = ["export", str(source), str(tmp_path / "p.npy"), "--project", "max", "--frames", "2:12", "--json"]
        result = CliRunner().invoke(main, arguments)
        assert result.exit_code == 0
        facts = json.loads(result.stdout)
        assert (facts["shape"], facts["frames_used"], facts["format"]) == ([1, 48, 64], 10, "npy")
        assert np.load(tmp_path / "p.npy").max() == frame(11).max()

    @pytest.mark.parametrize(
        ("arguments", "message"),
        [
            (["--frames", "a:b"], "100:200"),
            (["--frames", ":"], None),
            (["--group", "3"], "--group needs --project"),
            (["--crop", "1,2"], "0,0,2048,512"),
        ],
    )
    def test_options(self, source: Path, tmp_path: Path, arguments: list[str], message: str | None) -> None:
        """An option that cannot be read says how it is written."""
        result = CliRunner().invoke(main, ["export", str(source), str(tmp_path / "p.npy"), *arguments])
        assert result.exit_code == (0 if message is None else 2)
        assert message is None or message in result.stderr

    def test_quiet_when_piped(self, source: Path, tmp_path: Path) -> None:
        """Without a terminal there is one line of result and no progress."""
        result = CliRunner().invoke(main, ["export", str(source), str(tmp_path / "p.npy")])
        assert result.stderr == ""
        assert len(result.stdout.splitlines()) == 1


class TestArranged:
    """Channels, z and positions of a recording with a plan, or with columns that name them."""

    PLAN: ClassVar[dict[str, Any]] = {
        "t": 2,
        "position": ["A1", "B2"],
        "channel": ["DAPI", "FITC"],
        "z_um": [0.0, 0.5, 1.0],
    }
    LOST = 7

    @pytest.fixture(scope="class")
    def planned(self, processes: None, tmp_path_factory: pytest.TempPathFactory) -> Path:
        """Return a recording whose frames are their places in the plan, the first of them 1; one is missing."""
        path = tmp_path_factory.mktemp("planned") / "run.h5"
        info = mmspool.DetectorInfo(sample_pixel_um=PIXEL_UM)
        with mmspool.Spool(path, buffer_bytes=16_000_000, plan=self.PLAN, info=info) as spool:
            for place in range(24):
                if place == self.LOST:
                    spool.record_loss(1, "camera")
                else:
                    spool.put(np.full((16, 20), place + 1, np.uint16))
        return path

    @pytest.fixture(scope="class")
    def places(self) -> np.ndarray[Any, Any]:
        """Return what each plane should show, ``(P, T, C, Z)``: 0 where the frame is missing."""
        shown = np.arange(1, 25)
        shown[self.LOST] = 0
        return shown.reshape(2, 2, 2, 3).transpose(1, 0, 2, 3)

    def test_ome_tiff(self, planned: Path, places: np.ndarray[Any, Any], tmp_path: Path) -> None:
        """An image a position, with named channels, a step in z, and every plane in its place."""
        import ome_types
        import tifffile

        export(planned, tmp_path / "run.ome.tiff")
        with tifffile.TiffFile(tmp_path / "run.ome.tiff") as file:
            assert [series.axes for series in file.series] == ["TCZYX", "TCZYX"]
            assert np.array_equal(np.stack([each.asarray()[..., 3, 4] for each in file.series]), places)
        document = ome_types.from_tiff(tmp_path / "run.ome.tiff", validate=True)
        assert [image.name for image in document.images] == ["run A1", "run B2"]
        for image in document.images:
            assert [channel.name for channel in image.pixels.channels] == ["DAPI", "FITC"]
            assert image.pixels.physical_size_z == 0.5
            assert image.pixels.physical_size_y == PIXEL_UM[0]
        notes = {
            each.k: each.value for note in document.structured_annotations.map_annotations for each in note.value.ms
        }
        assert notes["missing planes"] == "P1 T0 C0 Z1"

    def test_ome_zarr(self, planned: Path, places: np.ndarray[Any, Any], tmp_path: Path) -> None:
        """An image a position, valid as OME-Zarr, with every plane in its place."""
        import yaozarrs
        import zarr

        export(planned, tmp_path / "run.ome.zarr")
        yaozarrs.validate_zarr_store(str(tmp_path / "run.ome.zarr"))
        shown = [zarr.open_array(tmp_path / "run.ome.zarr" / name / "0", mode="r")[..., 3, 4] for name in ("A1", "B2")]
        assert np.array_equal(np.stack(shown), places)

    def test_columns(self, tmp_path: Path, processes: None) -> None:
        """Without a plan the columns arrange the frames: what comes again is the next time point."""
        import tifffile

        with mmspool.Spool(tmp_path / "run.h5", buffer_bytes=16_000_000) as spool:
            for place in range(8):
                facts = {"channel": ["red", "green"][place % 2], "z_um": 2.0 * (place // 2 % 2)}
                spool.put(np.full((16, 20), place, np.uint16), facts)
        export(tmp_path / "run.h5", tmp_path / "run.ome.tiff")
        with tifffile.TiffFile(tmp_path / "run.ome.tiff") as file:
            (series,) = file.series
            assert series.axes == "TCZYX"
            assert series.asarray()[..., 0, 0].tolist() == [[[0, 2], [1, 3]], [[4, 6], [5, 7]]]

    def test_readings_are_no_axis(self, tmp_path: Path, processes: None) -> None:
        """Columns that would leave most planes empty arrange nothing."""
        import tifffile

        with mmspool.Spool(tmp_path / "run.h5", buffer_bytes=16_000_000) as spool:
            for place in range(9):
                facts = {"channel": ["red", "green", "blue"][place % 3], "z_um": 0.1 * place}
                spool.put(np.full((16, 20), place, np.uint16), facts)
        export(tmp_path / "run.h5", tmp_path / "run.ome.tiff")
        with tifffile.TiffFile(tmp_path / "run.ome.tiff") as file:
            assert [series.axes for series in file.series] == ["TYX"]

    def test_a_part(self, planned: Path, tmp_path: Path) -> None:
        """A range of frames is a series in time."""
        assert export(planned, tmp_path / "run.ome.tiff", frames=slice(3, 9)).shape == (6, 16, 20)
