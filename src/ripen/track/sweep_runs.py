"""A sweep in MLflow: one run, with a nested run for each trial, whichever process ran it."""

import time
from collections.abc import Sequence
from contextlib import nullcontext, suppress
from typing import Any, Self

from ripen.competition.metric_file import metric_of
from ripen.competition.tasks import TASKS
from ripen.core.errors import StoreError
from ripen.core.lineage import leaves
from ripen.learn.sweeps.store import Store
from ripen.learn.sweeps.study import Study
from ripen.learn.sweeps.trial import FinishedTrial, thinned
from ripen.settings.naming import trial_name
from ripen.settings.schema import Run
from ripen.track import saved_views
from ripen.track.experiments import Client, locked, open_experiment
from ripen.track.tracker import NOTE, TrackedRun, git_commit, process_tags

SECONDS_BETWEEN = 2.0  # two batches of trials
SCORES = ("log_loss", "accuracy")  # of a trial that classifies


class SweepRuns:
    """The runs of one sweep.

    They are found by the study's name, so that a sweep that continues, or that processes share,
    continues the same runs.

    Parameters
    ----------
    study : Study
    settings : Run
    colours : sequence of str
        Those of its trials, in turns.

    Attributes
    ----------
    seconds : float
        The time that MLflow has taken so far.
    """

    def __init__(self, study: Study, settings: Run, colours: Sequence[str]) -> None:
        self._study, self._settings, self._colours = study, settings, colours
        self._commit = git_commit()
        self._there: set[int] = set()
        self._looked = 0.0
        self.seconds = 0.0

    def __enter__(self) -> Self:
        self._client: Client
        with locked(self._settings):
            opened = open_experiment(self._settings, self._study.competition_name)
            self._client, self._experiment = opened
            self._parent = self._find_parent()
            self._save_view()
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        # A store that fails too does not hide what failed first.
        with suppress(StoreError) if kind else nullcontext():
            self._client.set_terminated(self._parent, "FAILED" if kind else "FINISHED")

    @property
    def parent(self) -> TrackedRun:
        """The sweep's own run."""
        return TrackedRun(self._client, self._parent, reused=False)

    def log(self, store: Store, finished: Sequence[FinishedTrial], *, now: bool = False) -> None:
        """Log the trials that have no run yet, at most every two seconds unless `now`.

        Under the store's lock, because other processes log the same sweep.
        """
        started = time.perf_counter()
        waiting = [one for one in finished if one.index not in self._there]
        if not waiting or not (now or started - self._looked > SECONDS_BETWEEN):
            return
        with store.lock():
            self._look()
            for one in waiting:
                if one.index not in self._there:
                    self._log(one)
        self._looked = time.perf_counter()
        self.seconds += self._looked - started

    def _find_parent(self) -> str:
        study = self._study
        query = f"tags.`ripen.sweep` = '{study.name}'"
        found = self._client.search_runs([self._experiment], query, max_results=1)
        if found:
            run = str(found[0].info.run_id)
            self._client.update_run(run, status="RUNNING")
            TrackedRun(self._client, run, reused=False).set_tags(process_tags())
            return run
        command = f"ripen sweep {study.competition_name} sweep={study.sweep.name}"
        note = f"A sweep of {study.count} trials. To run it again: `{command}`."
        tags = {"ripen.sweep": study.name, NOTE: note} | process_tags() | self._commit
        name = f"sweep {study.sweep.name}"
        created = self._client.create_run(self._experiment, tags=tags, run_name=name)
        run = str(created.info.run_id)
        values = dict(leaves({"sweep": _described(study)}))
        TrackedRun(self._client, run, reused=False).log_params(values)
        return run

    def _save_view(self) -> None:
        varied = [axis.key for axis in self._study.space.axes]
        competition = self._study.competition
        scores = SCORES if TASKS[competition.task].classifies else ("loss",)
        metric = metric_of(self._study.competition_name, competition.metric).name
        name = self._study.sweep.name
        view = saved_views.trials(name, self._parent, varied, scores, metric)
        for key, value in view.items():
            self._client.set_experiment_tag(self._experiment, key, value)

    def _look(self) -> None:
        """Find the runs of trials; remove unfinished ones, which a killed process left."""
        query, token = f"tags.`mlflow.parentRunId` = '{self._parent}'", None
        while True:
            page = self._client.search_runs([self._experiment], query, page_token=token)
            for run in page:
                if run.info.status == "FINISHED":
                    self._there.add(int(run.data.tags["ripen.trial"]))
                else:
                    self._client.delete_run(run.info.run_id)
            token = page.token
            if not token:
                return

    def _log(self, one: FinishedTrial) -> None:
        result, best = one.result, one.result.best
        tags = {
            "mlflow.parentRunId": self._parent,
            "ripen.trial": str(one.index),
            "ripen.trial_key": one.key,
            "stopped": result.ended,
            "mlflow.runColor": self._colours[one.index % len(self._colours)],
            NOTE: f"Trial {one.index} of the sweep {self._study.sweep.name}.",
        } | self._commit
        varied = [axis.key for axis in self._study.space.axes]
        name = trial_name({key: one.settings[key] for key in varied})
        created = self._client.create_run(self._experiment, tags=tags, run_name=name)
        run = TrackedRun(self._client, created.info.run_id, reused=False)
        for point in thinned(result.curve, self._study.sweep.curve_points):
            values = dict(zip(point._fields[1:], point[1:], strict=True))
            run.log_metrics({f"curve/{k}": v for k, v in values.items()}, point.iteration)
        ends = {"iterations": result.iterations, "training_seconds": result.seconds}
        if result.ended == "converged":
            ends["converged_at"] = result.iterations
        if best:
            ends["best_iteration"] = best.iteration
            if TASKS[self._study.competition.task].classifies:
                found: Sequence[float] = (best.validation_loss, best.validation_accuracy)
                ends |= {f"validation/{k}": v for k, v in zip(SCORES, found, strict=True)}
            else:  # of standardized values: no metric of the competition's
                ends["validation/loss"] = best.validation_loss
        run.log_metrics(ends)
        run.log_params(one.settings)
        self._client.set_terminated(run.run_id, "FINISHED")
        self._there.add(one.index)


def _described(study: Study) -> dict[str, Any]:
    sweep = study.sweep
    return {
        "name": sweep.name,
        "parameters": sweep.parameters,
        "sampler": sweep.sampler,
        "pruner": sweep.pruner.name,
        "trials": study.count,
        "seed": study.competition.seed,
    }
