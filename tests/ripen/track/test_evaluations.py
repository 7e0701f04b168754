"""Against a real SQLite store."""

from collections.abc import Callable, Iterator
from pathlib import Path

import mlflow
import numpy as np
import pytest
from mlflow.entities.model_registry import ModelVersion
from sklearn.naive_bayes import GaussianNB

from ripen.learn.models import saved
from ripen.settings.compose import compose, run_of
from ripen.settings.schema import Run
from ripen.track import evaluations
from ripen.track.experiments import open_experiment
from ripen.track.tracker import FOLDER
from tests.ripen import empty_store
from tests.ripen.conftest import ROOT

MakeRun = Callable[..., Run]
TAGS = {"model": "gaussian_nb", "best_by": "validation/log_loss"}


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[mlflow.MlflowClient]:
    """The store of a folder, with an experiment; each test has its own model."""
    with pytest.MonkeyPatch.context() as patched:
        patched.chdir(tmp_path_factory.mktemp("registry"))
        empty_store.put(Path.cwd())
        yield open_experiment(run_of(compose([], ROOT / "conf").run), "avocado")[0]


def trained(client: mlflow.MlflowClient, folder: Path | None) -> str:
    """Return the id of a finished run that left what can be served in a folder."""
    run = client.create_run("1", tags={"mlflow.source.git.commit": "c0ffee"}).info.run_id
    if folder is not None:
        data = np.random.default_rng(0).normal(size=(20, 1)).astype(np.float32)
        folder.mkdir()
        model = GaussianNB().fit(data, data[:, 0] > 0)
        saved.write_pipeline(folder, model, "binary", 2)
        client.log_artifacts(run, str(folder), FOLDER)
    client.set_terminated(run)
    return str(run)


def versions(client: mlflow.MlflowClient, competition: str) -> list[ModelVersion]:
    found = client.search_model_versions(f"name = 'ripen-{competition}'")
    return sorted(found, key=lambda version: int(version.version))


@pytest.mark.slow
def test_a_winner_is_one_version_however_often(
    client: mlflow.MlflowClient, make_run: MakeRun, tmp_path: Path
) -> None:
    first, second = (trained(client, tmp_path / name) for name in ("a", "b"))
    best = []
    for run in (first, first, second, first):
        evaluations.register(make_run(), "avocado", run, TAGS)
        best.append(client.get_model_version_by_alias("ripen-avocado", "best").version)
    assert [int(version) for version in best] == [1, 1, 2, 1]
    assert [version.run_id for version in versions(client, "avocado")] == [first, second]
    expected = TAGS | {"competition": "avocado", "git_commit": "c0ffee"}
    assert versions(client, "avocado")[0].tags == expected
    # A run that is looked at again stays finished, as it was.
    assert client.get_run(first).info.status == "FINISHED"


@pytest.mark.slow
def test_what_a_killed_process_logged_is_used(
    client: mlflow.MlflowClient, make_run: MakeRun, tmp_path: Path
) -> None:
    run = trained(client, tmp_path / "a")
    logged = evaluations._logged(client, client.get_run(run))
    evaluations.register(make_run(), "digits", run, TAGS)
    assert [version.run_id for version in versions(client, "digits")] == [run]
    (model,) = client.get_run(run).outputs.model_outputs
    assert logged == f"models:/{model.model_id}"


@pytest.mark.slow
def test_a_version_without_the_alias_gets_it(
    client: mlflow.MlflowClient, make_run: MakeRun, tmp_path: Path
) -> None:
    run = trained(client, tmp_path / "a")
    evaluations.register(make_run(), "imagenet", run, TAGS)
    client.delete_registered_model_alias("ripen-imagenet", "best")
    evaluations.register(make_run(), "imagenet", run, TAGS)
    assert client.get_model_version_by_alias("ripen-imagenet", "best").run_id == run
    assert len(versions(client, "imagenet")) == 1


def test_a_model_that_cannot_be_served_is_not_registered(
    client: mlflow.MlflowClient, make_run: MakeRun
) -> None:
    evaluations.register(make_run(), "cats_vs_dogs", trained(client, None), TAGS)
    assert client.search_registered_models("name = 'ripen-cats_vs_dogs'") == []
