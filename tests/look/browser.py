"""A page in headless Chromium, driven by its debugging protocol."""

import base64
import json
import socket
import subprocess
import tempfile
import time
import urllib.request
from pathlib import Path
from types import TracebackType
from typing import Any, Self

LIMIT_S = 60.0

_FLAGS = (
    "--headless",
    "--no-sandbox",
    "--hide-scrollbars",
    "--use-gl=angle",
    "--use-angle=swiftshader",
    "--enable-unsafe-swiftshader",
    "--window-size=1300,800",
    "--remote-allow-origins=*",
)


def free_port() -> int:
    """Return a port that nothing listens on."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


def fetch(url: str) -> bytes:
    """Return what a server that is just starting answers."""
    limit = time.monotonic() + LIMIT_S
    while True:
        try:
            with urllib.request.urlopen(url, timeout=5) as answer:
                return bytes(answer.read())
        except OSError:
            if time.monotonic() > limit:
                raise
            time.sleep(0.1)


class Browser:
    """One page of a Chromium without a window."""

    def __init__(self) -> None:
        import websocket

        port = free_port()
        self._profile = tempfile.TemporaryDirectory(prefix="chromium-", ignore_cleanup_errors=True)
        self._process = subprocess.Popen(
            ["chromium", *_FLAGS, f"--remote-debugging-port={port}", f"--user-data-dir={self._profile.name}"],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        pages = [page for page in json.loads(fetch(f"http://127.0.0.1:{port}/json")) if page["type"] == "page"]
        self._socket: Any = websocket.create_connection(pages[0]["webSocketDebuggerUrl"], timeout=LIMIT_S)
        self._calls = 0

    def call(self, method: str, **parameters: Any) -> Any:
        """Call the browser and return its answer."""
        self._calls += 1
        self._socket.send(json.dumps({"id": self._calls, "method": method, "params": parameters}))
        while True:
            answer = json.loads(self._socket.recv())
            if answer.get("id") == self._calls:
                return answer["result"]

    def go(self, url: str) -> None:
        """Open a page."""
        self.call("Page.navigate", url=url)

    def evaluate(self, expression: str) -> Any:
        """Return the value of a JavaScript expression; None where it raises."""
        return self.call("Runtime.evaluate", expression=expression, returnByValue=True)["result"].get("value")

    def wait_for(self, expression: str, *, limit_s: float = LIMIT_S) -> Any:
        """Return the value of an expression as soon as it is true."""
        limit = time.monotonic() + limit_s
        while not (value := self.evaluate(expression)):
            assert time.monotonic() < limit, f"{expression} did not become true; the page says {self.text!r}"
            time.sleep(0.1)
        return value

    @property
    def text(self) -> str:
        """What the page says."""
        return str(self.evaluate("document.body.innerText"))

    def open_by_double_click(self, selector: str, containing: str, opened: str) -> None:
        """Double-click an element that contains a text, again until it has an effect, as a page that loads needs."""
        for _ in range(10):
            self._double_click(selector, containing)
            try:
                self.wait_for(opened, limit_s=5)
            except AssertionError:
                continue
            return
        self.wait_for(opened)

    def _double_click(self, selector: str, containing: str) -> None:
        found = f"[...document.querySelectorAll({selector!r})].find(e => e.innerText.includes({containing!r}))"
        place = f"(() => {{ const r = {found}.getBoundingClientRect(); return [r.x + 20, r.y + r.height / 2] }})()"
        self.wait_for(f"!!{found}")
        x, y = self.evaluate(place)
        for count in (1, 2):
            for kind in ("mousePressed", "mouseReleased"):
                self.call("Input.dispatchMouseEvent", type=kind, x=x, y=y, button="left", clickCount=count)

    def screenshot(self, path: Path) -> None:
        """Save what it looks like."""
        path.write_bytes(base64.b64decode(self.call("Page.captureScreenshot")["data"]))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._socket.close()
        self._process.terminate()
        self._process.wait()
        self._profile.cleanup()
