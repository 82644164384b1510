"""Columns of the user's own: values that come with each frame, from `put` to every reader."""

import csv
import math
import pickle
from datetime import UTC, datetime

import h5py
import numpy as np
import pytest
from support.values import COLUMNS, check_values, values

import mmspool
from mmspool import Column, DetectorInfo, FrameError, Spool
from mmspool.exporting import export
from mmspool.persistence import compress, repair, verify
from mmspool.persistence.block_layout import plan_blocks
from mmspool.persistence.columns import MAX_COLUMNS, stored
from mmspool.persistence.hdf5_file.direct_file import DirectFile
from mmspool.persistence.hdf5_file.recording_file import RecordingFile
from mmspool.persistence.losses import MAX_LOSSES

OWN = "entry/instrument/detector/columns"


def table_of(spool):
    """Return the frame table of a closed spool's file."""
    with mmspool.open(spool.path) as recording:
        return np.asarray(recording.frame_table())


@pytest.mark.parametrize("given", [{}, {"columns": COLUMNS}], ids=["found", "declared"])
@pytest.mark.parametrize("compression", [None, "universal"])
def test_values_come_back(make_spool, frames, given, compression):
    """Each frame's values are read as they were put, and the fill where there was none, over several growths."""
    shape, count = (160, 160), 330
    with make_spool(compression=compression, buffer_bytes=4 << 20, **given) as spool:
        for index in range(count):
            spool.put(frames(index, shape), values(index) | {"image_number": index})
        assert list(spool.columns) == list(COLUMNS)
    with mmspool.open(spool.path) as recording:
        check_values(recording)
        assert recording.frame_table()["image_number"].tolist() == list(range(count))
        assert [np.dtype(column.dtype).kind for column in recording.columns.values()] == list("fibU")
    assert verify(spool.path).complete
    assert not repair(spool.path).needed
    frames.check(spool.path, count)


def test_file_is_nexus(make_spool, frames):
    """Columns are 1-D datasets of the data's length in a collection, texts UTF-8 of a fixed length."""
    columns = {"z_um": Column(float, units="µm"), "channel": Column("U5", fill="none")}
    with make_spool(columns=columns) as spool:
        spool.put(frames(0), {"z_um": 1, "channel": "µ-DIC"[:4]})
        spool.put(frames(1))
    with h5py.File(spool.path, "r") as file:
        group = file[OWN]
        assert group.attrs["NX_class"] == "NXcollection"
        assert group["channel"].dtype == "S8"
        assert [text.decode() for text in group["channel"][:]] == ["µ-DI", "none"]
        assert group["z_um"].attrs["units"].decode() == "µm"
        assert {dataset.shape for dataset in group.values()} == {file["data"].shape[:1]}
    with mmspool.open(spool.path) as recording:
        assert {name: column.units for name, column in recording.columns.items()} == {"z_um": "µm", "channel": ""}
        assert recording.columns["channel"] == columns["channel"] == Column("U8", fill="none")
        assert recording.frame_table()["channel"].tolist() == ["µ-DI", "none"]


def test_without_columns_the_file_has_none(make_spool, frames):
    """A recording without columns has no group for them."""
    with make_spool() as spool:
        spool.put(frames(0), {"image_number": 3})
    with h5py.File(spool.path, "r") as file:
        assert OWN not in file
    with mmspool.open(spool.path) as recording:
        assert recording.columns == {}


def test_numbers_of_any_kind_are_taken(make_spool, frames):
    """NumPy's numbers are taken, whole numbers by a column of floats too; None is no value."""
    with make_spool(columns={"a": float, "b": int, "c": bool, "d": str}) as spool:
        spool.put(frames(0), {"a": np.float32(0.5), "b": np.uint8(3), "c": np.True_, "d": "ä" * 32})
        spool.put(frames(1), {"a": 2**60, "b": None, "c": None, "d": None})
    first, second = table_of(spool)[list("abcd")].tolist()
    assert first == (0.5, 3, True, "ä" * 32)
    assert second == (float(2**60), -1, False, "")


BAD_VALUES = {
    "text for a float": ({"z_um": "1.5"}, "column 'z_um' holds float, and this frame has '1.5'"),
    "bool for a float": ({"z_um": True}, "column 'z_um' holds float"),
    "float for an int": ({"number": 1.0}, "column 'number' holds int, and this frame has 1.0"),
    "bool for an int": ({"number": False}, "column 'number' holds int"),
    "too large an int": ({"number": 2**63}, "64 bits"),
    "int for a bool": ({"even": 1}, "column 'even' holds bool"),
    "number for a text": ({"channel": 7}, r"column 'channel' holds text of up to 16 bytes, and this frame has 7"),
    "too long a text": ({"channel": "µ" * 9}, "18 bytes, of 16"),
    "half a character": ({"channel": "\ud800"}, "surrogates"),
    "zero in a text": ({"channel": "a\0b"}, "zero"),
    "array": ({"z_um": [1, 2]}, "column 'z_um' holds float"),
    "later name": ({"exposure_ms": 5.0}, "no column 'exposure_ms'.*columns={'exposure_ms': float}"),
    "misspelt name": ({"chanel": "DAPI"}, "did you mean 'channel'"),
    "reserved name": ({"start_time": 5.0}, "'start_time' is no value of a frame"),
    "name that is no text": ({5: 1}, "no column 5"),
}


