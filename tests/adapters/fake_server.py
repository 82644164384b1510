"""A stand-in for Micro-Manager's ZMQ server: a simulated core behind pyjavaz's protocol, in a process of its own.

Run it with one argument, a JSON object: ``port`` (0 for any), ``core`` (options of the simulated core; null for none),
``hang_up_at`` (``{command: n}``: the process is killed by the n-th such command, before it answers) and ``delays_s``
(``{command: seconds}``). A command is the name of a method or field, or the protocol's own, such as "destructor". It
writes its port to its output and ends when its input is closed.
"""

import json
import os
import random
import re
import signal
import struct
import sys
import threading
import time
from collections import Counter

import numpy as np
import zmq

from mmspool.adapters import MockCore

VERSION = "5.1.0"
END_OF_INPUT = "inproc://end-of-input"
CORE_CLASS = "mmcorej.CMMCore"
TEXT = "java.lang.String"
METHODS = {
    "getVersionInfo": [],
    "getCameraDevice": [],
    "getDeviceLibrary": [TEXT],
    "getDeviceName": [TEXT],
    "getDeviceDescription": [TEXT],
    "setIncludeSystemStateCache": ["boolean"],
    "getDevicePropertyNames": [TEXT],
    "getProperty": [TEXT, TEXT],
    "setProperty": [TEXT, TEXT, TEXT],
    "getAllowedPropertyValues": [TEXT, TEXT],
    "hasPropertyLimits": [TEXT, TEXT],
    "getPropertyLowerLimit": [TEXT, TEXT],
    "getPropertyUpperLimit": [TEXT, TEXT],
    "isPropertyReadOnly": [TEXT, TEXT],
    "getExposure": [],
    "setExposure": ["double"],
    "getROI": [],
    "setROI": ["int", "int", "int", "int"],
    "clearROI": [],
    "getImageWidth": [],
    "getImageHeight": [],
    "getImageBitDepth": [],
    "getBytesPerPixel": [],
    "getNumberOfComponents": [],
    "getPixelSizeUm": [],
    "snapImage": [],
    "getImage": [],
    "setCircularBufferMemoryFootprint": ["int"],
    "getCircularBufferMemoryFootprint": [],
    "startSequenceAcquisition": ["int", "double", "boolean"],
    "stopSequenceAcquisition": [],
    "isSequenceRunning": [],
    "getRemainingImageCount": [],
    "isBufferOverflowed": [],
    "popNextTaggedImage": [],
}
# Java class, methods and fields of what the simulated core returns.
CLASSES = {
    "JavaMockCore": (CORE_CLASS, METHODS, ()),
    "JavaStrings": ("mmcorej.StrVector", {"size": [], "get": ["int"]}, ()),
    "JavaRectangle": ("java.awt.Rectangle", {}, ("x", "y", "width", "height")),
    "JavaTaggedImage": ("mmcorej.TaggedImage", {}, ("pix", "tags")),
}
ARRAYS = {1: "byte-array", 2: "short-array"}


class Server:
    """What the server holds: its objects by hash code, and what a test scripts of it."""

    def __init__(self, options):
        self._core_options = options.get("core", {})
        self._hang_up_at = options.get("hang_up_at", {})
        self._delays_s = options.get("delays_s", {})
        self._core = None
        self._objects = {}
        self._counts = Counter()
        self._next = random.randrange(2**30)  # Java's hash codes differ from process to process too

    def answer(self, request):
        """Return the parts of the answer to a request."""
        parts = []
        try:
            reply = self._execute(request, parts)
        except Exception as exc:  # noqa: BLE001 - whatever fails in Java is answered
            reply = {"type": "exception", "value": str(exc)}
        return [json.dumps(reply).encode("iso-8859-1"), *parts]

    def _execute(self, request, parts):
        command = request["command"]
        self._suffer(request.get("name", command))
        if command == "connect":
            return {"type": "none", "version": VERSION}
        if command == "get-constructors":
            return {"type": "none", "api": [{"name": CORE_CLASS, "arguments": []}] if self._core_options else []}
        if command == "constructor":
            self._core = self._core or MockCore("java", **self._core_options)
            return self._returned(self._core, parts)
        if command == "destructor":
            del self._objects[request["hash-code"]]
            return {"type": "none"}
        if command == "get-field":
            return self._returned(getattr(self._objects[request["hash-code"]], request["name"]), parts)
        if command == "run-method":
            method = getattr(self._objects[request["hash-code"]], _snake_case(request["name"]))
            return self._returned(method(*request["arguments"]), parts)
        raise ValueError(f"java.lang.RuntimeException: unknown command {command}")

    def _suffer(self, what):
        self._counts[what] += 1
        if self._hang_up_at.get(what) == self._counts[what]:
            os.kill(os.getpid(), getattr(signal, "SIGKILL", signal.SIGTERM))  # Windows ends it at once with either
        time.sleep(self._delays_s.get(what, 0))

    def _returned(self, value, parts):
        if value is None:
            return {"type": "null"}
        if isinstance(value, str):
            return {"type": "string", "value": value}
        if isinstance(value, bool | int | float):
            return {"type": "primitive", "value": value}
        if isinstance(value, dict):
            return {"type": "object", "class": "JSONObject", "value": json.dumps(value)}
        self._next += 1
        if isinstance(value, np.ndarray):
            parts += [struct.pack("=i", self._next), value.tobytes()]
            return {"type": ARRAYS[value.itemsize], "value": f"@{self._next:x}"}
        self._objects[self._next] = value
        java_class, methods, fields = CLASSES[type(value).__name__]
        api = [{"name": name, "arguments": types, "return-type": "void"} for name, types in methods.items()]
        return {
            "type": "unserialized-object",
            "class": java_class,
            "hash-code": self._next,
            "interfaces": [],
            "fields": fields,
            "api": api,
        }


def _snake_case(name):
    return re.sub("([a-z0-9])([A-Z])", r"\1_\2", name).lower()


def _tell_end_of_input(context):
    """Wait for the end of the input, which zmq cannot poll on Windows."""
    with context.socket(zmq.PAIR) as teller:
        teller.bind(END_OF_INPUT)
        sys.stdin.read()
        teller.send(b"")


def main(options):
    """Serve until the input is closed."""
    server = Server(options)
    with zmq.Context() as context, context.socket(zmq.REP) as endpoint:
        endpoint.linger = 0
        port = options.get("port", 0)
        endpoint.bind(f"tcp://127.0.0.1:{port or '*'}")
        print(endpoint.last_endpoint.decode().rpartition(":")[2], flush=True)  # noqa: T201
        threading.Thread(target=_tell_end_of_input, args=(context,), daemon=True).start()
        with context.socket(zmq.PAIR) as end_of_input:
            end_of_input.connect(END_OF_INPUT)
            poller = zmq.Poller()
            poller.register(endpoint, zmq.POLLIN)
            poller.register(end_of_input, zmq.POLLIN)
            while end_of_input not in (ready := dict(poller.poll())):
                if endpoint in ready:
                    endpoint.send_multipart(server.answer(json.loads(endpoint.recv())))


if __name__ == "__main__":
    main(json.loads(sys.argv[1]))
