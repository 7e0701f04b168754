"""MLflow: one experiment a competition, one parent run a pipeline, one nested run a model.

Only this module and `ripen.track.registry` import mlflow. Runs are found by a tag that is the hash of
what they were made from (`ripen.core.lineage`), so that a stage that runs again unchanged logs nothing
twice, and nothing that DVC stores knows a run's id.

Metric names are the keys of `metrics/<competition>.json` with a slash (``test/accuracy``); what
changes during training is under ``curve/``, with the iteration as its step.
"""

import logging
import os
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from dataclasses import asdict
from math import isnan
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import psutil

os.environ["MLFLOW_DISABLE_TELEMETRY"] = "true"
os.environ["MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR"] = "false"

import mlflow
from mlflow.data.sources import LocalArtifactDatasetSource
from mlflow.entities import (
    Dataset,
    DatasetInput,
    Experiment,
    InputTag,
    Metric,
    Param,
    Run,
    RunTag,
)
from mlflow.exceptions import MlflowException

from ripen.core import lineage, stores
from ripen.core.errors import StoreError
from ripen.core.lineage import leaves
from ripen.learn.convergence import Check, Training
from ripen.settings.compose import PARAMS, load_run, read
from ripen.settings.schema import Run as RunSettings

logging.getLogger("mlflow.store.db.utils").setLevel(logging.WARNING)
# Not the trace of an error that is raised besides, and told in one line.
logging.getLogger("mlflow.store.db.utils").addFilter(lambda record: not record.exc_info)
BATCH = 500
LOCK_SECONDS = 120  # others make the store, or open a run in it, in a fraction of that
EXPERIMENTS = "dvc.experiments"
FOLDER = "served"  # of a run's artifacts: what serves its model


def repository_root(folder: Path | None = None) -> Path:
    """Return the repository that holds MLflow's store, absolute.

    An experiment of `dvc exp run --temp` or `--queue` runs in a copy under `.dvc/tmp/exps`; its
    runs belong to the repository around that.
    """
    folder = (folder or Path.cwd()).absolute()
    parts = folder.parts
    for i in range(len(parts) - 2):
        if parts[i : i + 3] == (".dvc", "tmp", "exps"):
            return Path(*parts[:i])
    return folder


def store_uri(run: RunSettings) -> str:
    """Return the address of MLflow's store: the setting, or `mlflow.db` at the root."""
    return run.tracking.uri or f"sqlite:///{repository_root() / 'mlflow.db'}"


class Client:
    """MLflow's client, what goes wrong with its store told in one line.

    Its methods are those of `mlflow.MlflowClient`.

    Raises
    ------
    StoreError
        From the methods, and at once if the store cannot be opened.
    """

    def __init__(self, uri: str) -> None:
        self.uri = uri
        with self.speaking():
            self._client = mlflow.MlflowClient(uri)

    def speaking(self) -> AbstractContextManager[None]:
        """Hold what MLflow is asked for otherwise than by this client's methods."""
        return stores.speaking(self.uri, MlflowException)

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._client, name)

        def call(*values: Any, **named: Any) -> Any:
            with self.speaking():
                return method(*values, **named)

        return call


def locked(run: RunSettings) -> AbstractContextManager[None]:
    """Hold the lock under which the store is made and runs are opened."""
    lock = repository_root() / ".mlflow.lock"
    return stores.file_lock(store_uri(run), lock, LOCK_SECONDS)


def open_experiment(run: RunSettings, competition: str) -> tuple[Client, str]:
    """Open the store, made where there is none, and a competition's experiment in it.

    To be called under the lock (`locked`): two first users at once would race.

    Returns
    -------
    (Client, str)
        The experiment's id.
    """
    uri = store_uri(run)
    mlflow.set_tracking_uri(uri)
    client = Client(uri)
    found = client.get_experiment_by_name(competition)
    if found is not None:
        experiment = str(found.experiment_id)
    else:
        # A server keeps artifacts where it likes; a local file store, beside the database.
        local = run.tracking.uri is None
        location = (repository_root() / "mlruns" / competition).as_uri() if local else None
        tags = {"mlflow.experimentKind": "custom_model_development"}
        experiment = str(client.create_experiment(competition, location, tags))
    with client.speaking():
        mlflow.set_experiment(experiment_id=experiment)
    return client, experiment


def experiment(run: RunSettings, competition: str) -> Experiment | None:
    """Return a competition's experiment, None where there is none; the store is made if needed."""
    with locked(run):
        found: Experiment | None = Client(store_uri(run)).get_experiment_by_name(competition)
        return found