@pytest.mark.parametrize("name", BAD_VALUES)
def test_bad_values_cost_nothing(make_spool, frames, name):
    """A value that does not fit is refused before anything is put; the recording goes on with all its frames."""
    bad, message = BAD_VALUES[name]
    with make_spool(columns=COLUMNS) as spool:
        spool.put(frames(0), values(0))
        with pytest.raises(FrameError, match=message):
            spool.put(frames(1), values(1) | bad)
        spool.put(frames(1), values(1))
    with mmspool.open(spool.path) as recording:
        check_values(recording)
        assert len(recording) == 2
        assert recording.state == "complete"


BAD_COLUMNS = {
    "index": "every recording has",
    "host_timestamp": "every recording has",
    "time": "every recording has",
    "expected": "every recording has",
    "": "no name",
    "a b": "no name",
    "a/b": "no name",
    "größe": "no name",
    ".": "no name",
    "x" * 64: "no name",
}


@pytest.mark.parametrize("name", BAD_COLUMNS)
def test_bad_names_are_refused(tmp_path, name):
    """A reserved name, or none of NeXus, is refused when it is declared; nothing is left behind."""
    with pytest.raises(ValueError, match=BAD_COLUMNS[name]):
        Spool(tmp_path / "run.h5", columns={name: float})
    assert not list(tmp_path.iterdir())


BAD_DTYPES = [("c16", "complex128"), ("U300", "300 bytes"), ("O", "object"), ("m8[s]", "timedelta")]
if np.dtype(np.longdouble) != np.float64:  # as it is on Windows and on ARM's macOS
    BAD_DTYPES.append((np.longdouble, "float"))


@pytest.mark.parametrize(("dtype", "message"), BAD_DTYPES)
def test_bad_dtypes_are_refused(tmp_path, dtype, message):
    """What no column can hold is refused when it is declared, with the column's name."""
    with pytest.raises(ValueError, match=f"column 'a'.*{message}"):
        Spool(tmp_path / "run.h5", columns={"a": dtype})


@pytest.mark.parametrize("fill", ["", 1.5, True])
def test_bad_fills_are_refused(fill):
    """A fill is of the column's own type."""
    with pytest.raises((TypeError, ValueError), match="the column holds int"):
        Column(int, fill=fill)


def test_too_many_columns_are_refused(tmp_path):
    """There is a limit to the number of columns."""
    with pytest.raises(ValueError, match="17 columns; a recording has at most 16"):
        Spool(tmp_path / "run.h5", columns={f"c{number}": float for number in range(17)})


@pytest.mark.parametrize(
    ("first", "message"),
    [
        ({"z": None}, "declare the column"),
        ({"z": [1]}, "no value of a column"),
        ({"time": 1.0}, "'time'"),
        ({"a b": 1.0}, "no name"),
    ],
)
def test_first_frame_that_shows_no_column(make_spool, frames, tmp_path, first, message):
    """A first frame whose values show no column is refused; the next one may be the first."""
    with make_spool() as spool:
        with pytest.raises(FrameError, match=message):
            spool.put(frames(0), first)
        assert not (tmp_path / "run.h5").read_bytes()
        spool.put(frames(0), {"z": 1.0})
    assert table_of(spool)["z"].tolist() == [1.0]


def test_shape_given_without_columns(make_spool, frames):
    """Where the file was made before the first frame, its columns must have been declared; the message says how."""
    with make_spool(shape=frames.shape, dtype="<u2") as spool:
        with pytest.raises(FrameError, match=r"no column 'z'.*Spool\(columns={'z': float}\)"):
            spool.put(frames(0), {"z": 1.0})
        spool.put(frames(0))
    assert spool.close().frames_written == 1


def test_column_that_changes_type(make_spool, frames):
    """A column that began as whole numbers refuses a fraction, and says what to declare."""
    with make_spool() as spool:
        spool.put(frames(0), {"z": 0})
        with pytest.raises(FrameError, match=r"column 'z' holds int, and this frame has 0\.5"):
            spool.put(frames(1), {"z": 0.5})
        spool.put(frames(1), {"z": 1})
    assert table_of(spool)["z"].tolist() == [0, 1]


