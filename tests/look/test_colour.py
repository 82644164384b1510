"""Colour recordings in other formats, in a report and for a look: their channels stay what they are."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner

from mmspool import ExportError
from mmspool.cli import main
from mmspool.exporting import export
from mmspool.reporting import report
from mmspool.watching import look

from .conftest import PIXEL_UM

pytestmark = pytest.mark.filterwarnings("ignore:::(?!mmspool)")

Colour = tuple[Path, np.ndarray[Any, Any]]


@pytest.mark.parametrize("ending", [".ome.tiff", ".tiff"])
def test_tiff(colour: Colour, tmp_path: Path, ending: str) -> None:
    """TIFF and OME-TIFF hold red, green and blue in each pixel."""
    import tifffile

    path, frames = colour
    export(path, tmp_path / f"run{ending}")
    with tifffile.TiffFile(tmp_path / f"run{ending}") as file:
        assert file.pages[0].photometric.name == "RGB"
        assert file.series[0].axes == "TYXS"
        assert file.is_imagej == (ending == ".tiff" and frames.dtype == np.uint8)
        assert np.array_equal(file.series[0].asarray(), frames)


def test_ome_document_is_valid(colour: Colour, tmp_path: Path) -> None:
    """OME's own schema takes the document: one channel of three samples a pixel."""
    import ome_types

    export(colour[0], tmp_path / "run.ome.tiff")
    (image,) = ome_types.from_tiff(tmp_path / "run.ome.tiff", validate=True).images
    assert [channel.samples_per_pixel for channel in image.pixels.channels] == [3]
    assert (image.pixels.physical_size_y, image.pixels.physical_size_x) == PIXEL_UM


def test_ome_zarr(colour: Colour, tmp_path: Path) -> None:
    """OME-Zarr has an axis of channels between time and space, as the format asks for."""
    import zarr

    path, frames = colour
    export(path, tmp_path / "run.ome.zarr")
    group = zarr.open_group(tmp_path / "run.ome.zarr", mode="r")
    assert [axis["name"] for axis in group.attrs["ome"]["multiscales"][0]["axes"]] == ["t", "c", "y", "x"]
    assert np.array_equal(np.moveaxis(np.asarray(group["0"]), 1, -1), frames)


def test_zarr_view(colour: Colour, tmp_path: Path) -> None:
    """A Zarr view of the same bytes has the same shape, with a name for its last axis."""
    import fsspec
    import xarray

    path, frames = colour
    export(path, tmp_path / "run.zarr.json")
    store = fsspec.filesystem("reference", fo=str(tmp_path / "run.zarr.json")).get_mapper("")
    with xarray.open_zarr(store, consolidated=False) as data:
        assert data["data"].dims == ("time", "y", "x", "channel")
        assert np.array_equal(data["data"], frames)


@pytest.mark.parametrize("projection", ["mean", "max", "std"])
def test_bins_and_projections(colour: Colour, tmp_path: Path, projection: Any) -> None:
    """Each channel is binned and projected by itself."""
    path, frames = colour
    count, height, width, channels = frames.shape
    binned = np.rint(frames.reshape(count, height // 2, 2, width // 2, 2, channels).mean(axis=(2, 4)))
    result = export(path, tmp_path / "run.npy", bin=2, projection=projection)
    assert result.shape == (1, height // 2, width // 2, 3)
    assert np.allclose(np.load(tmp_path / "run.npy")[0], getattr(binned, projection)(axis=0), atol=1e-2)


def test_text_is_refused(colour: Colour, tmp_path: Path) -> None:
    """A text image has one number a pixel: the error says so, and names formats that hold colours."""
    with pytest.raises(ExportError, match=r"colour: export to \.npy"):
        export(colour[0], tmp_path / "run.txt", frames=slice(0, 1))


def test_commands(colour: Colour, tmp_path: Path) -> None:
    """``info``, ``verify`` and ``export`` take colour recordings."""
    for command in (["info"], ["verify"], ["export", str(tmp_path / "run.npy")]):
        result = CliRunner().invoke(main, [command[0], str(colour[0]), *command[1:]])
        assert result.exit_code == 0, result.output
    assert "RGB" in result.output


def test_report_and_watch(colour: Colour, tmp_path: Path) -> None:
    """A report says that the frames are colour and shows them; a look knows their size."""
    path, frames = colour
    assert "RGB" in report(path, tmp_path / "run.html").read_text(encoding="utf-8")
    assert look(path).frame_bytes == frames[0].nbytes
