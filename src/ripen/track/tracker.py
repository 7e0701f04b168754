"""What stages log to MLflow: one parent run a pipeline, in it one nested run a model.

A stage that runs again unchanged finds its finished run by its hash, and logs nothing twice.

Metric names are the keys of `metrics/<competition>.json` with a slash (``test/accuracy``); what
changes during training is under ``curve/``, with the iteration as its step.
"""

import os
import shlex
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from dataclasses import asdict
from math import isnan
from pathlib import Path
from typing import Any, Self

import mlflow
from mlflow.data.sources import LocalArtifactDatasetSource
from mlflow.entities import Dataset, DatasetInput, InputTag, Metric, Param, Run, RunTag

from ripen.core import lineage
from ripen.core.errors import StoreError
from ripen.core.lineage import leaves
from ripen.core.processes import gone, identity
from ripen.core.repository import git
from ripen.learn.convergence import Check, Training
from ripen.settings.compose import PARAMS, load_run
from ripen.settings.yaml_files import read
from ripen.track.experiments import EXPERIMENTS, Client, locked, open_experiment

BATCH = 500  # metrics a request: MLflow takes 1,000 at most
LONGEST = 6000  # characters of a parameter's value that MLflow takes
NOTE = "mlflow.note.content"
"""The tag that MLflow's pages show as the description of a run or an experiment, in Markdown."""
FOLDER = "served"
"""The folder of a run's artifacts that serves its model."""


class TrackedRun:
    """The run of one model, or of the whole pipeline, for a stage to log to.

    Metrics are sent in batches. Nothing is sent to a run that is complete already (`reused`).
    """

    def __init__(self, client: Client, run_id: str, *, reused: bool) -> None:
        self._client = client
        self.run_id = run_id
        self.reused = reused
        self._pending: list[Metric] = []

    def log_params(self, params: Mapping[str, Any]) -> None:
        """Log settings and the pending metrics; long values are truncated to MLflow's limit."""
        if not self.reused:
            entries = [Param(key, str(value)[:LONGEST]) for key, value in params.items()]
            self._client.log_batch(self.run_id, metrics=self._taken(), params=entries)

    def log_metrics(self, metrics: Mapping[str, float], step: int = 0) -> None:
        """Add values to the next batch; `step` is the iteration."""
        now = int(time.time() * 1000)
        self._pending += [Metric(key, float(value), now, step) for key, value in metrics.items()]
        if len(self._pending) >= BATCH:
            self.flush()

    def flush(self) -> None:
        """Send the pending metrics."""
        pending = self._taken()
        if pending and not self.reused:
            self._client.log_batch(self.run_id, metrics=pending)

    def _taken(self) -> list[Metric]:
        pending, self._pending = self._pending, []
        return pending

    def set_tags(self, tags: Mapping[str, str]) -> None:
        if not self.reused:
            entries = [RunTag(key, value) for key, value in tags.items()]
            self._client.log_batch(self.run_id, tags=entries)

    def log_artifacts(self, path: Path, folder: str) -> None:
        """Copy a file, or a folder's files, into the run's artifacts."""
        if self.reused:
            return
        if path.is_dir():
            self._client.log_artifacts(self.run_id, str(path), folder)
        else:
            self._client.log_artifact(self.run_id, str(path), folder)

    def log_dataset(self, path: Path, name: str, features: Any, targets: Any) -> None:
        """Log the training data: arrays, their file, and the hash of its content."""
        if not self.reused:
            data = mlflow.data.from_numpy(
                features,
                source=LocalArtifactDatasetSource(path.as_posix()),
                targets=targets,
                name=name,
                digest=lineage.content_hash(path)[:32],
            )
            context = [InputTag("mlflow.data.context", "training")]
            dataset = DatasetInput(Dataset.from_dictionary(data.to_dict()), context)
            self._client.log_inputs(self.run_id, [dataset])

    def log_check(self, check: Check) -> None:
        """Add a check of a training to the run's curve."""
        values = {k: v for k, v in asdict(check).items() if k != "iteration" and not isnan(v)}
        self.log_metrics({f"curve/{key}": value for key, value in values.items()}, check.iteration)

    def log_training(self, training: Training | None, seconds: float) -> None:
        """Log how long a fit took and, for a net, why its training stopped."""
        self.log_metrics({"training_seconds": seconds})
        if training is not None:
            self.set_tags({"stopped": training.stopped})
            ends = {"iterations": training.iterations, "best_iteration": training.best_iteration}
            self.log_metrics(ends)

    def log_model(self, folder: Path, save: Callable[[Path], None]) -> None:
        """Log a model's Caffe files, if any, and the folder that serves the model.

        Parameters
        ----------
        folder : Path
            The model's folder.
        save : callable
            Writes the folder that serves it (`ripen.learn.estimator.Fitted.save`).
        """
        if self.reused:
            return
        for pattern in ("*.prototxt", "model.*"):
            for file in sorted(folder.glob(pattern)):
                self.log_artifacts(file, "caffe")
        with tempfile.TemporaryDirectory() as temporary:
            served = Path(temporary) / FOLDER
            served.mkdir()
            save(served)
            if any(served.iterdir()):
                self.log_artifacts(served, FOLDER)


