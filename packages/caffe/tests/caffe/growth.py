"""How the time of some work grows with its size, whatever the machine's speed."""

import time
from collections.abc import Callable

SMALL, LARGE = 2000, 32_000
MOST = 4 * LARGE / SMALL  # 64 for 16 times the size; quadratic work would take 256 times as long


def growth(work: Callable[[int], object], small: int = SMALL, large: int = LARGE) -> float:
    """Return the ratio of the processor's times that a call with each size takes.

    It is the least of some calls, so that what else runs on the machine changes little.
    """
    work(small)
    return _least(work, large, 2) / _least(work, small, 5)


def _least(work: Callable[[int], object], size: int, times: int) -> float:
    taken = []
    for _ in range(times):
        started = time.thread_time()
        work(size)
        taken.append(time.thread_time() - started)
    return min(taken)
