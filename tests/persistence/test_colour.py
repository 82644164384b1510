"""Colour frames: red, green and blue of 8 or 16 bits, stored and read as they are."""

import h5py
import numpy as np
import pytest
from support.frames import stack

import mmspool
from mmspool import DetectorInfo, FrameError, Spool
from mmspool.persistence import compress, verify

pytestmark = pytest.mark.usefixtures("processes")

SHAPE = (140, 130, 3)  # large enough to be compressed
COUNT = 30
DETECTOR = "entry/instrument/detector"


def as_the_core_has_it(image):
    """Return a frame as a view of pixels with blue first and a fourth component."""
    packed = np.full((*image.shape[:2], 4), 7, image.dtype)
    packed[..., 2::-1] = image
    return packed[..., 2::-1]


@pytest.fixture(params=[np.uint8, np.uint16], ids=["8bit", "16bit"])
def frames(request):
    """Return the frames that are recorded."""
    return stack(0, COUNT, SHAPE, request.param)


@pytest.fixture
def record(tmp_path, frames):
    """Return a function that records them, every second one from the core's memory layout."""

    def run(**options):
        path = tmp_path / "run.h5"
        info = DetectorInfo(bit_depth=8 * frames.itemsize, sample_pixel_um=(0.5, 0.25))
        with Spool(path, buffer_bytes=16 << 20, info=info, **options) as spool:
            for index, image in enumerate(frames):
                spool.put(as_the_core_has_it(image) if index % 2 else image)
        return path

    return run


@pytest.mark.parametrize("compression", [None, "fast", "universal"])
def test_every_value_comes_back(record, frames, compression):
    """Raw and compressed, each frame is in its place with its channels in order, and the file is intact."""
    path = record(compression=compression)
    assert verify(path).intact
    with mmspool.open(path) as run, h5py.File(path) as file:
        assert (run.shape, run.dtype, run.ndim) == (frames.shape, frames.dtype, 4)
        assert (run.compression == "none") == (compression is None)
        assert np.array_equal(run, frames)
        assert np.array_equal(file["data"], frames)
        assert run.chunks[1:] == SHAPE


def test_shape_can_be_given(tmp_path):
    """The file is created before the first frame; a grey frame does not fit it."""
    with Spool(tmp_path / "run.h5", shape=(8, 9, 3), dtype="uint8", buffer_bytes=16 << 20) as spool:
        assert spool.shape == (8, 9, 3)
        with pytest.raises(FrameError, match=r"8x9 .*holds 8x9x3"):
            spool.put(np.zeros((8, 9), np.uint8))
        spool.put(np.ones((8, 9, 3), np.uint8))
    assert spool.result.complete


@pytest.mark.parametrize(("shape", "dtype"), [((8, 9, 4), "uint8"), ((8, 9, 3), "float32"), ((2, 8, 9, 3), "uint8")])
def test_refused(tmp_path, shape, dtype):
    """What is neither grey nor red, green and blue is refused before there is a file."""
    with pytest.raises((FrameError, ValueError), match=r"\(Y, X, 3\)"):
        Spool(tmp_path / "run.h5", shape=shape, dtype=dtype)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "key",
    [
        np.s_[5],
        np.s_[-1, ..., 2],
        np.s_[:, 7, 6, 1],
        np.s_[3:20:4, ::3, 5:60:7, ::-1],
        np.s_[[3, 9, 1], :, :, 0],
        np.s_[:, :, [1, 4, 4], [0, 2, 1]],
        np.s_[::-1, 3, None],
        np.s_[..., np.array([True, False, True])],
    ],
    ids=str,
)
def test_indexing(record, frames, key):
    """Every index gives what it gives with an array."""
    with mmspool.open(record()) as run:
        assert np.array_equal(run[key], frames[key])


def test_index_that_is_none(record):
    """A channel that does not exist and an axis too many are index errors."""
    with mmspool.open(record()) as run:
        with pytest.raises(IndexError):
            run[0, 0, 0, 3]
        with pytest.raises(IndexError, match="4 axes"):
            run[0, 0, 0, 0, 0]


def test_what_the_file_says(record, frames):
    """Silx learns that colours are colours; h5web, which cannot show 16 bits, of 8 bits only. Readers find channels."""
    with h5py.File(record()) as file:
        data, plot = file["data"], file["entry/data"]
        eight_bit = frames.itemsize == 1
        assert (data if eight_bit else plot).attrs["interpretation"] == "rgba-image"
        assert "interpretation" not in (plot if eight_bit else data).attrs
        assert ("default_slice" in plot.attrs) is not eight_bit
        assert list(data.attrs["channels"]) == ["red", "green", "blue"]
        assert list(plot.attrs["axes"]) == ["time", "y", "x", "channel"]
        assert [axis.label or next(iter(axis)) for axis in data.dims] == ["time", "y", "x", "channel"]
        assert plot["y"].shape + plot["x"].shape == SHAPE[:2]
        assert file[f"{DETECTOR}/saturation_value"][()] == np.iinfo(frames.dtype).max
        assert file[f"{DETECTOR}/module/data_size"][()].tolist() == list(SHAPE[:2])


def test_compressed_afterwards(record, frames):
    """A raw recording can be compressed later; every frame is compared."""
    path = record()
    compress(path, compression="universal")
    with mmspool.open(path) as run:
        assert run.compression != "none"
        assert np.array_equal(run, frames)


def test_arrays(record, frames):
    """As a dask array and an xarray.DataArray it has its channels by name."""
    pytest.importorskip("xarray", reason="needs the extra arrays")
    with mmspool.open(record()) as run:
        assert np.array_equal(run.to_dask()[7:9, ..., 1].compute(), frames[7:9, ..., 1])
        array = run.to_xarray()
        assert array.dims == ("time", "y", "x", "channel")
        assert np.array_equal(array.sel(channel="blue").isel(time=3), frames[3, ..., 2])


def test_floats_have_no_saturation(tmp_path):
    """Of 32-bit floats the file names the bits, and no value at which they are saturated."""
    with Spool(tmp_path / "run.h5", buffer_bytes=16 << 20, info=DetectorInfo(bit_depth=32)) as spool:
        spool.put(np.ones((8, 9), np.float32))
    with h5py.File(tmp_path / "run.h5") as file:
        assert "saturation_value" not in file[DETECTOR]
        assert file[f"{DETECTOR}/bit_depth_readout"][()] == 32
