"""A recording as a dask array and an xarray.DataArray: read where it is computed, with its axes."""

import sys

import numpy as np
import pytest

import mmspool
from mmspool import DetectorInfo, MissingPackageError, Spool

SHAPE = (30, 24, 32)


@pytest.fixture(scope="module")
def stack():
    """Return the frames."""
    return np.arange(np.prod(SHAPE), dtype="u4").reshape(SHAPE)


@pytest.fixture(scope="module")
def recording(processes, tmp_path_factory, stack):
    """Record them with time stamps of the camera."""
    path = tmp_path_factory.mktemp("lazy") / "cells.h5"
    with Spool(path, buffer_bytes=8 << 20, info=DetectorInfo(sample_pixel_um=(0.1, 0.2))) as spool:
        for index, frame in enumerate(stack):
            spool.put(frame, {"camera_timestamp": 10**9 + index * 10**7})
        spool.record_loss(2, "camera")
    with mmspool.open(path) as opened:
        yield opened


def test_dask(recording, stack):
    """Computing gives what NumPy gives, in threads and in other processes."""
    pytest.importorskip("dask.array", reason="needs the extra arrays")
    array = recording.to_dask()
    assert (array.shape, array.dtype, array.chunksize[1:]) == (SHAPE, stack.dtype, SHAPE[1:])
    np.testing.assert_array_equal(array[::7, 3:5].compute(), stack[::7, 3:5])
    np.testing.assert_allclose(array.mean(axis=0).compute(), stack.mean(axis=0))
    small = recording.to_dask(chunks=(4, 12, 32))
    assert small.numblocks == (8, 2, 1)
    assert int(small.max().compute(scheduler="processes", num_workers=2)) == stack.max()
    assert recording.to_dask().name == array.name


def test_xarray(recording, stack):
    """Frames can be chosen by their time in seconds and place in micrometres."""
    pytest.importorskip("xarray", reason="needs the extra arrays")
    array = recording.to_xarray()
    assert array.dims == ("time", "y", "x")
    assert array.name == "cells"
    assert (array.time.attrs["long_name"], array.y.attrs["units"]) == ("camera time (s)", "um")
    assert (array.attrs["state"], array.attrs["frames_lost"]) == ("incomplete", 2)
    np.testing.assert_allclose(array.time, np.arange(30) / 100)
    np.testing.assert_array_equal(array.sel(time=0.05, y=1.0, method="nearest"), stack[5, 10])


@pytest.mark.parametrize(
    ("package", "call", "install"),
    [("dask.array", "to_dask", "dask"), ("xarray", "to_xarray", "dask.* xarray")],
)
def test_a_missing_package(recording, monkeypatch, package, call, install):
    """What is not installed is named, with what installs it."""
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(MissingPackageError, match=f"-m pip install .*{install}"):
        getattr(recording, call)()
