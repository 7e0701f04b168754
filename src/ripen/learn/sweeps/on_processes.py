"""Work in processes of this machine: trials of a sweep, or folds of a model."""

import os
from collections.abc import Callable
from concurrent.futures import FIRST_COMPLETED, Future, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import ExitStack
from typing import Generic, TypeVar

from joblib.externals.loky import ProcessPoolExecutor

Task = TypeVar("Task")
Result = TypeVar("Result")


class Processes(Generic[Task, Result]):
    """Runs a function in processes, each a pool of its own.

    A pool that loses a process is broken as a whole, and would lose its other tasks too.

    Parameters
    ----------
    function : callable
        Given a task it returns a result. It can be pickled, and so can they.
    workers : int or None
        Tasks at once; None: one for each core.
    """

    def __init__(self, function: Callable[[Task], Result], workers: int | None) -> None:
        self._function, self._workers = function, workers or os.cpu_count() or 1
        self._running: dict[Future[Result], tuple[int, ProcessPoolExecutor]] = {}
        self._idle: list[ProcessPoolExecutor] = []
        self._opened = ExitStack()

    @property
    def room(self) -> int:
        """How many tasks may be submitted now."""
        return self._workers - len(self._running)

    def submit(self, number: int, task: Task) -> None:
        """Begin a task, known by a number."""
        pool = self._idle.pop() if self._idle else self._open()
        try:
            future = pool.submit(self._function, task)
        except BrokenProcessPool:  # killed while it was idle
            pool = self._open()
            future = pool.submit(self._function, task)
        self._running[future] = number, pool

    def done(self) -> list[tuple[int, Result | None]]:
        """Wait for at least one task; return the ended ones, None for one whose worker was lost.

        Raises
        ------
        Exception
            The exception of a task.
        """
        ended, _ = wait(self._running, return_when=FIRST_COMPLETED)
        return [self._ended(future) for future in ended]

    def close(self) -> None:
        """End the processes."""
        self._opened.close()

    def _open(self) -> ProcessPoolExecutor:
        pool = ProcessPoolExecutor(max_workers=1)
        self._opened.callback(pool.shutdown, kill_workers=True)
        return pool

    def _ended(self, future: Future[Result]) -> tuple[int, Result | None]:
        number, pool = self._running.pop(future)
        try:
            result = future.result()
        except BrokenProcessPool:
            return number, None
        self._idle.append(pool)
        return number, result
