"""MLflow's store: its address and lock, one experiment a competition, and the search for runs.

Runs are found by a tag that is the hash of what they were made from (`ripen.core.lineage`), so
that nothing that DVC stores holds a run's id.
"""

import logging
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

import mlflow
from mlflow.entities import Experiment, Run
from mlflow.exceptions import MlflowException

from ripen.core import lineage, stores
from ripen.core.layout import BLEND
from ripen.settings.compose import PARAMS
from ripen.settings.schema import Run as RunSettings
from ripen.settings.yaml_files import read

logging.getLogger("mlflow.store.db.utils").setLevel(logging.WARNING)
# MLflow logs the traceback of an error that it also raises, which `stores` turns into one line.
logging.getLogger("mlflow.store.db.utils").addFilter(lambda record: not record.exc_info)
LOCK_SECONDS = 120  # others make the store, or open a run in it, in a fraction of that
EXPERIMENTS = "dvc.experiments"
"""Tag of a pipeline's run: the names of the DVC experiments that it was part of."""


# --- The store -----------------------------------------------------------------------------------


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
    """`mlflow.MlflowClient`, by the same methods, with errors of the store in one line.

    Raises
    ------
    StoreError
        From every method, and at once if the store cannot be opened.
    """

    def __init__(self, uri: str) -> None:
        self.uri = uri
        with self.speaking():
            self._client = mlflow.MlflowClient(uri)

    def speaking(self) -> AbstractContextManager[None]:
        """Return a context for calls of MLflow's that this client has no method for."""
        return stores.speaking(self.uri, MlflowException)

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._client, name)

        def call(*values: Any, **named: Any) -> Any:
            with self.speaking():
                return method(*values, **named)

        return call


@contextmanager
def locked(run: RunSettings) -> Iterator[None]:
    """Hold the lock under which runs are opened. The store is made if it does not exist.

    A database of PostgreSQL holds the lock itself, for all machines.
    """
    uri = store_uri(run)
    if uri.startswith("postgresql"):
        from ripen.learn.sweeps import store  # it imports Optuna

        with store.locked(uri, LOCK_SECONDS):
            yield
        return
    with stores.file_lock(uri, repository_root() / ".mlflow.lock", LOCK_SECONDS):
        stores.make_whole(uri, Client)
        yield


def open_experiment(run: RunSettings, competition: str) -> tuple[Client, str]:
    """Open the store and a competition's experiment in it; make what does not exist.

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
        # A server decides where artifacts go; a local store keeps them beside the database.
        local = run.tracking.uri is None
        location = (repository_root() / "mlruns" / competition).as_uri() if local else None
        # The page of charts and columns, in place of the one for language models.
        tags = {"mlflow.experimentKind": "custom_model_development"}
        experiment = str(client.create_experiment(competition, location, tags))
    with client.speaking():
        mlflow.set_experiment(experiment_id=experiment)
    return client, experiment


def all_experiments(run: RunSettings) -> dict[str, Experiment]:
    """Return the store's experiments by name. Create the store if it does not exist."""
    with locked(run):
        return {each.name: each for each in Client(store_uri(run)).search_experiments()}


# --- The search for runs -------------------------------------------------------------------------


def training_seconds(run: RunSettings, competition: str) -> dict[str, float]:
    """Return the training time of each model that dvc.yaml's present inputs were trained to."""
    return {
        run.info.run_name: run.data.metrics["training_seconds"]
        for run in _finished_models(run, competition)
        if "training_seconds" in run.data.metrics
    }


def model_run(run: RunSettings, competition: str, model: str) -> str | None:
    """Return the id of a model's finished run of dvc.yaml's present inputs, None without one."""
    found = (run for run in _finished_models(run, competition) if run.info.run_name == model)
    run_or_none = next(found, None)
    return None if run_or_none is None else str(run_or_none.info.run_id)


def _finished_models(run: RunSettings, competition: str) -> Iterator[Run]:
    client = Client(store_uri(run))
    experiment = client.get_experiment_by_name(competition)
    if experiment is None:
        return
    values = read(PARAMS)
    blended = [BLEND] if competition in values["graph"].get(BLEND, {}) else []
    own = values["competition"].get(competition, {"models": ()})  # an earlier run's
    for model in [*own["models"], *blended]:
        key = lineage.model_hash(competition, model)
        query = f"tags.`dvc.stage_hash` = '{key}' and attributes.status = 'FINISHED'"
        yield from client.search_runs([experiment.experiment_id], query)


def find(run: RunSettings, name: str) -> list[Run]:
    """Return the pipeline runs of a DVC experiment, or the run with an id.

    Parameters
    ----------
    run : Run
        Section `tracking`.
    name : str
        An experiment's name, or at least the first 4 characters of a run's id.
    """
    client = Client(store_uri(run))
    everywhere = [e.experiment_id for e in client.search_experiments()]
    # LIKE also finds names that contain this one, so the names are compared once more.
    runs = list(client.search_runs(everywhere, f"tags.`{EXPERIMENTS}` LIKE '%{_literal(name)}%'"))
    named = [run for run in runs if name in run.data.tags[EXPERIMENTS].split()]
    if named or len(name) < 4:
        return named
    return [r for r in client.search_runs(everywhere) if r.info.run_id.startswith(name)]


def experiments_of(settings: RunSettings, run: Run) -> list[str]:
    """Return the DVC experiments that a run is part of; none after plain `dvc repro`."""
    parent = run.data.tags.get("mlflow.parentRunId")
    if parent is not None:
        run = Client(store_uri(settings)).get_run(parent)
    return list(run.data.tags.get(EXPERIMENTS, "").split())


def _literal(text: str) -> str:
    """Return a name without the characters that mean something in MLflow's search."""
    return text.replace("'", "").replace("%", "")
