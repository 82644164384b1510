"""`spool.process_fn` on pycromanager's Java backend: its own code and real sockets, an imitated acquisition engine."""

import json
import socket
import sys
import threading
from typing import Any

import numpy as np
import pytest
from pycromanager import multi_d_acquisition_events
from pycromanager.acquisition.acquisition_superclass import Acquisition
from pycromanager.acquisition.java_backend_acquisitions import _run_image_processor
from pyjavaz import PullSocket, PushSocket

import mmspool
from mmspool import Spool

RING = {"buffer_bytes": 16 * 10**6}
LIMIT_MS = 20_000


class Engine(Acquisition):
    """Java's side of an acquisition: it sends images to the image processor, and gets back what is to be saved."""

    def __init__(self, process_fn: Any) -> None:
        self.aborted: list[Exception] = []
        self._event_queue = None
        self._images = PushSocket(_free_port())
        back_port = _free_port()
        connected = threading.Event()
        self._thread = threading.Thread(
            target=_run_image_processor,
            args=(self, back_port, self._images._port, connected, process_fn, None, False),
        )
        self._thread.start()
        assert connected.wait(LIMIT_MS / 1000)
        self._saved = PullSocket(back_port)

    def send(self, number: int, pixels: np.ndarray, **tags: Any) -> None:
        """Send an image as Java does: flat pixels, and metadata that is text for the most part."""
        metadata = {
            "Height": pixels.shape[0],
            "Width": pixels.shape[1],
            "PixelType": "GRAY16" if pixels.itemsize == 2 else "GRAY8",
            "Camera": "Camera",
            "ImageNumber": str(number),
            "Axes": {"time": number},
        }
        kind = "short-array" if pixels.itemsize == 2 else "byte-array"
        # A number in hexadecimal stands for the bytes, which follow it in parts of their own.
        message = {"metadata": metadata | tags, "pixels": {"type": kind, "value": "@7"}}
        parts = [json.dumps(message).encode(), (7).to_bytes(4, sys.byteorder), pixels.tobytes()]
        self._images._socket.send_multipart(parts)

    def finish(self) -> list[dict[str, Any]]:
        """End the acquisition, and return the metadata of the images that came back to be saved."""
        self._images.send({"special": "finished"})
        saved = []
        while "special" not in (message := self._saved.receive(timeout=LIMIT_MS)):
            saved.append(message["metadata"])
        self._thread.join(LIMIT_MS / 1000)
        self._images.close()
        self._saved.close()
        return saved

    def abort(self, exception: Exception | None = None) -> None:
        """Note the abort."""
        self.aborted.append(exception)

    def await_completion(self) -> None:
        """Do nothing."""

    def get_viewer(self) -> None:
        """Do nothing."""


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return server.getsockname()[1]


def frame(number: int) -> np.ndarray:
    """Return an image that holds its number."""
    return np.full((24, 32), number, np.uint16)


def test_images_are_recorded_and_not_sent_back(tmp_path):
    """Images arrive two-dimensional and in order; Java gets none of them back, so it saves nothing."""
    with Spool(tmp_path / "run.h5", **RING) as spool:
        engine = Engine(spool.process_fn)
        spool.process_fn.expect([{"axes": {"time": number}} for number in range(10)])
        for number in range(10):
            engine.send(number, frame(number))
        assert engine.finish() == []
    assert spool.close().complete
    with mmspool.open(tmp_path / "run.h5") as run:
        assert np.array_equal(run[:], [frame(number) for number in range(10)])


@pytest.mark.parametrize("packing", ["split", "one number"])
def test_colours_of_16_bits(tmp_path, packing):
    """RGB64, split or as one number a pixel, is stored as red, green and blue of 16 bits."""
    y, x = np.indices((24, 32))
    colours = np.stack([y, 500 * x, 1000 * y + x], axis=-1).astype(np.uint16)
    pixels = np.zeros((24, 32, 4), np.uint16)
    pixels[..., 2::-1] = colours
    with Spool(tmp_path / "run.h5", **RING) as spool:
        for _image in range(3):
            image = pixels if packing == "split" else pixels.view(np.uint64)[..., 0]
            spool.process_fn(image, {"Camera": "Camera", "PixelType": "RGB64", "Axes": {"time": 0}})
    with mmspool.open(tmp_path / "run.h5") as run:
        assert run.dtype == np.uint16
        assert np.array_equal(run[:], [colours] * 3)


