"""Who runs the trials: this process, processes of its own, or a Ray cluster. No result differs."""

import os
from collections.abc import Callable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, wait
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path
from typing import Any, Protocol

from ripen.learn.sweeps.outcome import Outcome
from ripen.learn.sweeps.trial import Job, run, run_each
from ripen.settings.schema.sweep import Launcher

STACK = 64  # trials side by side
Done = list[tuple[int, Outcome | None]]


class Runs(Protocol):
    """Runs trials."""

    @property
    def room(self) -> int:
        """How many trials may be submitted now."""

    def submit(self, trial: int, job: Job) -> None:
        """Begin a trial, or put it on the list."""

    def done(self) -> Done:
        """Wait for at least one trial; return those that ended, None for one lost with its worker.

        Raises
        ------
        Exception
            What a trial raised.
        """

    def close(self) -> None:
        """Let the workers go."""


class Basic:
    """In this process: side by side where trials stack, else one after the other."""

    def __init__(self, prepared: Path, *, stacks: bool) -> None:
        self._prepared = prepared
        self._together = STACK if stacks else 1
        self._begun = 0
        self._waiting: list[tuple[int, Job]] = []
        self._running: Iterator[tuple[int, Outcome]] = iter(())

    @property
    def room(self) -> int:
        return 0 if self._begun else self._together

    def submit(self, trial: int, job: Job) -> None:
        self._waiting.append((trial, job))
        self._begun += 1

    def done(self) -> Done:
        ended = next(self._running, None)
        if ended is None:
            self._running = self._begin()
            ended = next(self._running)
        self._begun -= 1
        return [ended]

    def _begin(self) -> Iterator[tuple[int, Outcome]]:
        waiting, self._waiting = self._waiting, []
        for place, outcome in run_each([job for _, job in waiting], self._prepared):
            yield waiting[place][0], outcome

    def close(self) -> None:
        pass


class Joblib:
    """In processes of this machine."""

    def __init__(self, prepared: Path, workers: int | None) -> None:
        self._prepared = prepared
        self._workers = workers or os.cpu_count() or 1
        self._running: dict[Future[Outcome], int] = {}

    @property
    def room(self) -> int:
        return self._workers - len(self._running)

    def submit(self, trial: int, job: Job) -> None:
        # Joblib's own pool of processes: it gives a fresh one where a worker was killed.
        from joblib.externals.loky import get_reusable_executor

        pool = get_reusable_executor(max_workers=self._workers)
        try:
            future = pool.submit(run, job, self._prepared)
        except BrokenProcessPool:  # noticed only now
            pool = get_reusable_executor(max_workers=self._workers)
            future = pool.submit(run, job, self._prepared)
        self._running[future] = trial

    def done(self) -> Done:
        ended, _ = wait(self._running, return_when=FIRST_COMPLETED)
        return [(self._running.pop(future), _result(future)) for future in ended]

    def close(self) -> None:
        from joblib.externals.loky import get_reusable_executor

        get_reusable_executor(max_workers=self._workers).shutdown(kill_workers=True)


def _result(future: Future[Outcome]) -> Outcome | None:
    try:
        return future.result()
    except BrokenProcessPool:
        return None


def launcher(settings: Launcher, prepared: Path, *, stacks: bool) -> Runs:
    """Return who runs the trials on the prepared parts, `stacks` saying whether side by side.

    Raises
    ------
    UsageError
        If Ray is not installed, or its cluster cannot be reached.
    """
    make: dict[str, Callable[[], Any]] = {
        "basic": lambda: Basic(prepared, stacks=stacks),
        "joblib": lambda: Joblib(prepared, settings.workers),
        "ray": lambda: _ray(settings, prepared),
    }
    runs: Runs = make[settings.name]()
    return runs


def _ray(settings: Launcher, prepared: Path) -> Runs:
    from ripen.learn.sweeps.on_ray import Ray  # only here: it is an extra

    return Ray(prepared, settings.workers, settings.address)
