"""A client of debugpy's debug adapter, which does what VS Code does when a Python file is debugged."""

import contextlib
import json
import os
import queue
import socket
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO

LIMIT_S = 60.0

Message = dict[str, Any]


class Session:
    """A session of the protocol: of the script, or of a process that it started."""

    def __init__(self, reader: BinaryIO, writer: BinaryIO, on_child: Callable[[Message], None]) -> None:
        self._reader, self._writer, self._on_child = reader, writer, on_child
        self._messages: queue.Queue[Message] = queue.Queue()
        self._sent = 0
        self.output = ""
        self.thread = threading.Thread(target=self._read, daemon=True)
        self.thread.start()
        options = {"linesStartAt1": True, "columnsStartAt1": True, "pathFormat": "path"}
        self.wait_for("response", self.send("initialize", adapterID="python", clientID="vscode", **options))

    def _read(self) -> None:
        with contextlib.suppress(OSError, ValueError):  # its connection is closed
            while header := self._reader.readline():
                length = int(header.partition(b":")[2])
                self._reader.readline()
                message = json.loads(self._reader.read(length))
                if message.get("event") == "output":
                    self.output += message["body"]["output"]
                elif message.get("event") == "debugpyAttach":
                    self._on_child(message["body"])
                self._messages.put(message)

    def send(self, command: str, **arguments: Any) -> int:
        """Send a request, and return its number."""
        self._sent += 1
        body = json.dumps({"seq": self._sent, "type": "request", "command": command, "arguments": arguments}).encode()
        self._writer.write(b"Content-Length: %d\r\n\r\n%b" % (len(body), body))
        self._writer.flush()
        return self._sent

    def wait_for(self, kind: str, number: int = 0) -> Message:
        """Wait for an event, or with ``"response"`` for the answer to a request."""
        while True:
            message = self._messages.get(timeout=LIMIT_S)
            if kind in (message.get("event"), message["type"]) and message.get("request_seq", 0) == number:
                assert message.get("success", True), message
                return message


class Debugger:
    """A script that is debugged, and the processes that it starts with it."""

    def __init__(self, script: Path, breakpoints: tuple[int, ...], **environment: str) -> None:
        # A process has one tracer: coverage's must not start before the debugger's.
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("COVERAGE_")}
        command = [sys.executable, "-m", "debugpy.adapter"]
        self._adapter = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=inherited)
        self.children: list[Session] = []
        self._sockets: list[socket.socket] = []
        assert self._adapter.stdin
        assert self._adapter.stdout
        self.main = Session(self._adapter.stdout, self._adapter.stdin, self._attach)
        launch = {"program": str(script), "cwd": str(script.parent), "env": environment, "python": [sys.executable]}
        self.main.send("launch", console="internalConsole", subProcess=True, redirectOutput=True, **launch)
        self.main.wait_for("initialized")
        lines = [{"line": line} for line in breakpoints]
        self.main.wait_for(
            "response", self.main.send("setBreakpoints", source={"path": str(script)}, breakpoints=lines)
        )
        self.main.send("configurationDone")

    def _attach(self, child: Message) -> None:
        """Debug a process that the script has started, as the adapter asks."""
        connection = socket.create_connection((child["connect"]["host"], child["connect"]["port"]))
        self._sockets.append(connection)

        def attach() -> None:
            with connection.makefile("rb") as reader, connection.makefile("wb") as writer:
                session = Session(reader, writer, self._attach)
                session.send("attach", **child)
                session.wait_for("initialized")
                self.children.append(session)
                session.send("configurationDone")
                session.thread.join()

        threading.Thread(target=attach, daemon=True).start()

    def stop(self) -> None:
        """End the script, as the stop button does."""
        self.main.wait_for("response", self.main.send("disconnect", terminateDebuggee=True))

    def close(self) -> None:
        """End the adapter, with everything that it has started."""
        self._adapter.terminate()
        self._adapter.wait(LIMIT_S)
        for connection in self._sockets:
            connection.close()
        self.main.thread.join(LIMIT_S)
        for stream in (self._adapter.stdin, self._adapter.stdout):
            assert stream
            stream.close()