@pytest.mark.parametrize("shape", [(1, 1), (100, 1000)], ids=["tiny frames", "a chunk a frame"])
def test_most_columns_fit_in_the_journal(tmp_path, monkeypatch, shape):
    """With as many columns as there may be, the largest changes of the structure fit in half of the journal."""
    monkeypatch.setattr(DirectFile, "reserve", lambda *_: None)  # a file of many holes, quickly made
    monkeypatch.setattr(DirectFile, "write", lambda *_: None)
    columns = tuple(stored(f"column_{number}", "U8") for number in range(MAX_COLUMNS + 1))  # and that of the plan
    layout = plan_blocks(shape, np.dtype("u1"), 1 << 20, 1000, columns=columns)
    path = tmp_path / "run.h5"
    path.touch()
    blocks = DirectFile(path)
    try:
        file = RecordingFile.create(path, layout, DetectorInfo(), "{}", datetime.now(UTC), blocks, checksums=True)
        for _ in range(10):
            file.grow(1)
        file.stage_losses(np.ones((MAX_LOSSES, 3), np.int64))
        file.finish(3, 3, MAX_LOSSES, "incomplete", "closed", datetime.now(UTC))
        file.close()
    finally:
        blocks.close()
    with h5py.File(path, "r") as read:
        assert {dataset.shape for dataset in read[OWN].values()} == {(3,)}


def test_more_frames_than_a_chunk_of_a_column(make_spool):
    """Values of any size go on over the 8,192 that are stored together."""
    frame, count = np.zeros((4, 8), np.uint8), 8192 * 2 + 5
    with make_spool(buffer_bytes=2 << 20, columns={"text": "U256", "on": bool}) as spool:
        for index in range(count):
            spool.put(frame, {"text": str(index), "on": index % 3 == 0})
    table = table_of(spool)
    assert (table["text"] == np.arange(count).astype(str)).all()
    assert (table["on"] == (np.arange(count) % 3 == 0)).all()


def test_writer_that_is_killed(make_spool, frames, writer_of, wait_until):
    """A new writer process finds the columns in the file and goes on with them."""
    with make_spool(columns=COLUMNS) as spool:
        for index in range(150):
            spool.put(frames(index), values(index))
        wait_until(lambda: spool.stats.frames_written > 0)
        writer_of(spool).kill()
        for index in range(150, 400):
            spool.put(frames(index), values(index))
    assert spool.close().stats.writer_restarts == 1
    with mmspool.open(spool.path) as recording:
        assert len(recording) == 400
        check_values(recording)


def test_reading_meanwhile(make_spool, frames, wait_until):
    """A reader has the values of all counted frames while it is written, and of new ones after `refresh`."""
    with make_spool(columns=COLUMNS) as spool:
        for count in (10, 130):
            for index in range(spool.stats.frames_put, count):
                spool.put(frames(index), values(index))
            wait_until(lambda count=count: spool.stats.frames_written == count)
            with mmspool.open(spool.path) as recording:
                assert len(recording) == count
                check_values(recording)


class TestReaders:
    """What reads the columns of a recording."""

    @pytest.fixture
    def path(self, make_spool, frames):
        """Return a recording with columns."""
        with make_spool(columns=COLUMNS | {"z_um": Column(float, units="um")}) as spool:
            for index in range(12):
                spool.put(frames(index), values(index))
        return spool.path

    def test_frame_table(self, path):
        """The table has them behind its own columns, alone, in parts and as rows."""
        with mmspool.open(path) as recording:
            table = recording.frame_table()
            assert table.keys()[-4:] == tuple(COLUMNS)
            assert table[3]["channel"] == "c3"
            assert recording.frame_table(["channel", "index"], start=4, stop=6)[:].tolist() == [("c4", 4), ("c5", 5)]
            with pytest.raises(KeyError, match=r"no column 'nothing'.*channel"):
                recording.frame_table(["nothing"])

    def test_pickled(self, path):
        """A pickled recording has them."""
        with mmspool.open(path) as recording, pickle.loads(pickle.dumps(recording)) as again:
            check_values(again)

    def test_xarray(self, path):
        """They are coordinates along time."""
        pytest.importorskip("xarray", reason="needs the extra arrays")
        with mmspool.open(path) as recording:
            array = recording.to_xarray()
            assert array.coords["channel"].values.tolist() == [f"c{index}" for index in range(12)]
            assert array.coords["z_um"].attrs == {"units": "um"}
            assert array.sel(time=array.channel == "c7").shape[0] == 1

    def test_csv(self, path, tmp_path):
        """They follow the figures of each frame."""
        export(path, tmp_path / "run.csv")
        with (tmp_path / "run.csv").open(newline="", encoding="utf-8") as file:
            rows = list(csv.DictReader(file))
        assert [row["channel"] for row in rows] == [f"c{index}" for index in range(12)]
        assert math.isnan(float(rows[4]["z_um"]))

    def test_compress(self, make_spool, frames, tmp_path):
        """A compressed copy has them, NaN and all."""
        with make_spool("raw.h5", columns=COLUMNS) as spool:
            for index in range(7):
                spool.put(frames(index, (160, 160)), values(index))
        compress(spool.path, tmp_path / "small.h5", compression="universal")
        with mmspool.open(tmp_path / "small.h5") as recording:
            check_values(recording)