class TrackedRun:
    """What a stage may log of one model, or of the whole pipeline.

    Metrics are gathered and sent in batches. Of a run that is complete already (`reused`) nothing
    is sent again.
    """

    def __init__(self, client: Client, run_id: str, *, reused: bool) -> None:
        self._client = client
        self.run_id = run_id
        self.reused = reused
        self._pending: list[Metric] = []

    def log_params(self, params: Mapping[str, Any]) -> None:
        """Log settings, and what is waiting; long values are cut at MLflow's 6,000 characters."""
        if not self.reused:
            entries = [Param(key, str(value)[:6000]) for key, value in params.items()]
            self._client.log_batch(self.run_id, metrics=self._taken(), params=entries)

    def log_metrics(self, metrics: Mapping[str, float], step: int = 0) -> None:
        """Add values to the next batch; `step` is the iteration."""
        now = int(time.time() * 1000)
        self._pending += [Metric(key, float(value), now, step) for key, value in metrics.items()]
        if len(self._pending) >= BATCH:
            self.flush()

    def flush(self) -> None:
        """Send what is waiting."""
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
        """Copy a file, or what a folder holds, into the run's artifacts."""
        if self.reused:
            return
        if path.is_dir():
            self._client.log_artifacts(self.run_id, str(path), folder)
        else:
            self._client.log_artifact(self.run_id, str(path), folder)

    def log_dataset(self, path: Path, name: str, features: Any, targets: Any) -> None:
        """Log which data was learnt from: arrays, their file, and the hash of its content."""
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
        """Log how long a fit took and, of a net, what ended its training."""
        self.log_metrics({"training_seconds": seconds})
        if training is not None:
            self.set_tags({"stopped": training.stopped})
            ends = {"iterations": training.iterations, "best_iteration": training.best_iteration}
            self.log_metrics(ends)

    def log_model(self, folder: Path, save: Callable[[Path], None]) -> None:
        """Log Caffe's files, where the model has some, and the folder that serves the model.

        Parameters
        ----------
        folder : Path
            The model's.
        save : callable
            Writes the second one (`ripen.learn.estimator.Fitted.save`).
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

    Entering creates and migrates the store under a lock (two first users at once would race) and
    marks runs whose process is gone as killed.
    """

    def __init__(self, competition: str, stage: str, key: str | None = None) -> None:
        self._run = load_run()
        self._competition, self._stage, self._key = competition, stage, key or competition
        self._hashes: dict[str, str] = {}

    def __enter__(self) -> Self:
        with locked(self._run):
            self._client, self._experiment = open_experiment(self._run, self._competition)
            self._mark_killed()
            self.pipeline = self._open_pipeline()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._end(self.pipeline, "FAILED" if kind else "FINISHED")

    @contextmanager
    def model(self, name: str) -> Iterator[TrackedRun]:
        """Open the nested run of one model of this stage.

        It ends as finished, or as failed when the block raises. If a run of the same inputs was
        finished before, that one is given, and logs nothing.
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

        It is given as reused where this stage has added the same evaluation before; None where
        the store has no such run, for instance because DVC took the model from its cache.
        """
        made = lineage.model_hash(self._competition, name)
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
        """What this stage is made from, as the runs that it `evaluated` are tagged."""
        if self._stage not in self._hashes:  # read once: no stage changes what it reads
            self._hashes[self._stage] = lineage.stage_hash(self._stage, self._key)
        return self._hashes[self._stage]

    def tag_experiment(self, tags: Mapping[str, str]) -> None:
        for key, value in tags.items():
            self._client.set_experiment_tag(self._experiment, key, value)

    def _end(self, run: TrackedRun, status: str) -> None:
        # A store that fails too does not hide what failed first.
        with suppress(StoreError) if status == "FAILED" else nullcontext():
            run.flush()
            self._client.set_terminated(run.run_id, status)

    def _open_pipeline(self) -> TrackedRun:
        key = lineage.pipeline_hash(self._competition)
        query = f"tags.`ripen.pipeline_hash` = '{key}'"
        found = self._client.search_runs([self._experiment], query, max_results=1)
        if found:
            run_id = found[0].info.run_id
            self._client.update_run(run_id, status="RUNNING")
            self._tag(run_id, process_tags() | _experiments(found[0].data.tags))
            return TrackedRun(self._client, run_id, reused=False)
        run_id = self._create(f"pipeline {key[:8]}", key, nested=False)
        pipeline = TrackedRun(self._client, run_id, reused=False)
        own = read(PARAMS)["competition"][self._competition]
        pipeline.log_params(dict(leaves(own)))
        return pipeline

    def _create(self, name: str, key: str, *, nested: bool) -> str:
        tags = process_tags() | git_commit()
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

    def _search(self, query: str, name: str) -> list[Run]:
        named = f"{query} and attributes.run_name = '{name}' and attributes.status = 'FINISHED'"
        return list(self._client.search_runs([self._experiment], named, max_results=1))

    def _mark_killed(self) -> None:
        """Give runs that say running, but whose process on this host is gone, their end."""
        for run in self._client.search_runs([self._experiment], "attributes.status = 'RUNNING'"):
            tags = run.data.tags
            if tags.get("process.host") == socket.gethostname() and not _alive(tags):
                self._client.set_terminated(run.info.run_id, "KILLED")

    def _tag(self, run_id: str, tags: Mapping[str, str]) -> None:
        self._client.log_batch(run_id, tags=[RunTag(key, value) for key, value in tags.items()])


