"""What makes pyjavaz's bridge to a Java core safe: a watch over the server, and a guard before every call.

It cures what pyjavaz 1.2.8 (mmpycorex pins it) does (tests/adapters/test_java_bridge.py):

- A call to a server that died never returns, nor does the interpreter at exit. ``server_terminated`` ends only the
  wait of destructors, and these then raise ``queue.Empty``, the report of which fails by itself. It also holds for the
  next server on that port. So it is not used here, and what others did with it does not matter to a guarded bridge.
- A call that Ctrl-C broke off leaves its answer behind: every later call gets the answer of the one before.
- A destructor that the garbage collector runs during a call waits for that call, in the same thread: a deadlock.
- Every object leaves a callback for the exit behind, one a frame.
"""

import atexit
import math
import threading
import time
import weakref
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager, suppress
from queue import Empty
from typing import Any

CALL_LIMIT_S = 60.0
"""How long a call may take that has no reason to take long: another client's call may have to end first."""

_STUCK_S = 5.0  # after which Ctrl-C gives a call up
_SLICE_S = 0.2  # on Windows, Ctrl-C waits for the end of a wait
_LOOK_MS = 500  # between two looks whether the bridge is still there
_TIDY_EVERY = 1000  # destroyed objects


class ServerWatch:
    """An idle connection to a ZMQ server that detects when the server has gone.

    The system closes the connection when the server's process ends, however it ends. A server that is merely slow or
    stopped keeps it, and one that was started again on the same port does not pass for the old one.

    Parameters
    ----------
    host, port
        Where the server listens.
    """

    def __init__(self, host: str, port: int) -> None:
        self._address = f"tcp://{host}:{port}"
        self._answered = False
        self._settled = threading.Event()
        self._stopped = threading.Event()
        self._gone = False
        self._subject: Callable[[], Any] = lambda: self
        self._on_gone: Callable[[Any], None] = _nothing
        self._thread = threading.Thread(target=self._run, name=f"mmspool-watch-{port}", daemon=True)

    def start(self, timeout_s: float) -> bool:
        """Connect; False when no ZMQ server answers in time, and then the watch has stopped."""
        self._thread.start()
        self._settled.wait(timeout_s)
        if not self._answered:
            self.stop()
        return self._answered

    def stop(self) -> None:
        """Stop watching, without a word."""
        self._stopped.set()

    def over(self, subject: Any, on_gone: Callable[[Any], None]) -> None:
        """Call ``on_gone(subject)`` when the server is gone, or at once if it is; the watch ends when ``subject`` does.

        It is called from the watch's thread and may be called twice.
        """
        self._on_gone = on_gone
        self._subject = weakref.ref(subject)
        if self._gone:
            on_gone(subject)

    def _run(self) -> None:
        import zmq
        from zmq.utils.monitor import recv_monitor_message

        connection: zmq.Socket[bytes] = zmq.Context.instance().socket(zmq.REQ)
        with connection:
            connection.linger = 0
            connection.reconnect_ivl = -1
            ends = zmq.EVENT_DISCONNECTED | zmq.EVENT_CLOSED  # closed: refused
            monitor = connection.get_monitor_socket(zmq.EVENT_HANDSHAKE_SUCCEEDED | ends)
            connection.connect(self._address)
            while not self._gone and not self._stopped.is_set() and self._subject() is not None:
                if monitor.poll(_LOOK_MS):
                    self._gone = bool(recv_monitor_message(monitor)["event"] & ends)
                    self._answered = self._answered or not self._gone
                    self._settled.set()
            connection.disable_monitor()
            monitor.close()
        if self._gone and (subject := self._subject()) is not None:
            self._on_gone(subject)


