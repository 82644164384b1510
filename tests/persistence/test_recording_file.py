"""The file's structure: the facts of docs/format.md, read with h5py alone."""

import json
from datetime import datetime

import h5py
import numpy as np
import pytest

import mmspool
from mmspool import DetectorInfo, Spool

DETECTOR = "entry/instrument/detector"
COUNT = 23
SHAPE = (6, 5)
INFO = DetectorInfo(
    description="Kamera für Kälte",
    serial_number="S-1",
    count_time_s=0.005,
    sensor_pixel_um=(6.5, 6.6),
    sample_pixel_um=(0.13, 0.26),
    bit_depth=12,
    gain="HDR",
    roi_origin=(8, 16),
    camera={"Binning": "1x1", "Property": 3},
)


@pytest.fixture(scope="module")
def path(processes, tmp_path_factory, frames):
    """Make one recording that all tests of this module look at."""
    place = tmp_path_factory.mktemp("layout") / "cells.h5"
    metadata = {"sample": "µ-Slide 8 Well, 37 °C", "numbers": np.arange(3), "nested": {"deep": [1.5, None, True]}}
    with Spool(place, buffer_bytes=1 << 20, info=INFO, metadata=metadata) as spool:
        for index in range(COUNT):
            spool.put(frames(index, SHAPE, ">u2"), {"image_number": index})
    return place


@pytest.fixture
def file(path):
    """Open it with h5py."""
    with h5py.File(path, "r") as opened:
        yield opened


def test_nexus_classes(file):
    """Every group has its NeXus class, and the defaults lead from the root to the images."""
    classes = {"/": file.attrs["NX_class"]}
    file.visititems(
        lambda name, node: classes.update({name: node.attrs["NX_class"]}) if isinstance(node, h5py.Group) else None
    )
    assert classes == {
        "/": "NXroot",
        "entry": "NXentry",
        "entry/metadata": "NXcollection",
        "entry/data": "NXdata",
        "entry/instrument": "NXinstrument",
        DETECTOR: "NXdetector",
        f"{DETECTOR}/frames": "NXcollection",
        f"{DETECTOR}/camera": "NXcollection",
        f"{DETECTOR}/ledger": "NXcollection",
        f"{DETECTOR}/module": "NXdetector_module",
    }
    plot = file[file.attrs["default"]][file["entry"].attrs["default"]]
    assert plot.attrs["signal"] == "data"
    assert plot.attrs["axes"].tolist() == ["time", "y", "x"]
    assert [plot.attrs[f"{axis}_indices"] for axis in ("time", "y", "x")] == [0, 1, 2]


def test_links(file):
    """The root has a soft link to the images, the plot a hard link to the images."""
    link = file.get("data", getlink=True)
    assert isinstance(link, h5py.SoftLink)
    assert link.path == f"/{DETECTOR}/data"
    assert isinstance(file.get("entry/data/data", getlink=True), h5py.HardLink)
    assert file["data"] == file["entry/data/data"] == file[f"{DETECTOR}/data"]
    assert file["data"].attrs["target"] == f"/{DETECTOR}/data"


def test_images(file):
    """Images are frame-first, chunked in whole frames, can grow, and need no filter to be read."""
    data = file["data"]
    assert data.shape == (COUNT, *SHAPE)
    assert data.maxshape == (None, *SHAPE)
    assert data.chunks[1:] == SHAPE
    assert data.dtype.str == ">u2"
    create = data.id.get_create_plist()
    assert create.get_nfilters() == 0
    assert create.get_alloc_time() == h5py.h5d.ALLOC_TIME_EARLY
    assert create.get_fill_time() == h5py.h5d.FILL_TIME_NEVER
    assert data.id.get_chunk_info_by_coord((0, 0, 0)).byte_offset % 4096 == 0


def test_image_attributes(file):
    """What viewers look for: meaning, units, voxel size, axes."""
    attributes = file["data"].attrs
    assert (attributes["interpretation"], attributes["units"]) == ("image", "counts")
    assert attributes["element_size_um"].dtype == np.float32
    np.testing.assert_allclose(attributes["element_size_um"], [1, 0.13, 0.26], rtol=1e-6)
    assert [axis["key"] for axis in json.loads(attributes["axistags"])["axes"]] == ["t", "y", "x"]


