"""Work done ahead in threads, with results in order and a bound on how many wait."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice
from typing import TypeVar

T = TypeVar("T")
R = TypeVar("R")

AHEAD = 8  # items, for each thread


def in_order(
    function: Callable[[T], R], items: Iterable[T], threads: int, ahead: int = 0
) -> Iterator[R]:
    """Yield `function(item)` for each item, in the items' order, whatever the number of threads.

    The items themselves are drawn in the caller's thread. Threads, since what takes time with
    pictures (reading, decoding, resizing, hashing) lets the others run.

    Parameters
    ----------
    function : callable
        What it raises, the caller sees at that item.
    items : iterable
    threads : int
        1 works without any thread.
    ahead : int
        Items that may be in work or wait for the caller; at least 8 for each thread.
    """
    if threads == 1:
        yield from map(function, items)
        return
    coming = iter(items)
    with ThreadPoolExecutor(threads) as pool:
        waiting: deque[Future[R]] = deque()
        try:
            for item in islice(coming, max(ahead, AHEAD * threads)):
                waiting.append(pool.submit(function, item))
            while waiting:
                done = waiting.popleft()
                for item in islice(coming, 1):
                    waiting.append(pool.submit(function, item))
                yield done.result()
        finally:
            for future in waiting:
                future.cancel()
