"""Against a real SQLite store."""

import os
import subprocess
import sys
from pathlib import Path

import mlflow
import numpy as np
import pytest
import yaml
from mlflow.entities import Run

from ripen.settings import compose as config
from ripen.track.experiments import experiments_of, find, repository_root, training_seconds
from ripen.track.tracker import Tracker
from tests.ripen import empty_store

pytestmark = pytest.mark.slow  # each makes a store of MLflow's

DVC = """
stages:
  fit:
    foreach: ${graph.fit}
    do:
      cmd: fit ${item.competition} ${item.name}
      deps: [code.py]
      params: ["competition.${item.competition}.seed"]
  evaluate:
    foreach: ${graph.evaluate}
    do:
      cmd: evaluate ${key}
      deps: [code.py]
"""
PARAMS = """
competitions: [avocado]
launcher: {name: basic, workers: 1, address: null}
study: {uri: null, timeout: 30}
tracking: {uri: null}
overrides: []
graph:
  fit:
    avocado.net: {competition: avocado, name: net}
    avocado.svm: {competition: avocado, name: svm}
    avocado.squeezenet: {competition: avocado, name: squeezenet}
  evaluate: {avocado: {}}
competition:
  avocado: {seed: 1, models: {net: {solver: {base_lr: 0.1}}, svm: {}, squeezenet: {}}}
"""


def fit(model: str) -> Tracker:
    return Tracker("avocado", "fit", f"avocado.{model}")


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "dvc.yaml").write_text(DVC)
    (tmp_path / "params.yaml").write_text(PARAMS)
    (tmp_path / "code.py").write_text("")
    empty_store.put(tmp_path)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def runs(repository: Path) -> list[Run]:
    client = mlflow.MlflowClient(f"sqlite:///{repository / 'mlflow.db'}")
    experiment = client.get_experiment_by_name("avocado")
    assert experiment is not None
    return list(client.search_runs([experiment.experiment_id], order_by=["start_time ASC"]))


def test_a_model_is_a_run_within_the_pipelines(repository: Path) -> None:
    with fit("net") as tracker, tracker.model("net") as net:
        net.log_params({"net.hidden_layers": [8, 8]})
        for step in (100, 200):
            net.log_metrics({"curve/loss": 1 / step}, step)
    pipeline, model = runs(repository)
    assert (pipeline.info.status, model.info.status) == ("FINISHED", "FINISHED")
    assert model.info.run_name == "net"
    assert model.data.tags["mlflow.parentRunId"] == pipeline.info.run_id
    assert model.data.tags["dvc.stage"] == "fit@avocado.net"
    assert model.data.params == {"net.hidden_layers": "[8, 8]"}
    assert pipeline.data.params["models.net.solver.base_lr"] == "0.1"
    client = mlflow.MlflowClient(f"sqlite:///{repository / 'mlflow.db'}")
    curve = client.get_metric_history(model.info.run_id, "curve/loss")
    assert [(point.step, point.value) for point in curve] == [(100, 0.01), (200, 0.005)]


def test_a_models_description_has_the_commands_that_run_it_again(repository: Path) -> None:
    overrides = "overrides: ['competitions=[avocado]', preset=fast]"
    (repository / "params.yaml").write_text(PARAMS.replace("overrides: []", overrides))
    with fit("net") as tracker, tracker.model("net"):
        pass
    note = runs(repository)[1].data.tags["mlflow.note.content"]
    composed, _, stage = note.partition("Again: ")[2].rpartition(", then ")
    assert composed.endswith("`ripen compose 'competitions=[avocado]' preset=fast`")
    assert stage == "`dvc repro fit@avocado.net`."


def test_what_did_not_train_has_no_training_time(repository: Path) -> None:
    with fit("svm") as tracker, tracker.model("svm") as svm:
        svm.log_metrics({"training_seconds": 3.0})
    with fit("squeezenet") as tracker, tracker.model("squeezenet") as pretrained:
        pretrained.log_metrics({"classifying_seconds": 4.0})
    assert training_seconds(config.load_run(), "avocado") == {"svm": 3.0}


def test_an_unchanged_stage_logs_nothing_twice(repository: Path) -> None:
    for _ in range(2):
        with fit("net") as tracker, tracker.model("net") as net:
            net.log_metrics({"training_seconds": 2.0})
    assert [run.info.run_name for run in runs(repository)][1:] == ["net"]
    assert training_seconds(config.load_run(), "avocado") == {"net": 2.0}
    (repository / "code.py").write_text("changed")
    assert training_seconds(config.load_run(), "avocado") == {}
    with fit("net") as tracker, tracker.model("net"):
        pass
    assert sorted(run.info.run_name.split()[0] for run in runs(repository)) == [
        "net",
        "net",
        "pipeline",
        "pipeline",
    ]