def test_columns_are_as_long_as_the_data(file):
    """Silx shows nothing if one of the columns is longer or shorter than the data."""
    columns = ["entry/data/time", *(f"{DETECTOR}/{name}" for name in ("sequence_number", "start_time"))]
    columns += [f"{DETECTOR}/frames/{name}" for name in file[f"{DETECTOR}/frames"]]
    assert len(columns) == 8
    assert {name: file[name].shape for name in columns} == dict.fromkeys(columns, (COUNT,))
    assert file[f"{DETECTOR}/start_time"].attrs["units"] == "s"
    assert file[f"{DETECTOR}/frames/host_timestamp"].attrs["units"] == "ns"
    assert file[f"{DETECTOR}/frames/camera_timestamp"].attrs["units"] == "ns"


def test_axes(file):
    """Y and x are positions on the sample, in um."""
    for name, size, step in (("y", 6, 0.13), ("x", 5, 0.26)):
        axis = file[f"entry/data/{name}"]
        np.testing.assert_allclose(axis[:], np.arange(size) * step)
        assert (axis.attrs["units"], axis.attrs["long_name"]) == ("um", f"{name} (um)")


def test_axes_without_a_known_pixel_size(make_spool, frames):
    """Where the pixel's size is not known, the axes count pixels and say so."""
    with make_spool() as spool:
        spool.put(frames(0))
    with h5py.File(spool.path, "r") as opened:
        assert opened["entry/data/x"].attrs["units"] == "pixel"
        np.testing.assert_array_equal(opened["entry/data/x"][:], np.arange(frames.shape[1]))
        assert f"{DETECTOR}/x_pixel_size" not in opened
        assert "element_size_um" not in opened["data"].attrs


def test_dimension_scales(file):
    """NetCDF, xarray and h5py find the axes by HDF5's dimension scales."""
    data = file["data"]
    for axis, name in enumerate(("time", "y", "x")):
        assert [scale.name for scale in data.dims[axis].values()] == [f"/entry/data/{name}"]
        assert file[f"entry/data/{name}"].is_scale


@pytest.mark.parametrize("resumed", [False, True])
@pytest.mark.parametrize(
    ("stamps", "label", "times"),
    [
        ([5_000, 15_000, 26_000, 36_000], "camera time (s)", [0, 10e-6, 21e-6, 31e-6]),
        ([5_000, -1, 26_000, 36_000], "camera time (s)", [0, 7e-6, 21e-6, 31e-6]),
        ([-1, -1, -1, -1], "arrival time (s)", [0, 7e-6, 14e-6, 21e-6]),
        ([-1, 3_000, 4_000, 5_000], "arrival time (s)", [0, 7e-6, 14e-6, 21e-6]),
    ],
)
def test_time_axis(make_spool, frames, wait_until, writer_of, stamps, label, times, resumed):
    """The axis is the camera's time where there is one, starts at 0, and is named after the clock it comes from."""
    with make_spool() as spool:
        for index, stamp in enumerate(stamps):
            spool.put(frames(index), {"camera_timestamp": stamp, "host_timestamp": 1_000_000 + 7_000 * index})
            if resumed and index == 1:
                wait_until(lambda: spool.stats.frames_written == 2)
                writer_of(spool).kill()
                wait_until(lambda: spool.stats.writer_restarts == 1)
    with h5py.File(spool.path) as opened:
        time = opened["entry/data/time"]
        assert (time.attrs["long_name"].decode(), time.attrs["units"]) == (label, "s")
        np.testing.assert_allclose(time[:], times, atol=1e-12)


def test_an_unusual_acquisition_mode(make_spool, frames):
    """A camera's own word for its mode is in the JSON only: NeXus has a list of what it allows."""
    for mode in ("Internal", "triggered"):
        with make_spool(f"{mode}.h5", info=DetectorInfo(acquisition_mode=mode)) as spool:
            spool.put(frames(0))
        with h5py.File(spool.path) as opened:
            assert ("acquisition_mode" in opened[DETECTOR]) == (mode == "triggered")
            assert json.loads(opened[f"{DETECTOR}/camera/info"][()])["acquisition_mode"] == mode


