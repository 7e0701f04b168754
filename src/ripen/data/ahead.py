"""Batches of images that processes decode ahead of a GPU, into memory that they share.

Threads would wait for each other: a part of each image's work is Python's own. The processes import
neither torch nor a net, and a batch never passes through a pipe.
"""

import multiprocessing
import os
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import ExitStack, contextmanager
from functools import cache
from itertools import islice
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ripen.core.errors import DataError

Array = NDArray[np.float32]
Item = tuple[int, int, str, bytes]
"""Place in the order, row among the files, name and content of an image."""
Prepared = Callable[[Item], Array]
Pin = Callable[[Array], Callable[[], object]]
"""Locks an array into memory, for faster copies to a GPU; returns how to undo it."""
BUFFERS = 3  # batches in memory: one in the net, and two ahead of it
CHUNK = 4  # images of a task
POSSIBLE = hasattr(os, "memfd_create")  # Linux


class Decoded(NamedTuple):
    """A batch: rows of shape (n,), and data of shape (n * views, channels, height, width).

    The data is overwritten once the next batch has been drawn.
    """

    rows: NDArray[np.int64]
    data: Array


def decoded(
    items: Iterator[Item],
    prepared: Prepared,
    batch_size: int,
    shape: tuple[int, ...],
    workers: int,
    pin: Pin = lambda array: lambda: None,
) -> Iterator[Decoded]:
    """Yield batches in the order of the items.

    Parameters
    ----------
    items : iterator of (place, row, name, content)
        Drawn by the caller's process.
    prepared : callable
        Turns an item into an array of the given shape; it is pickled.
    batch_size : int
        Images in a batch; the last may have fewer.
    shape : (views, channels, height, width)
        Of one image.
    workers : int
        Processes. Their number changes no result.
    pin : callable

    Raises
    ------
    DataError
        If an image cannot be read, or a process was killed.
    """
    whole = (batch_size, *shape)
    with ExitStack() as stack:
        buffers = [stack.enter_context(_buffer(whole, pin)) for _ in range(BUFFERS)]
        pool = stack.enter_context(_processes(workers))
        begun: deque[tuple[int, list[int], list[Future[None]]]] = deque()

        def begin(number: int) -> None:
            batch = list(islice(items, batch_size))
            tasks = [
                pool.submit(_fill, buffers[number][0], whole, k, batch[k : k + CHUNK], prepared)
                for k in range(0, len(batch), CHUNK)
            ]
            if batch:
                begun.append((number, [item[1] for item in batch], tasks))

        try:
            for number in range(BUFFERS - 1):
                begin(number)
            free = BUFFERS - 1
            while begun:
                number, rows, tasks = begun.popleft()
                for task in tasks:
                    task.result()
                begin(free)  # that of the batch before, which the caller has done with
                free = number
                data = buffers[number][1][: len(rows)]
                yield Decoded(np.array(rows, np.int64), data.reshape(-1, *shape[1:]))
        except BrokenProcessPool:
            raise DataError("a process that decodes images was killed. Is memory short?") from None


@contextmanager
def _processes(workers: int) -> Iterator[ProcessPoolExecutor]:
    """Yield a pool, which at the end of the block drops the tasks that wait."""
    # Not by fork: the caller has a GPU and threads, which a fork would break.
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["ripen.data.batches"])  # once for all processes
    with ProcessPoolExecutor(workers, mp_context=context) as pool:
        try:
            yield pool
        finally:
            pool.shutdown(cancel_futures=True)


@contextmanager
def _buffer(shape: tuple[int, ...], pin: Pin) -> Iterator[tuple[str, Array]]:
    """Yield memory by the path under which other processes open it, and as an array."""
    # Without a name in /dev/shm: containers allow 64 MB there, and a killed run would leave it.
    file = os.memfd_create("ripen")
    try:
        os.ftruncate(file, 4 * int(np.prod(shape)))
        path = f"/proc/{os.getpid()}/fd/{file}"
        array = np.memmap(path, np.float32, "r+", shape=shape)
        undo = pin(array)
        try:
            yield path, array
        finally:
            undo()
    finally:
        os.close(file)


@cache
def _opened(path: str, shape: tuple[int, ...]) -> Array:
    return np.memmap(path, np.float32, "r+", shape=shape)


def _fill(
    path: str, shape: tuple[int, ...], start: int, items: Sequence[Item], prepared: Prepared
) -> None:
    """Decode some images of a batch into its memory; runs in a process of its own."""
    for place, item in enumerate(items, start):
        _opened(path, shape)[place] = prepared(item)
