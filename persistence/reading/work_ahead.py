"""Work in threads, some tasks ahead of the caller that takes the results."""

import itertools
import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

Task = TypeVar("Task")
Result = TypeVar("Result")

MAX_THREADS = 8
_AHEAD = 2  # tasks handed out for each thread: one to work on, one to go on with


def map_ahead(function: Callable[[Task], Result], tasks: Iterable[Task]) -> Iterator[Result]:
    """Yield the result of each task, in their order, computed in threads, with a bounded number under way."""
    threads = min(MAX_THREADS, os.cpu_count() or 1)
    waiting = iter(tasks)
    with ThreadPoolExecutor(threads, thread_name_prefix="mmspool") as pool:
        futures: deque[Future[Result]] = deque(
            pool.submit(function, task) for task in itertools.islice(waiting, _AHEAD * threads)
        )
        try:
            while futures:
                yield futures.popleft().result()
                futures.extend(pool.submit(function, task) for task in itertools.islice(waiting, 1))
        finally:
            for future in futures:
                future.cancel()