def test_colours_are_turned_around(tmp_path):
    """Java's RGB32 has blue first, of which pycromanager makes three channels: red, green and blue are stored."""
    y, x = np.indices((24, 32))
    colours = np.stack([y, x, y + x], axis=-1).astype(np.uint8)
    packed = np.zeros((24, 32, 4), np.uint8)
    packed[..., 2::-1] = colours
    with Spool(tmp_path / "run.h5", **RING) as spool:
        engine = Engine(spool.process_fn)
        engine.send(0, packed, PixelType="RGB32")
        assert engine.finish() == []
    with mmspool.open(tmp_path / "run.h5") as run:
        assert np.array_equal(run, [colours])


def test_columns_and_plan(tmp_path):
    """Axes, positions, channels and exposures of the events are columns and plan; what never came leaves its place."""
    events = multi_d_acquisition_events(
        num_time_points=2,
        z_start=0,
        z_end=1,
        z_step=0.5,
        channel_group="Channel",
        channels=["DAPI", "FITC"],
        channel_exposures_ms=[5, 10],
        xy_positions=[(0, 0), (5, 7)],
    )
    with Spool(tmp_path / "run.h5", **RING) as spool:
        engine = Engine(spool.process_fn)
        spool.process_fn.expect(events)
        for number, event in enumerate(events):
            if number in (3, 20):
                continue
            exposure = str(event["exposure"])
            engine.send(number, frame(number), ImageNumber="0", Axes=event["axes"], Exposure=exposure)
        assert engine.finish() == []
        assert not engine.aborted
    result = spool.close()
    assert (result.frames_written, result.state) == (22, "incomplete")
    assert [(loss.before_frame, loss.count) for loss in result.losses] == [(3, 1), (19, 1)]
    with mmspool.open(tmp_path / "run.h5") as run:
        table, plan = run.frame_table(), run.plan
        came = [number for number in range(24) if number not in (3, 20)]
        assert table["expected"].tolist() == came
        assert run[:, 0, 0].tolist() == came
        for column, axis in {"time_index": "time", "position": "position", "channel": "channel", "z": "z"}.items():
            assert plan[column].tolist() == [event["axes"][axis] for event in events]
            assert table[column].tolist() == plan[column][came].tolist()
        for column, key in {"x_um": "x", "y_um": "y", "z_um": "z", "exposure_ms": "exposure"}.items():
            assert plan[column].tolist() == [event[key] for event in events]
            assert table[column].tolist() == plan[column][came].tolist()
        assert table["preset"].tolist() == [events[number]["config_group"][1] for number in came]
        assert np.flatnonzero(run.aligned().missing).tolist() == [3, 20]


def test_images_that_nobody_expected_have_columns(tmp_path):
    """Without events, the axes and positions in Java's metadata are columns, whatever their names."""
    with Spool(tmp_path / "run.h5", **RING) as spool:
        engine = Engine(spool.process_fn)
        for number in range(4):
            axes = {"time": number // 2, "channel": "FITC" if number % 2 else "DAPI", "angle": number}
            engine.send(number, frame(number), Axes=axes, ZPosition_um_Intended=0.5 * number)
        assert engine.finish() == []
    with mmspool.open(tmp_path / "run.h5") as run:
        table = run.frame_table()
        assert run.plan is None
        assert table["time_index"].tolist() == [0, 0, 1, 1]
        assert table["channel"].tolist() == ["DAPI", "FITC"] * 2
        assert table["angle"].tolist() == [0, 1, 2, 3]
        assert table["z_um"].tolist() == [0.0, 0.5, 1.0, 1.5]


def test_pass_on_sends_the_images_back(tmp_path):
    """With `pass_on`, Java gets every image with its metadata, and saves it as it would without mmspool."""
    with Spool(tmp_path / "run.h5", **RING) as spool:
        engine = Engine(spool.process_fn.pass_on)
        for number in range(3):
            engine.send(number, frame(number))
        saved = engine.finish()
    assert [metadata["Axes"] for metadata in saved] == [{"time": 0}, {"time": 1}, {"time": 2}]
    assert spool.close().frames_written == 3


def test_an_error_aborts_the_acquisition(tmp_path):
    """An image of another size makes pycromanager abort, with the message of the error."""
    with Spool(tmp_path / "run.h5", **RING) as spool:
        engine = Engine(spool.process_fn)
        engine.send(0, frame(0))
        engine.send(1, np.zeros((8, 8), np.uint16))
        assert engine.finish() == []
    assert ["8x8" in str(exception) for exception in engine.aborted] == [True]
    assert spool.close().frames_written == 1