class BridgeGuard:
    """Stands for ``send_and_receive`` of one bridge, through which everything goes that Python asks of Java.

    A call of the main thread is made by a thread of its own: Ctrl-C ends the wait, and the call still gets its answer.

    Parameters
    ----------
    bridge
        A ``pyjavaz.bridge.Bridge``; it holds the guard, not the other way round.
    """

    def __init__(self, bridge: Any) -> None:
        self._bridge = weakref.ref(bridge)
        self._gone = ""
        self._asked_at: float | None = None
        self._abandoned = False
        self._inside = threading.local()
        self._destroyed = 0

    def __call__(
        self,
        message: dict[str, Any],
        timeout: float | None = None,  # noqa: ARG002 - pyjavaz's signature; it gives none
        give_up_condition: Callable[[], bool] | None = None,  # noqa: ARG002 - true as soon as *any* server on the port ended
    ) -> Any:
        """Send a message and return its answer; ``ConnectionError`` when the server is gone or has been given up."""
        farewell = message["command"] == "destructor"
        if farewell:
            self._tidy_up()
        if not self._gone:
            try:
                return self._exchange(message, farewell=farewell)
            except Exception:
                if not self._gone:
                    raise
        if farewell:  # the object went with its server
            return None
        raise ConnectionError(self._gone)

    @property
    def failure(self) -> str:
        """Why the bridge has been given up; "" as long as it has not."""
        return self._gone

    @contextmanager
    def limit(self, seconds: float) -> Iterator[None]:
        """Give the bridge up when a call that this thread makes within the block gets no answer in this time.

        A server that hangs and one that is busy look the same from outside, so the limit has to be generous. Calls
        outside of such a block, which a script makes itself, wait as long as it takes.
        """
        before = getattr(self._inside, "limit_s", math.inf)
        self._inside.limit_s = seconds
        try:
            yield
        finally:
            self._inside.limit_s = before

    def abandon_stuck_call(self) -> None:
        """Give the bridge up if a call has been waiting for some seconds; from any thread or signal handler."""
        asked_at = self._asked_at
        if asked_at is not None and time.monotonic() - asked_at > _STUCK_S:
            self._abandoned = True

    def give_up(self, reason: str = "it was closed or has crashed; start it and connect again") -> None:
        """Let the present call and all later ones fail, and let a new server on this port be connected to."""
        bridge = self._bridge()
        if bridge is None or self._gone:
            return
        self._gone = f"Micro-Manager on port {bridge.port} is gone: {reason}"
        bridge._closed = True
        bridge._shutdown_event.set()
        bridge._response_queue.put(ConnectionError(self._gone))
        bridge._cached = False
        cached = bridge._cached_bridges_by_port.get(bridge.port)
        if cached is not None and cached() is bridge:
            bridge._cached_bridges_by_port.pop(bridge.port, None)

    def _exchange(self, message: dict[str, Any], *, farewell: bool) -> Any:
        bridge: Any = self._bridge()
        limit_s = getattr(self._inside, "limit_s", CALL_LIMIT_S if farewell else math.inf)

        def send() -> Any:
            self._inside.call = True
            try:
                return self._ask(bridge, message, limit_s)
            finally:
                self._inside.call = False

        if farewell and getattr(self._inside, "call", False):
            _start(send)
            return None
        if threading.current_thread() is not threading.main_thread():
            return send()
        try:
            thread, answer = _start(send)
        except RuntimeError:  # at the interpreter's end there are no new threads, nor any Ctrl-C
            return send()
        while not answer.done():
            thread.join(_SLICE_S)
        return answer.result()

    def _ask(self, bridge: Any, message: dict[str, Any], limit_s: float) -> Any:
        """Do what the bridge's own method does, within a limit."""
        with bridge._communication_lock:
            if self._gone or bridge._closed:
                raise ConnectionError(self._gone or "the bridge to Micro-Manager was closed: connect again")
            with suppress(Empty):  # what an answer that nobody waited for has left
                while True:
                    bridge._response_queue.get_nowait()
            self._abandoned = False
            bridge._send_queue.put(message)
            self._asked_at = time.monotonic()
            try:
                answer = self._await(bridge, self._asked_at, limit_s)
            finally:
                self._asked_at = None
        if isinstance(answer, Exception):
            raise answer
        return answer

    def _await(self, bridge: Any, asked_at: float, limit_s: float) -> Any:
        while True:
            try:
                return bridge._response_queue.get(timeout=_SLICE_S)
            except Empty:
                waited_s = time.monotonic() - asked_at
            if self._abandoned or waited_s > limit_s:
                self.give_up(f"it has not answered for {waited_s:.0f} s, so it hangs; restart it and connect again")

    def _tidy_up(self) -> None:
        self._destroyed += 1
        if self._destroyed % _TIDY_EVERY == 0:
            atexit.unregister(_SPENT_CALLBACK)


def guard(bridge: Any, watch: ServerWatch) -> None:
    """Guard a bridge with a watch that has been started; a bridge that is guarded already keeps the watch it has."""
    if isinstance(bridge.send_and_receive, BridgeGuard):
        watch.stop()
        return
    bridge.send_and_receive = BridgeGuard(bridge)
    watch.over(bridge, _give_up)


def watch_over(bridge: Any, timeout_s: float) -> bool:
    """Guard a bridge that another library made; False when its server is gone."""
    watch = ServerWatch(bridge._ip_address, bridge.port)
    answered = watch.start(timeout_s)
    guard(bridge, watch)
    if not answered:
        _give_up(bridge)
    return answered


def _give_up(bridge: Any) -> None:
    bridge.send_and_receive.give_up()


def _nothing(_subject: object) -> None:
    """Do nothing: nobody listens yet."""


def _start(send: Callable[[], Any]) -> tuple[threading.Thread, Future[Any]]:
    answer: Future[Any] = Future()

    def run() -> None:
        try:
            answer.set_result(send())
        except BaseException as exc:  # noqa: BLE001 - raised where the answer is awaited
            answer.set_exception(exc)

    thread = threading.Thread(target=run, name="mmspool-java-call", daemon=True)
    thread.start()
    return thread, answer


class _SpentCallback:
    """Equals each exit callback of an object that is gone: ``atexit.unregister`` compares with ``==``."""

    __hash__ = None  # type: ignore[assignment]

    def __eq__(self, other: object) -> bool:
        if getattr(other, "__qualname__", "") != "_JavaObjectShadow.__init__.<locals>.cleanup":
            return False
        (shadow,) = (cell.cell_contents for cell in getattr(other, "__closure__", ()))
        return shadow() is None


_SPENT_CALLBACK: Any = _SpentCallback()
