"""What makes pyjavaz's bridge to a Java core safe: a watch over the server, and a guard before every call.

It cures what pyjavaz 1.2.8 (mmpycorex pins it) does (tests/adapters/test_java_bridge.py):

- A call to a server that died waits for ever, and so does the interpreter at exit. ``server_terminated`` ends only the
  wait of destructors, and these then raise ``queue.Empty``, the report of which fails by itself. It also holds for the
  next server on that port. So it is not used here, and what others did with it does not matter to a guarded bridge.
- A call that Ctrl-C broke off leaves its answer behind: every later call gets the answer of the one before.
- A destructor that the garbage collector runs during a call waits for that call, in the same thread: for ever.
- Every object leaves a callback for the exit behind, one a frame.
"""

import atexit
import threading
import weakref
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any

_SLICE_S = 0.2  # on Windows, Ctrl-C waits for the end of a wait
_LOOK_MS = 500  # between two looks whether the bridge is still there
_TIDY_EVERY = 1000  # destroyed objects


class ServerWatch:
    """An idle connection to a ZMQ server that tells when the server has gone.

    The system closes the connection when the server's process ends, however it ends. A server that is merely slow or
    stopped keeps it, and one that was started anew on the same port does not pass for the old one.

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
        self._inside = threading.local()
        self._destroyed = 0

    def __call__(
        self,
        message: dict[str, Any],
        timeout: float | None = None,
        give_up_condition: Callable[[], bool] | None = None,
    ) -> Any:
        """Send a message and return its answer; ``ConnectionError`` when the server is gone."""
        farewell = message["command"] == "destructor"
        if farewell:
            self._tidy_up()
        if not self._gone:
            # A guarded bridge's server has gone when the guard says so, not when somebody closed one on this port.
            condition = None if give_up_condition is None else lambda: bool(self._gone)
            try:
                return self._exchange(message, timeout, condition, farewell=farewell)
            except Exception:
                if not self._gone:
                    raise
        if farewell:  # the object went with its server
            return None
        raise ConnectionError(self._gone)

    def give_up(self) -> None:
        """Let the present call and all later ones fail, and let a new server on this port be connected to."""
        bridge = self._bridge()
        if bridge is None:
            return
        self._gone = (
            f"Micro-Manager on port {bridge.port} is gone: it was closed or has crashed; start it and connect again"
        )
        bridge._closed = True
        bridge._shutdown_event.set()
        bridge._response_queue.put(ConnectionError(self._gone))
        bridge._cached = False
        cached = bridge._cached_bridges_by_port.get(bridge.port)
        if cached is not None and cached() is bridge:
            bridge._cached_bridges_by_port.pop(bridge.port, None)

    def _exchange(
        self,
        message: dict[str, Any],
        timeout: float | None,
        give_up_condition: Callable[[], bool] | None,
        *,
        farewell: bool,
    ) -> Any:
        bridge: Any = self._bridge()

        def send() -> Any:
            self._inside.call = True
            try:
                return type(bridge).send_and_receive(bridge, message, timeout, give_up_condition)
            finally:
                self._inside.call = False

        if farewell and getattr(self._inside, "call", False):
            give_up_condition = None  # with one, the bridge would not notice that it was closed meanwhile
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
    """Guard a bridge that somebody else made; False when its server is gone."""
    watch = ServerWatch(bridge._ip_address, bridge.port)
    answered = watch.start(timeout_s)
    guard(bridge, watch)
    if not answered:
        _give_up(bridge)
    return answered


def _give_up(bridge: Any) -> None:
    bridge.send_and_receive.give_up()


def _nothing(_subject: object) -> None:
    """Do nothing: there is nobody to be told yet."""


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