def test_an_evaluation_is_added_once(repository: Path) -> None:
    with fit("net") as tracker, tracker.model("net"):
        pass
    for value in (0.5, 0.7):
        with Tracker("avocado", "evaluate") as tracker:
            assert tracker.evaluated("svm") is None
            net = tracker.evaluated("net")
            assert net is not None
            net.log_metrics({"test/accuracy": value})
            net.flush()
    assert runs(repository)[1].data.metrics == {"test/accuracy": 0.5}


def test_a_failure_is_marked(repository: Path) -> None:
    def fail() -> None:
        with fit("net") as tracker, tracker.model("net") as net:
            net.log_metrics({"curve/loss": 1e30}, 100)
            raise ArithmeticError("overflow")

    with pytest.raises(ArithmeticError, match="overflow"):
        fail()
    pipeline, model = runs(repository)
    assert (pipeline.info.status, model.info.status) == ("FAILED", "FAILED")
    assert model.data.metrics == {"curve/loss": 1e30}


KILLED = """
import os, signal
from ripen.track.tracker import Tracker
with Tracker("avocado", "fit", "avocado.net") as tracker, tracker.model("net"):
    os.kill(os.getpid(), signal.SIGKILL)
"""


def test_a_killed_run_is_marked_at_the_next_start(repository: Path) -> None:
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    subprocess.run([sys.executable, "-c", KILLED], env=environment, check=False)
    assert [run.info.status for run in runs(repository)] == ["RUNNING", "RUNNING"]
    with fit("net") as tracker, tracker.model("net"):
        running = {run.info.run_name.split()[0]: run.info.status for run in runs(repository)[:2]}
        assert running == {"pipeline": "RUNNING", "net": "KILLED"}
    assert sorted(run.info.status for run in runs(repository)) == ["FINISHED", "FINISHED", "KILLED"]


def test_a_run_of_a_living_process_is_left_alone(repository: Path) -> None:
    with fit("net") as outer, outer.model("net"):
        with fit("svm"):
            pass
        statuses = {run.info.run_name: run.info.status for run in runs(repository)}
        assert statuses["net"] == "RUNNING"


def test_the_address_of_the_store_is_not_logged(repository: Path) -> None:
    uri = f"sqlite:///{repository / 'mlflow.db'}"
    values = yaml.safe_load(PARAMS) | {"tracking": {"uri": uri}}
    (repository / "params.yaml").write_text(yaml.safe_dump(values))
    with fit("net"):
        pass
    assert not [key for key in runs(repository)[0].data.params if key.startswith("tracking")]


def test_the_data_set_is_logged_with_its_hash(repository: Path) -> None:
    digests = []
    for content in ("a", "b"):
        (repository / "code.py").write_text(content)
        (repository / "train.h5").write_text(content)
        with fit("net") as tracker, tracker.model("net") as net:
            net.log_dataset(
                Path("train.h5"), "avocado", np.zeros((2, 6), np.float32), np.array([0, 1])
            )
        (logged,) = runs(repository)[-1].inputs.dataset_inputs
        assert logged.dataset.name == "avocado"
        assert '"uri": "train.h5"' in logged.dataset.source
        digests.append(logged.dataset.digest)
    assert digests[0] != digests[1]


@pytest.mark.parametrize(
    ("folder", "root"),
    [
        ("/home/ann/ripen", "/home/ann/ripen"),
        ("/home/ann/ripen/.dvc/tmp/exps/standalone/tmpabc", "/home/ann/ripen"),
        ("/home/ann/ripen/.dvc/tmp/exps/tmpabc", "/home/ann/ripen"),
        ("/home/ann/.dvc/tmp/ripen", "/home/ann/.dvc/tmp/ripen"),
    ],
)
def test_an_experiments_store_is_that_of_the_repository_around_it(folder: str, root: str) -> None:
    assert repository_root(Path(folder)) == Path(root)


def test_runs_and_experiments_find_each_other(
    repository: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = config.load_run()
    for name in ("first-one", "second", "second"):
        monkeypatch.setenv("DVC_EXP_NAME", name)
        with fit("net") as tracker, tracker.model("net"):
            pass
    monkeypatch.delenv("DVC_EXP_NAME")
    (repository / "params.yaml").write_text(PARAMS.replace("seed: 1", "seed: 2"))
    with fit("net"):
        pass
    pipeline, net, plain = runs(repository)
    for name in ("first-one", "second"):
        assert [run.info.run_id for run in find(settings, name)] == [pipeline.info.run_id]
    assert find(settings, "first") == find(settings, "no'such%") == []
    for run in (pipeline, net):
        (found,) = find(settings, run.info.run_id[:8])
        assert found.info.run_id == run.info.run_id
        assert experiments_of(settings, found) == ["first-one", "second"]
    assert experiments_of(settings, plain) == []
