"""Where trials are kept: an Optuna study in a relational store, shared by any number of processes.

A trial is claimed under a lock, so that two processes never run the same one, and kept the moment
it ends. One whose process is gone is claimed again: on this machine at once, elsewhere when its
heartbeat has stopped.
"""

import os
import socket
import threading
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any, Self

import optuna
import psutil
from optuna.storages import RDBStorage
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState

from ripen.learn.sweeps import choose
from ripen.learn.sweeps.database import address, locked, open_storage, speaking
from ripen.learn.sweeps.outcome import Finished, Outcome, thinned
from ripen.learn.sweeps.plan import Plan
from ripen.learn.sweeps.space import Settings
from ripen.settings.schema.sweep import Study

HEARTBEAT = 20  # seconds; three times as long without one, and a trial's machine is gone
LIVE_POINTS = 10  # of a curve, as Optuna's own intermediate values


@dataclass(frozen=True)
class Claim:
    """A trial that this process runs: its place in the store, its number, settings and hash."""

    id: int
    index: int
    settings: Settings
    key: str
    history: tuple[Outcome, ...]


class Store:
    """One sweep's study.

    Parameters
    ----------
    study : Study
        The address of the store.
    plan : Plan
    """

    def __init__(self, study: Study, plan: Plan) -> None:
        self._plan, self._timeout = plan, study.timeout
        self.uri = address(study.uri)
        self._running: dict[int, Claim] = {}
        self._read: dict[int, Finished] = {}
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._beat, daemon=True)

    def __enter__(self) -> Self:
        with speaking(self.uri), self.lock():
            self._rdb: RDBStorage = open_storage(self.uri, self._timeout, HEARTBEAT)
            self._storage = optuna.storages.get_storage(self._rdb)
            self._study = self._find_study()
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()
        try:
            for claim in list(self._running.values()):
                self.release(claim)
        finally:
            self._rdb.engine.dispose()

    @contextmanager
    def lock(self) -> Iterator[None]:
        """Hold the lock that all processes of the store share."""
        with locked(self.uri, self._timeout):
            yield

    def claim(self, most: int) -> list[Claim]:
        """Claim trials to run, in their order; none where all are done, or wait for others.

        One whose numbers another sweep has already is not claimed but finished from there.
        """
        claimed: list[Claim] = []
        with speaking(self.uri), self.lock():
            self._free_the_lost()
            known, elsewhere = self._other_sweeps()
            trials = self._trials()
            done = {f.index: f for f in self._finished(trials)}
            known |= {f.key: f.outcome for f in done.values() if f.outcome.whole}
            busy = {_index(t) for t in trials if t.state == TrialState.RUNNING}
            first_open = next((i for i in range(self._plan.count) if i not in done), None)
            index = first_open
            while index is not None and index < self._plan.count and len(claimed) < most:
                if self._plan.first_of_round(index) > (first_open or 0):
                    break  # an earlier round is not over
                if index not in done and index not in busy:
                    found = self._next(index, done, known, elsewhere, claimed)
                    if found:
                        done[index] = found
                while first_open is not None and first_open in done:
                    first_open += 1
                index += 1
        return claimed

    def finish(self, claim: Claim, outcome: Outcome) -> None:
        """Keep how a trial ended; one that another process was given meanwhile is dropped."""
        self._running.pop(claim.id, None)
        with speaking(self.uri):
            try:
                self._storage.set_trial_user_attr(claim.id, "outcome", outcome.dumps())
                self._close(claim.id, outcome)
            except optuna.exceptions.UpdateFinishedTrialError:
                return

    def release(self, claim: Claim) -> None:
        """Give a trial back unfinished."""
        self._running.pop(claim.id, None)
        with speaking(self.uri):
            try:
                self._storage.set_trial_state_values(claim.id, TrialState.FAIL)
            except optuna.exceptions.UpdateFinishedTrialError:
                return

    def finished(self) -> list[Finished]:
        """Return the trials that have ended, in their order, each once."""
        with speaking(self.uri):
            ended = self._finished(self._trials())
        return sorted((f for f in ended if f.index < self._plan.count), key=lambda f: f.index)

    def _find_study(self) -> int:
        try:
            return self._storage.get_study_id_from_name(self._plan.name)
        except KeyError:
            study = self._storage.create_new_study([StudyDirection.MINIMIZE], self._plan.name)
            self._storage.set_study_user_attr(study, "made_from", self._plan.made_from)
            return study

    def _next(
        self,
        index: int,
        done: dict[int, Finished],
        known: dict[str, Outcome],
        elsewhere: set[str],
        claimed: list[Claim],
    ) -> Finished | None:
        """Claim a trial; or return it finished, where its numbers are there."""
        plan = self._plan
        history = [done[i] for i in range(plan.first_of_round(index))]
        settings = plan.settings(index, history)
        key = plan.key(settings)
        outcomes = tuple(past.outcome for past in history)
        if key in known:
            outcome = choose.pruned(known[key], plan.sweep.pruner, outcomes)
            self._create(index, settings, key, outcome)
            return Finished(index, settings, key, outcome)
        if key not in elsewhere and key not in {claim.key for claim in claimed}:
            claim = Claim(self._create(index, settings, key), index, settings, key, outcomes)
            self._running[claim.id] = claim
            claimed.append(claim)
        return None

    def _create(
        self, index: int, settings: Settings, key: str, outcome: Outcome | None = None
    ) -> int:
        """Write a trial into the study: running, or finished where its outcome is given."""
        plan, values = self._plan, {"index": index, "settings": settings, "key": key}
        new = optuna.trial.create_trial(
            state=TrialState.RUNNING,
            params=choose.params(plan.space, settings),
            distributions=choose.distributions(plan.space),
            user_attrs=values
            | {"process": _process()}
            | ({"outcome": outcome.dumps()} if outcome else {}),
        )
        trial = self._storage.create_new_trial(self._study, new)
        if outcome:
            self._close(trial, outcome)
        else:
            self._rdb.record_heartbeat(trial)
        return trial

    def _close(self, trial: int, outcome: Outcome) -> None:
        if self._plan.sweep.pruner.name != "none" and outcome.ended != "diverged":
            for point in thinned(outcome.curve, LIVE_POINTS):
                self._storage.set_trial_intermediate_value(
                    trial, point.iteration, point.validation_loss
                )
        if outcome.ended in ("pruned", "diverged") or outcome.best is None:
            self._storage.set_trial_state_values(trial, TrialState.PRUNED)
        else:
            values = [outcome.best.validation_loss]
            self._storage.set_trial_state_values(trial, TrialState.COMPLETE, values)

    def _trials(self) -> list[FrozenTrial]:
        return self._storage.get_all_trials(self._study, deepcopy=False)

    def _finished(self, trials: Sequence[FrozenTrial]) -> list[Finished]:
        return [
            self._read.get(trial._trial_id) or self._parsed(trial)
            for trial in trials
            if trial.state in (TrialState.COMPLETE, TrialState.PRUNED)
        ]

    def _parsed(self, trial: FrozenTrial) -> Finished:
        values = trial.user_attrs
        outcome = Outcome.loads(values["outcome"])
        finished = Finished(_index(trial), values["settings"], values["key"], outcome)
        self._read[trial._trial_id] = finished
        return finished

    def _other_sweeps(self) -> tuple[dict[str, Outcome], set[str]]:
        """Return what other sweeps of the same data and code have: outcomes, and what they run."""
        known: dict[str, Outcome] = {}
        running: set[str] = set()
        for study in self._storage.get_all_studies():
            same = study.user_attrs.get("made_from") == self._plan.made_from
            if not same or study._study_id == self._study:
                continue
            trials = self._storage.get_all_trials(study._study_id, deepcopy=False)
            known |= {f.key: f.outcome for f in self._finished(trials) if f.outcome.whole}
            alive = (t for t in trials if t.state == TrialState.RUNNING and not _gone(t))
            running |= {t.user_attrs["key"] for t in alive}
        return known, running

    def _free_the_lost(self) -> None:
        """Close trials whose process is gone: finished, where their outcome is there, or failed."""
        for trial in self._trials():
            if trial.state == TrialState.RUNNING and _gone(trial):
                if "outcome" in trial.user_attrs:
                    self._close(trial._trial_id, Outcome.loads(trial.user_attrs["outcome"]))
                else:
                    self._storage.set_trial_state_values(trial._trial_id, TrialState.FAIL)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # experimental in Optuna
            study = optuna.load_study(study_name=self._plan.name, storage=self._storage)
            optuna.storages.fail_stale_trials(study)

    def _beat(self) -> None:
        while not self._stop.wait(HEARTBEAT):
            for trial in list(self._running):
                with suppress(optuna.exceptions.StorageInternalError):  # the next one may succeed
                    self._rdb.record_heartbeat(trial)


def _process() -> dict[str, Any]:
    process = psutil.Process()
    return {"host": socket.gethostname(), "pid": os.getpid(), "started": process.create_time()}


def _gone(trial: FrozenTrial) -> bool:
    """Say whether a running trial's process ran on this machine and is no more."""
    process = trial.user_attrs["process"]
    if process["host"] != socket.gethostname():
        return False
    try:
        started: float = psutil.Process(process["pid"]).create_time()
        return started != float(process["started"])
    except psutil.NoSuchProcess:
        return True


def _index(trial: FrozenTrial) -> int:
    return int(trial.user_attrs["index"])
