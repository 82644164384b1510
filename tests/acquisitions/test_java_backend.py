"""`spool.process_fn` on pycromanager's Java backend: its own code and real sockets, an imitated acquisition engine."""

import json
import socket
import sys
import threading
from typing import Any

import numpy as np
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
