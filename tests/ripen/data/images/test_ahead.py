"""Threads that work ahead: order, bound, errors."""

import threading
import time

import pytest

from ripen.data.images.ahead import AHEAD, in_order


@pytest.mark.parametrize("threads", [1, 2, 5])
def test_results_come_in_order(threads: int) -> None:
    def slow_first(i: int) -> int:
        time.sleep(0.01 if i % 7 == 0 else 0)
        return i * i

    assert list(in_order(slow_first, range(50), threads)) == [i * i for i in range(50)]


@pytest.mark.parametrize("threads", [1, 3])
def test_it_draws_no_more_than_the_bound(threads: int) -> None:
    items = iter(range(1000))
    results = in_order(lambda i: i, items, threads)
    assert [next(results) for _ in range(5)] == [0, 1, 2, 3, 4]
    assert next(items) <= 5 + AHEAD * threads


@pytest.mark.parametrize("threads", [1, 2])
def test_an_error_comes_at_its_item(threads: int) -> None:
    results = in_order(lambda i: 10 // (3 - i), range(100), threads)
    assert [next(results) for _ in range(3)] == [3, 5, 10]
    with pytest.raises(ZeroDivisionError, match="division"):
        next(results)


def test_no_thread_is_left_when_the_reader_stops() -> None:
    results = in_order(lambda i: i, range(1000), 2)
    next(results)
    results.close()
    assert threading.active_count() == 1