class Tracker(AbstractContextManager["Tracker"]):
    """One stage's view of a competition's experiment; `pipeline` is the parent run.

    Entering creates and migrates the store under a lock (two first users at once would race), and
    marks runs as KILLED whose process no longer exists.

    Parameters
    ----------
    competition, stage : str
    key : str, optional
        The stage's instance in dvc.yaml ("titanic.svm"); the competition by default.
    """

    def __init__(self, competition: str, stage: str, key: str | None = None) -> None:
        self._run = load_run()
        self._competition, self._stage, self._key = competition, stage, key or competition
        self._hashes: dict[str, str] = {}
        self._content = lineage.remembering()  # no stage changes what it reads

    def __enter__(self) -> Self:
        with locked(self._run):
            self._client, self._experiment = open_experiment(self._run, self._competition)
            self._mark_killed()
            self.pipeline = self._open_pipeline()
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        self._end(self.pipeline, "FAILED" if kind else "FINISHED")

    @contextmanager
    def model(self, name: str) -> Iterator[TrackedRun]:
        """Open the nested run of one model of this stage.

        It ends as FINISHED, or as FAILED if the block raises. If there is a finished run of the
        same inputs, that one is yielded, and logs nothing.
        """
        key = self.stage_hash
        found = self._search(f"tags.`dvc.stage_hash` = '{key}'", name)
        if found:
            yield TrackedRun(self._client, found[0].info.run_id, reused=True)
            return
        run = TrackedRun(self._client, self._create(name, key, nested=True), reused=False)
        try:
            yield run
        except BaseException:
            self._end(run, "FAILED")
            raise
        self._end(run, "FINISHED")

    def evaluated(self, name: str) -> TrackedRun | None:
        """Return the finished run of a model, to add its evaluation to.

        It is marked as reused if this stage has added the same evaluation before. None if the store
        has no such run, for instance because DVC restored the model from its cache.
        """
        made = lineage.model_hash(self._competition, name, content=self._content)
        found = self._search(f"tags.`dvc.stage_hash` = '{made}'", name)
        if not found:
            return None
        key, tag = self.stage_hash, f"dvc.{self._stage}_hash"
        run = TrackedRun(
            self._client, found[0].info.run_id, reused=found[0].data.tags.get(tag) == key
        )
        run.set_tags({tag: key})
        return run

    @property
    def stage_hash(self) -> str:
        """The hash of this stage's inputs: a tag of the runs that it opens or `evaluated`."""
        if self._stage not in self._hashes:
            found = lineage.stage_hash(self._stage, self._key, content=self._content)
            self._hashes[self._stage] = found
        return self._hashes[self._stage]

    def tag_experiment(self, tags: Mapping[str, str]) -> None:
        for key, value in tags.items():
            self._client.set_experiment_tag(self._experiment, key, value)

    def _end(self, run: TrackedRun, status: str) -> None:
        # An error of the store must not hide the one that made the run fail.
        with suppress(StoreError) if status == "FAILED" else nullcontext():
            run.flush()
            self._client.set_terminated(run.run_id, status)

    def _open_pipeline(self) -> TrackedRun:
        key = lineage.pipeline_hash(self._competition, content=self._content)
        query = f"tags.`ripen.pipeline_hash` = '{key}'"
        found = self._client.search_runs([self._experiment], query, max_results=1)
        if found:
            run_id = found[0].info.run_id
            # Each stage of a pipeline opens its run again, and ends it again.
            self._client.update_run(run_id, status="RUNNING")
            self._tag(run_id, process_tags() | _experiments(found[0].data.tags))
            return TrackedRun(self._client, run_id, reused=False)
        run_id = self._create(f"pipeline {key[:8]}", key, nested=False)
        pipeline = TrackedRun(self._client, run_id, reused=False)
        own = read(PARAMS)["competition"][self._competition]
        pipeline.log_params(dict(leaves(own)))
        return pipeline

    def _create(self, name: str, key: str, *, nested: bool) -> str:
        commit = git_commit()
        tags = process_tags() | commit | {NOTE: self._note(name, nested, commit)}
        if nested:
            tags |= {
                "mlflow.parentRunId": self.pipeline.run_id,
                "dvc.stage": f"{self._stage}@{self._key}",
                "dvc.stage_hash": key,
            }
        else:
            tags |= {"ripen.pipeline_hash": key} | _experiments({})
        created = self._client.create_run(self._experiment, tags=tags, run_name=name)
        return str(created.info.run_id)

    def _note(self, name: str, nested: bool, commit: Mapping[str, str]) -> str:
        """Return what a run is, and how it is run again."""
        competition, stage = self._competition, f"{self._stage}@{self._key}"
        first = "".join(f"`git checkout {one[:12]}`, then " for one in commit.values())
        if nested:
            if overrides := self._run.overrides:  # else the commit's params.yaml has the stage
                first += f"`{shlex.join(['ripen', 'compose', *overrides])}`, then "
            return f"The model **{name}** of {competition}. Again: {first}`dvc repro {stage}`."
        words = [f"competitions=[{competition}]", *self._run.overrides]
        command = shlex.join(["ripen", "run", *dict.fromkeys(words)])
        return f"All stages of {competition}. To run them again: {first}`{command}`."

    def _search(self, query: str, name: str) -> list[Run]:
        named = f"{query} and attributes.run_name = '{name}' and attributes.status = 'FINISHED'"
        return list(self._client.search_runs([self._experiment], named, max_results=1))

    def _mark_killed(self) -> None:
        """Mark runs as KILLED whose process on this host no longer exists."""
        for run in self._client.search_runs([self._experiment], "attributes.status = 'RUNNING'"):
            if _gone(run.data.tags):
                self._client.set_terminated(run.info.run_id, "KILLED")

    def _tag(self, run_id: str, tags: Mapping[str, str]) -> None:
        self._client.log_batch(run_id, tags=[RunTag(key, value) for key, value in tags.items()])


def _experiments(tags: Mapping[str, str]) -> dict[str, str]:
    """Return the tag of a pipeline's run with the present DVC experiment added, if it is new."""
    known = tags.get(EXPERIMENTS, "").split()
    name = os.environ.get("DVC_EXP_NAME")
    if name is None or name in known:
        return {}
    return {EXPERIMENTS: " ".join([*known, name])}


def _gone(tags: Mapping[str, str]) -> bool:
    """Whether a running run's process ran on this machine and no longer exists."""
    if "process.host" not in tags:
        return False
    host, pid, started = (tags[f"process.{name}"] for name in ("host", "pid", "started"))
    return gone(host, int(pid), float(started))


def process_tags() -> dict[str, str]:
    """Return tags that identify this process among those of all machines."""
    return {f"process.{name}": str(value) for name, value in identity().items()}


def git_commit() -> dict[str, str]:
    """Return the current commit as MLflow's tag; nothing outside a repository."""
    commit = git("rev-parse", "HEAD")
    return {"mlflow.source.git.commit": commit} if commit else {}