def test_detector(file):
    """What is known of the detector is there in NeXus' words, what is not is NaN or absent."""
    detector = file[DETECTOR]
    assert detector["count_time"][()] == 0.005
    assert np.isnan(detector["frame_time"][()])
    assert (detector["y_pixel_size"][()], detector["x_pixel_size"][()]) == (6.5, 6.6)
    assert (detector["bit_depth_readout"][()], detector["saturation_value"][()]) == (12, 4095)
    assert (detector["gain_setting"][()], detector["serial_number"][()]) == (b"HDR", b"S-1")
    assert (detector["type"][()], detector["depends_on"][()]) == (b"sCMOS", b".")
    assert "acquisition_mode" not in detector
    assert detector["module/data_origin"][:].tolist() == [8, 16]
    assert detector["module/data_size"][:].tolist() == list(SHAPE)
    assert json.loads(detector["camera/info"][()])["camera"] == {"Binning": "1x1", "Property": 3}


def test_entry(file):
    """Title, version and times are where NeXus has them; both times carry their time zone."""
    entry = file["entry"]
    assert entry["title"][()] == b"cells"
    assert entry["program_name"][()] == b"mmspool"
    assert entry["program_name"].attrs["version"] == mmspool.__version__
    start, end = (datetime.fromisoformat(entry[name][()].decode()) for name in ("start_time", "end_time"))
    assert start.tzinfo
    assert end.tzinfo
    assert start < end
    assert file.attrs["file_name"] == "cells.h5"
    assert file[f"{DETECTOR}/start_time"].attrs["start"] == start.isoformat()


def test_ledger(file):
    """The ledger holds counts, state and end reason."""
    ledger = file[f"{DETECTOR}/ledger"]
    counts = {name: int(ledger[name][()]) for name in ledger if name.startswith("frames_")}
    all_there = dict.fromkeys(("frames_written", "frames_durable", "frames_put"), COUNT)
    assert counts == all_there | {"frames_lost": 0, "frames_raw": 0}
    assert ledger["writer_restarts"][()] == 0
    assert (ledger["state"][()], ledger["end_reason"][()]) == (b"complete", b"closed")
    assert ledger["loss_before_frame"].shape == ledger["loss_count"].shape == ledger["loss_stage"].shape == (1,)
    assert ledger["loss_stage"].attrs["stages"].tolist()[:3] == ["camera", "core", "ring"]


def test_text(file):
    """Datasets of text are fixed-length ASCII, attributes variable-length UTF-8."""
    texts, attributes = [], []

    def look(name, node):
        attributes.extend(node.attrs.get_id(key).dtype for key, value in node.attrs.items() if isinstance(value, str))
        if isinstance(node, h5py.Dataset) and node.dtype.kind in "SO":
            texts.append((name, h5py.check_string_dtype(node.dtype)))

    file.visititems(look)
    assert len(texts) > 8
    assert [name for name, kind in texts if kind.length is None or kind.encoding != "ascii"] == []
    kinds = [h5py.check_string_dtype(dtype) for dtype in attributes]
    assert {(kind.encoding, kind.length) for kind in kinds} == {("utf-8", None)}


def test_text_beyond_ascii_comes_back(path):
    """What ASCII cannot hold is kept, letter for letter, in the JSON beside it."""
    with mmspool.open(path) as recording:
        assert recording.metadata["metadata"]["sample"] == "µ-Slide 8 Well, 37 °C"
        assert recording.metadata["metadata"]["numbers"] == [0, 1, 2]
        assert recording.metadata["metadata"]["nested"] == {"deep": [1.5, None, True]}
        assert recording.metadata["detector"]["description"] == "Kamera für Kälte"
        assert recording.metadata["detector"]["sample_pixel_um"] == [0.13, 0.26]


def test_superblock(path, make_spool, frames):
    """Superblock version 2, without open-for-write flags while it is written: a killed file opens at once."""
    with make_spool(shape=frames.shape, dtype="u2") as spool:
        for place in (path, spool.path):
            head = place.read_bytes()[:12]
            assert head[:8] == b"\x89HDF\r\n\x1a\n"
            assert (head[8], head[11]) == (2, 0)
