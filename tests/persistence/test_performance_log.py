"""How a recording went, in its file: ring and writes over time."""

import numpy as np
import pytest

import mmspool
from mmspool.persistence.hdf5_file.performance_log import ROWS, PerformanceLog, empty_log, read_log


class Table:
    """What stands for the file and its dataset."""

    name = "performance"
    dtype, shape = empty_log().dtype, empty_log().shape
    id = type("Id", (), {"get_offset": staticmethod(lambda: 0)})

    def __init__(self):
        self.content = bytearray(empty_log().tobytes())

    def write(self, data, offset):
        """Take the place of `DirectFile`."""
        self.content[offset : offset + len(data)] = data

    def __getitem__(self, _key):
        """Take the place of the dataset."""
        return np.frombuffer(bytes(self.content), "<i8").reshape(self.shape).copy()


def note(log, half_seconds, **values):
    """Note what is so after some half seconds."""
    values = {"frames": half_seconds, "ring_frames": 3, "slowest_ns": 5, "restarts": 0} | values
    log.note(half_seconds * 500_000_000, *values.values())


def test_maxima_of_an_interval():
    """A row has the largest values since the one before, and there are no more rows than two a second."""
    table = Table()
    log = PerformanceLog(table, table)
    note(log, 1)
    log.note(600_000_000, 2, 9, 7, 0)
    log.note(700_000_000, 3, 4, 11, 0)
    note(log, 2)
    rows = read_log(table)
    assert rows["ring_frames"].tolist() == [3, 9]
    assert rows["slowest_write_ns"].tolist() == [5, 11]


@pytest.mark.parametrize("half_seconds", [ROWS, ROWS + 1, 20 * ROWS])
def test_any_length(half_seconds):
    """A long recording has rows over all of its time, and no maximum is lost."""
    table = Table()
    log = PerformanceLog(table, table)
    for number in range(1, half_seconds + 1):
        note(log, number, ring_frames=99 if number == 17 else 1)
    rows = read_log(table)
    assert ROWS // 2 <= len(rows) <= ROWS
    assert rows["ring_frames"].max() == 99
    assert rows["time_ns"][-1] >= 0.9 * half_seconds * 500_000_000
    assert (np.diff(rows["time_ns"]) > 0).all()


def test_another_writer_goes_on():
    """A writer process that takes over continues the table, at the same rate."""
    table = Table()
    log = PerformanceLog(table, table)
    for number in range(1, 3 * ROWS):
        note(log, number)
    before = len(read_log(table))
    next_one = PerformanceLog(table, table)
    for number in range(3 * ROWS, 3 * ROWS + 40):
        note(next_one, number, restarts=1)
    rows = read_log(table)
    assert before < len(rows) <= before + 20
    assert rows["writer_restarts"][-1] == 1


def test_torn_rows_are_left_out():
    """What does not follow the row before is no row."""
    table = Table()
    log = PerformanceLog(table, table)
    for number in range(1, 10):
        note(log, number)
    table.write(bytes(8), 5 * 40)
    assert len(read_log(table)) == 5


@pytest.mark.parametrize("compression", [None, "fast"])
def test_a_recording(make_spool, frames, writer_of, compression):
    """A recording has its last row at its end, and one with the writer that took over."""
    with make_spool(compression=compression, shape=(256, 256), dtype="<u2") as spool:
        for index in range(5):
            spool.put(frames(index, (256, 256)))
        writer_of(spool).process.kill()
        for index in range(5, 12):
            spool.put(frames(index, (256, 256)))
    with mmspool.open(spool.path) as recording:
        rows = recording.performance()
        assert rows["frames_written"][-1] == len(recording) == 12
        assert rows["writer_restarts"][-1] == 1
        assert rows["slowest_write_ns"].max() > 0
        assert 0 < rows["ring_frames"].max() <= spool.stats.ring_frames