def training_seconds(run: RunSettings, competition: str) -> dict[str, float]:
    """Return how long the finished models of dvc.yaml's present inputs took, where they trained."""
    return {
        run.info.run_name: run.data.metrics["training_seconds"]
        for run in _finished_models(run, competition)
        if "training_seconds" in run.data.metrics
    }


def model_run(run: RunSettings, competition: str, model: str) -> str | None:
    """Return the id of a model's finished run of dvc.yaml's present inputs, None without one."""
    found = (run for run in _finished_models(run, competition) if run.info.run_name == model)
    run = next(found, None)
    return None if run is None else str(run.info.run_id)


def _finished_models(run: RunSettings, competition: str) -> Iterator[Run]:
    client = Client(store_uri(run))
    experiment = client.get_experiment_by_name(competition)
    if experiment is None:
        return
    for model in read(PARAMS)["competition"][competition]["models"]:
        key = lineage.model_hash(competition, model)
        query = f"tags.`dvc.stage_hash` = '{key}' and attributes.status = 'FINISHED'"
        yield from client.search_runs([experiment.experiment_id], query)


def find(run: RunSettings, name: str) -> list[Run]:
    """Return the pipelines' runs of a DVC experiment, or the run of an id or of its beginning.

    Parameters
    ----------
    run : Run
        Section `tracking`.
    name : str
        An experiment's name, or at least 4 characters of a run's id.
    """
    client = Client(store_uri(run))
    everywhere = [e.experiment_id for e in client.search_experiments()]
    runs = list(client.search_runs(everywhere, f"tags.`{EXPERIMENTS}` LIKE '%{_literal(name)}%'"))
    named = [run for run in runs if name in run.data.tags[EXPERIMENTS].split()]
    if named or len(name) < 4:
        return named
    return [r for r in client.search_runs(everywhere) if r.info.run_id.startswith(name)]


def experiments_of(settings: RunSettings, run: Run) -> list[str]:
    """Return the DVC experiments that a run is part of; none for one of plain `dvc repro`."""
    parent = run.data.tags.get("mlflow.parentRunId")
    if parent is not None:
        run = Client(store_uri(settings)).get_run(parent)
    return list(run.data.tags.get(EXPERIMENTS, "").split())


def _experiments(tags: Mapping[str, str]) -> dict[str, str]:
    """The names of the DVC experiments that a pipeline's run was part of, this one among them."""
    known = tags.get(EXPERIMENTS, "").split()
    name = os.environ.get("DVC_EXP_NAME")
    if name is None or name in known:
        return {}
    return {EXPERIMENTS: " ".join([*known, name])}


def _literal(text: str) -> str:
    """A name without what MLflow's search takes for more than letters."""
    return text.replace("'", "").replace("%", "")


def _alive(tags: Mapping[str, str]) -> bool:
    try:
        started = psutil.Process(int(tags["process.pid"])).create_time()
    except psutil.NoSuchProcess:
        return False
    # A process number is used again; its start is not.
    return str(started) == tags["process.started"]


def process_tags() -> dict[str, str]:
    """Return what tells this process from all others, on any machine."""
    return {
        "process.host": socket.gethostname(),
        "process.pid": str(os.getpid()),
        "process.started": str(psutil.Process().create_time()),
    }


def git_commit() -> dict[str, str]:
    """Return the commit that is checked out, as MLflow's tag; nothing outside a repository."""
    command = ["git", "rev-parse", "HEAD"]
    found = subprocess.run(command, capture_output=True, text=True, check=False)
    return {"mlflow.source.git.commit": found.stdout.strip()} if found.returncode == 0 else {}
