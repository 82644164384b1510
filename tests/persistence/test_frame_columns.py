"""The per-frame columns and the ledger of losses."""

import time

import h5py
import numpy as np
import pytest

import mmspool
from mmspool import Loss

NUMBERS = ("image_number", "camera_frame_number", "camera_timestamp", "host_timestamp")


def test_given_metadata(make_spool, frames):
    """What the caller says about each frame is in its columns, to the last bit."""
    given = [
        {"image_number": 5, "camera_frame_number": 2**62 + 1, "camera_timestamp": -7, "host_timestamp": 2**63 - 1},
        {"image_number": np.int16(6), "camera_frame_number": np.uint32(9), "camera_timestamp": 0, "host_timestamp": 0},
    ]
    with make_spool() as spool:
        for index, metadata in enumerate(given):
            spool.put(frames(index), metadata)
    with mmspool.open(spool.path) as recording:
        table = np.asarray(recording.frame_table())
        assert {name: table[name].tolist() for name in NUMBERS} == {
            name: [int(metadata[name]) for metadata in given] for name in NUMBERS
        }
        assert all(table.dtype[name] == np.int64 for name in ("index", "sequence_number", *NUMBERS))


def test_defaults(make_spool, frames):
    """Without metadata there is the host's time; what is unknown is -1."""
    before = time.time_ns()
    with make_spool() as spool:
        for index in range(50):
            spool.put(frames(index), {} if index % 2 else None)
    after = time.time_ns()
    with mmspool.open(spool.path) as recording:
        table = np.asarray(recording.frame_table())
    assert table.shape == (50,)
    assert table["index"].tolist() == table["sequence_number"].tolist() == list(range(50))
    for name in ("image_number", "camera_frame_number", "camera_timestamp"):
        assert (table[name] == -1).all()
    host = table["host_timestamp"]
    assert before <= host[0] <= host[-1] <= after
    assert (np.diff(host) >= 0).all()


def test_start_time_counts_from_the_start(make_spool, frames):
    """`start_time` is the host's time in seconds since the recording's start, which the file names."""
    with make_spool() as spool:
        spool.put(frames(0))
        spool.put(frames(1), {"host_timestamp": time.time_ns() + 5_000_000_000})
    with mmspool.open(spool.path) as recording:
        table = np.asarray(recording.frame_table())
    assert table["start_time"].dtype == np.float64
    first, second = table["start_time"]
    assert 0 <= first < 60
    difference = (table["host_timestamp"][1] - table["host_timestamp"][0]) / 1e9
    assert second - first == pytest.approx(difference, abs=1e-6)


def test_more_frames_than_a_chunk_of_a_column(make_spool):
    """Columns go on over the 8,192 values that are stored together."""
    frame = np.zeros((4, 8), np.uint8)
    count = 8192 * 2 + 5
    with make_spool(buffer_bytes=2 << 20) as spool:
        for index in range(count):
            spool.put(frame, {"image_number": 3 * index})
    with mmspool.open(spool.path) as recording:
        assert (recording.frame_table()["image_number"] == 3 * np.arange(count)).all()
        assert (recording.frame_table()["sequence_number"] == np.arange(count)).all()


class TestRecordLoss:
    """Losses that the caller knows of."""

    def test_they_are_located(self, make_spool, frames):
        """Losses are entered before the next frame, and the sequence number jumps there."""
        with make_spool() as spool:
            spool.record_loss(2, "camera")
            spool.put(frames(0))
            spool.put(frames(1))
            spool.record_loss(1, "core")
            spool.record_loss(3, "core")
            spool.record_loss(1, "ring")
            spool.put(frames(2))
            spool.record_loss(np.int64(7), "camera")
            assert spool.stats.frames_lost == 14
            assert spool.stats.frames_dropped == 0
        losses = (Loss(0, 2, "camera"), Loss(2, 4, "core"), Loss(2, 1, "ring"), Loss(3, 7, "camera"))
        result = spool.close()
        assert (result.frames_lost, result.losses, result.state) == (14, losses, "incomplete")
        with mmspool.open(spool.path) as recording:
            assert recording.losses == losses
            assert recording.frames_lost == 14
            assert recording.frame_table()["sequence_number"].tolist() == [2, 3, 9]
            assert recording.frame_table()["index"].tolist() == [0, 1, 2]

    def test_they_are_in_the_file_while_it_is_written(self, make_spool, frames, wait_until, ledger_of):
        """A reader learns of losses before the recording ends."""
        with make_spool() as spool:
            spool.put(frames(0))
            spool.record_loss(5, "core")
            wait_until(lambda: ledger_of(spool.path)["frames_lost"] == 5)
            ledger = ledger_of(spool.path)
            assert (ledger["loss_before_frame"][0], ledger["loss_count"][0]) == (1, 5)

    def test_without_any_frame(self, make_spool, tmp_path):
        """Losses without any frame create no file, but the result counts them."""
        spool = make_spool()
        spool.record_loss(5, "camera")
        result = spool.close()
        assert (result.frames_written, result.losses, result.state) == (0, (Loss(0, 5, "camera"),), "incomplete")
        assert not list(tmp_path.iterdir())

    def test_more_than_can_be_located(self, make_spool):
        """Beyond 4,096 places the count of losses stays exact, and `sequence_number` locates them."""
        frame = np.zeros((32, 32), np.uint8)
        with make_spool(buffer_bytes=8 << 20) as spool:
            for _ in range(4200):
                spool.record_loss(1, "core")
                spool.put(frame)
        result = spool.close()
        assert result.frames_lost == sum(loss.count for loss in result.losses) == 4200
        assert len(result.losses) == 4096
        with mmspool.open(spool.path) as recording:
            assert recording.losses == result.losses
            assert recording.frame_table()["sequence_number"].tolist() == list(range(1, 8400, 2))

    def test_senseless_losses_are_refused(self, make_spool, frames):
        """`record_loss` refuses a count below one or an unknown stage, and changes nothing."""
        with make_spool() as spool:
            spool.put(frames(0))
            for count, stage in ((0, "core"), (-1, "core"), (1, "disk"), (1, "")):
                with pytest.raises(ValueError, match=f"not {count}, {stage!r}"):
                    spool.record_loss(count, stage)
            for count in (1.5, "1", None):
                with pytest.raises(TypeError):
                    spool.record_loss(count, "core")
        assert spool.close().state == "complete"


def test_losses_in_the_file_are_trimmed(make_spool, frames):
    """A closed file has exactly the entries there were."""
    with make_spool() as spool:
        spool.put(frames(0))
        spool.record_loss(4, "core")
    with h5py.File(spool.path, "r") as file:
        ledger = file["entry/instrument/detector/ledger"]
        assert {name: ledger[f"loss_{name}"][:].tolist() for name in ("before_frame", "count", "stage")} == {
            "before_frame": [1],
            "count": [4],
            "stage": [1],
        }
