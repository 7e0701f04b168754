"""Running a sweep: trials are claimed, run by a launcher, and stored as soon as they end.

A launcher runs them in this process, in processes of its own, or on a Ray cluster. The choice
changes no result.
"""

import time
from collections.abc import Callable, Iterator
from typing import Protocol

from ripen.core.errors import TrainingError
from ripen.learn.sweeps.on_processes import Processes
from ripen.learn.sweeps.store import ClaimedTrial, Store
from ripen.learn.sweeps.study import Study
from ripen.learn.sweeps.trial import (
    FinishedTrial,
    Result,
    TrialSpec,
    as_trial,
    files,
    run,
    run_each,
)
from ripen.settings.schema import Launcher as LauncherSettings

STACK = 64  # trials side by side
ATTEMPTS = 3  # at a trial whose worker was lost
POLL = 0.5  # seconds, while other processes run the trials that are left

Done = list[tuple[int, Result | None]]
Callback = Callable[[Store, list[FinishedTrial]], None]


# --- Launchers -----------------------------------------------------------------------------------


class Launcher(Protocol):
    """Runs trials."""

    @property
    def room(self) -> int:
        """How many trials may be submitted now."""

    def submit(self, trial: int, spec: TrialSpec) -> None:
        """Begin a trial, or queue it."""

    def done(self) -> Done:
        """Wait for at least one trial; return the ended ones, None for one whose worker was lost.

        Raises
        ------
        Exception
            The exception of a trial.
        """

    def close(self) -> None:
        """Release the workers."""


class Basic:
    """In this process: side by side where trials can be stacked, else one after the other."""

    def __init__(self, *, stacked: bool) -> None:
        self._together = STACK if stacked else 1
        self._begun = 0
        self._waiting: list[tuple[int, TrialSpec]] = []
        self._running: Iterator[tuple[int, Result]] = iter(())

    @property
    def room(self) -> int:
        return 0 if self._begun else self._together

    def submit(self, trial: int, spec: TrialSpec) -> None:
        self._waiting.append((trial, spec))
        self._begun += 1

    def done(self) -> Done:
        ended = next(self._running, None)
        if ended is None:
            self._running = self._begin()
            ended = next(self._running)
        self._begun -= 1
        return [ended]

    def _begin(self) -> Iterator[tuple[int, Result]]:
        waiting, self._waiting = self._waiting, []
        for place, result in run_each([spec for _, spec in waiting]):
            yield waiting[place][0], result

    def close(self) -> None:
        pass


def launcher(settings: LauncherSettings, study: Study) -> Launcher:
    """Return the launcher that the settings name.

    Raises
    ------
    UsageError
        If Ray is not installed, or its cluster cannot be reached.
    """
    if settings.name == "basic":
        return Basic(stacked=as_trial(study.competition) is not None)
    if settings.name == "joblib":
        return Processes(run, settings.workers)
    from ripen.learn.sweeps.on_ray import Ray  # only here: it is an extra

    data = files(study.competition_name, study.competition)
    return Ray(run, data, settings.workers, settings.address)


# --- A whole sweep -------------------------------------------------------------------------------


def run_study(store: Store, settings: LauncherSettings, callback: Callback) -> list[FinishedTrial]:
    """Run all trials of a sweep that have not ended yet.

    Parameters
    ----------
    store : Store
        Not yet entered.
    settings : Launcher
    callback : callable
        Receives the store and the finished trials after each change.

    Returns
    -------
    list of FinishedTrial
        All trials, in their order.

    Raises
    ------
    StoreError
        If the store cannot be read or written. The finished trials are kept.
    TrainingError
        If a trial's worker is lost again and again.
    """
    with store:
        while True:
            claimed = store.claim(1)
            if claimed:
                _work(store, settings, claimed, callback)
            finished = store.finished()
            callback(store, finished)
            if len(finished) == store.study.count:
                return finished
            time.sleep(POLL)


def _work(
    store: Store, settings: LauncherSettings, claimed: list[ClaimedTrial], callback: Callback
) -> None:
    """Run trials until none is left to claim."""
    workers = launcher(settings, store.study)
    running: dict[int, ClaimedTrial] = {}
    lost: dict[int, int] = {}
    try:
        while claimed or running:
            for trial in claimed:
                running[trial.id] = trial
                workers.submit(trial.id, _spec(store.study, trial))
            for number, result in workers.done():
                if result is None:
                    _again(store.study, workers, running[number], lost)
                else:
                    store.finish(running.pop(number), result)
            callback(store, store.finished())
            claimed = store.claim(workers.room) if workers.room else []
    finally:
        workers.close()


def _again(study: Study, workers: Launcher, trial: ClaimedTrial, lost: dict[int, int]) -> None:
    """Begin a trial again whose worker was lost, some times at most."""
    lost[trial.id] = lost.get(trial.id, 0) + 1
    if lost[trial.id] == ATTEMPTS:
        raise TrainingError(
            f"trial {trial.index} ({trial.settings}) lost its worker {ATTEMPTS} times: is "
            "there too little memory? The finished ones are kept. Choose fewer launcher.workers"
        )
    workers.submit(trial.id, _spec(study, trial))


def _spec(study: Study, trial: ClaimedTrial) -> TrialSpec:
    competition = study.with_settings(trial.settings)
    return TrialSpec(study.competition_name, competition, study.sweep.pruner, trial.history)
