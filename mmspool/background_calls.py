"""Calls that take their time, such as those to a camera, made by a thread of their own."""

import threading
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future, wait
from queue import SimpleQueue
from typing import Any


class BackgroundCalls:
    """Makes calls one after the other in a thread of its own, and hands their results to the thread that asked.

    Parameters
    ----------
    name
        The thread's. It is a daemon: a call that never returns does not keep the process.
    """

    def __init__(self, name: str) -> None:
        self._calls: SimpleQueue[tuple[Future[Any], Callable[[], Any]] | None] = SimpleQueue()
        self._asked: deque[tuple[Future[Any], Callable[[Any], object]]] = deque()
        threading.Thread(target=self._make, name=name, daemon=True).start()

    def __len__(self) -> int:
        return len(self._asked)

    def ask(self, call: Callable[[], Any], then: Callable[[Any], object]) -> None:
        """Make a call after those before; `take` hands what it returns to ``then``."""
        result: Future[Any] = Future()
        self._asked.append((result, then))
        self._calls.put((result, call))

    def awaits(self, then: Callable[[Any], object]) -> bool:
        """Return whether a result for ``then`` is still to come or to be taken."""
        return any(then == each for _result, each in self._asked)

    def take(self, wait_s: float = 0.0) -> bool:
        """Hand over the oldest result, and return whether there was one within ``wait_s`` seconds.

        What the call, or who takes its result, raised is raised; the next result can be taken all the same.
        """
        if not self._asked or not wait([self._asked[0][0]], wait_s).done:
            return False
        result, then = self._asked.popleft()
        then(result.result())
        return True

    def end(self) -> None:
        """End the thread after the calls that were asked for; their results are dropped."""
        self._asked.clear()
        self._calls.put(None)

    def _make(self) -> None:
        while (asked := self._calls.get()) is not None:
            result, call = asked
            try:
                result.set_result(call())
            except Exception as exc:  # noqa: BLE001 - raised by take
                result.set_exception(exc)
